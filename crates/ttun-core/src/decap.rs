//! Network to device: receives many datagrams at once, checks each, hands neighbours of one flow to the
//! device as one super-packet.

use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;

use ttun_packet::{CoalesceOptions, Invalid, Run, VirtioNetHeader, clamp_mss, is_tcp_syn, validate};

use crate::backoff::{Backoff, is_gone};
use crate::counters::DecapDrop;
use crate::error::Error;
use crate::pumps::Context;
use crate::seam::{DatagramSocket, Datagrams, PacketDevice};
use crate::watch::Direction;

/// The longest receive: the kernel joins datagrams up to 64 KiB (`skb_gro_receive` in net/core/gro.c).
const BUFFER_LEN: usize = 65_536;

/// Most datagrams that one receive brings (`UDP_GRO_CNT_MAX` in net/ipv4/udp_offload.c). One that brings
/// more is dealt with in several rounds.
const MAX_DATAGRAMS: usize = 64;

/// Receives before the other direction gets its turn.
const BUDGET: usize = 16;

/// Pieces of one write: headers, and the payloads of a run.
const MAX_PIECES: usize = 1 + Run::MAX_PACKETS;

/// The pump from network to device.
pub(crate) struct Decap<'t, D, S> {
    device: D,
    socket: S,
    context: &'t Context,
    coalesce: CoalesceOptions,
    buffer: Box<[u8]>,
    backoff: Backoff,
}

/// Why draining the socket stopped.
enum Drained {
    /// Nothing is left to receive.
    All,
    /// The other direction has its turn.
    Budget,
}

/// Where the good packets of a receive stand in the buffer.
struct Packets {
    extents: [(u32, u32); MAX_DATAGRAMS],
    len: usize,
}

impl<'t, D: PacketDevice, S: DatagramSocket> Decap<'t, D, S> {
    pub(crate) fn new(device: D, socket: S, coalesce: CoalesceOptions, context: &'t Context) -> Self {
        let buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        Self { device, socket, context, coalesce, buffer, backoff: Backoff::default() }
    }

    /// Runs until the tunnel is closed (`Ok`) or the device is gone (`Err`).
    pub(crate) async fn run(&mut self) -> Result<(), Error> {
        let shutdown = self.context.shutdown.requested();
        tokio::pin!(shutdown);
        while !self.context.shutdown.is_requested() {
            match self.drain().await? {
                Drained::Budget => tokio::task::yield_now().await,
                Drained::All => tokio::select! {
                    biased;
                    ready = self.socket.readable() => {
                        ready.map_err(|cause| Error::system("epoll_ctl", &cause, "waiting for the socket"))?;
                    }
                    () = &mut shutdown => {}
                },
            }
        }
        Ok(())
    }

    async fn drain(&mut self) -> Result<Drained, Error> {
        for _ in 0..BUDGET {
            match self.socket.try_recv(&mut self.buffer) {
                Ok(datagrams) => {
                    self.backoff.succeeded();
                    self.context.clock.mark_received();
                    self.context.decap.receives.add(1);
                    if let Some(overflow) = datagrams.overflow {
                        self.context.receive_overflow.store(overflow, Ordering::Relaxed);
                    }
                    self.take(&datagrams).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::All),
                Err(error) => {
                    // Most often an ICMP answer to something sent earlier; it moved nothing.
                    self.context.errors.count(&error);
                    self.backoff.failed().await;
                }
            }
            if self.context.shutdown.is_requested() {
                break;
            }
        }
        Ok(Drained::Budget)
    }

    async fn take(&mut self, datagrams: &Datagrams) -> Result<(), Error> {
        if datagrams.len == 0 {
            self.context.decap.received.add(1);
            self.context.decap.drop(DecapDrop::Empty, 1);
            return Ok(());
        }
        let stride = datagrams.stride.max(1);
        let mut start = 0;
        while start < datagrams.len {
            let end = (start + MAX_DATAGRAMS * stride).min(datagrams.len);
            let truncated = datagrams.truncated && end == datagrams.len;
            let packets = self.inspect(start, end, stride, truncated);
            self.deliver(&packets).await?;
            start = end;
        }
        Ok(())
    }

    /// Checks each datagram; the bad ones are counted and left out.
    fn inspect(&mut self, start: usize, end: usize, stride: usize, truncated: bool) -> Packets {
        let context = self.context;
        let counters = &context.decap;
        let mut packets = Packets { extents: [(0, 0); MAX_DATAGRAMS], len: 0 };
        let mut inner_mtu = None;
        let datagrams = self.buffer.get_mut(start..end).unwrap_or(&mut []);
        let count = datagrams.len().div_ceil(stride);
        counters.received.add(count);
        for (index, datagram) in datagrams.chunks_mut(stride).enumerate() {
            if truncated && index + 1 == count {
                counters.drop(DecapDrop::Truncated, 1);
                continue;
            }
            let len = match validate(datagram) {
                Ok(len) => len,
                Err(Invalid::Empty) => {
                    counters.drop(DecapDrop::Empty, 1);
                    continue;
                }
                Err(Invalid::Malformed) => {
                    counters.drop(DecapDrop::Malformed, 1);
                    continue;
                }
            };
            let packet = datagram.get_mut(..len).unwrap_or(&mut []);
            if context.allowed_sources.as_ref().is_some_and(|sources| !sources.allows(packet)) {
                counters.drop(DecapDrop::SourceNotAllowed, 1);
                continue;
            }
            if context.clamp_mss && is_tcp_syn(packet) {
                // Asked once for the receive: a flood of SYNs costs no more than one question for each.
                let mtu = inner_mtu.get_or_insert_with(|| {
                    self.socket.path_mtu().map_or(usize::MAX, |mtu| context.inner_mtu(mtu))
                });
                clamp_mss(packet, *mtu);
            }
            if let Some(slot) = packets.extents.get_mut(packets.len) {
                *slot = ((start + index * stride) as u32, len as u32);
                packets.len += 1;
            }
        }
        packets
    }

    async fn deliver(&mut self, packets: &Packets) -> Result<(), Error> {
        let context = self.context;
        let watched =
            if context.watch.is_active() { context.watch.admit(packets.len, context.clock.now()) } else { 0 };
        let mut run = Run::new(self.coalesce);
        for (index, &(start, len)) in packets.extents.iter().take(packets.len).enumerate() {
            let packet = self.buffer.get(start as usize..(start + len) as usize).unwrap_or(&[]);
            if index < watched {
                context.watch.copy(Direction::Inbound, &[], packet);
            }
            if run.push(packet) {
                continue;
            }
            let delivered = self.write(&mut run).await;
            run.clear();
            run.push(packet);
            if let Err(error) = delivered {
                // What is left of this receive is not going anywhere.
                context.decap.drop(DecapDrop::Closed, packets.len - index);
                return Err(error);
            }
        }
        self.write(&mut run).await
    }

    /// Writes a run as one super-packet, or, where the device does not take that, packet by packet.
    async fn write(&self, run: &mut Run<'_>) -> Result<(), Error> {
        let packets = run.packets().len();
        if packets == 0 {
            return Ok(());
        }
        let bytes = run.packets().iter().map(|packet| packet.len()).sum();
        match self.write_merged(run).await {
            Ok(()) => {
                self.written(packets, bytes);
                return Ok(());
            }
            Err(Refused::By(error)) if packets > 1 && !is_gone(&error) && !is_down(&error) => {}
            Err(refused) => return self.lost(packets, refused),
        }
        let header = VirtioNetHeader::NONE.encode();
        for (index, packet) in run.packets().iter().enumerate() {
            let pieces = [IoSlice::new(&header), IoSlice::new(packet)];
            match self.write_when_possible(&pieces).await {
                Ok(()) => self.written(1, packet.len()),
                Err(refused) => {
                    let fatal = self.lost(1, refused);
                    if fatal.is_err() {
                        self.context.decap.drop(DecapDrop::Closed, packets - index - 1);
                        return fatal;
                    }
                }
            }
        }
        Ok(())
    }

    async fn write_merged(&self, run: &mut Run<'_>) -> Result<(), Refused> {
        let mut pieces = [IoSlice::new(&[]); MAX_PIECES];
        let mut used = 1;
        for (piece, payload) in pieces.iter_mut().skip(1).zip(run.payloads()) {
            *piece = IoSlice::new(payload);
            used += 1;
        }
        if let Some(first) = pieces.first_mut() {
            *first = IoSlice::new(run.header());
        }
        self.write_when_possible(pieces.get(..used).unwrap_or(&[])).await
    }

    async fn write_when_possible(&self, pieces: &[IoSlice<'_>]) -> Result<(), Refused> {
        loop {
            match self.device.try_send(pieces) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::select! {
                        biased;
                        () = self.context.shutdown.requested() => return Err(Refused::Closed),
                        ready = self.device.writable() => ready.map_err(Refused::By)?,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Refused::By(error)),
            }
        }
    }

    fn written(&self, packets: usize, bytes: usize) {
        let counters = &self.context.decap;
        counters.writes.add(1);
        counters.packets.add(packets);
        counters.bytes.add(bytes);
    }

    /// Counts what the device did not take; an error when it never will again.
    fn lost(&self, packets: usize, refused: Refused) -> Result<(), Error> {
        let (reason, fatal) = match refused {
            Refused::Closed => (DecapDrop::Closed, None),
            Refused::By(error) if is_down(&error) => (DecapDrop::DeviceDown, None),
            Refused::By(error) if is_gone(&error) => {
                (DecapDrop::DeviceError, Some(self.context.device_gone("writev", &error)))
            }
            Refused::By(_) => (DecapDrop::DeviceError, None),
        };
        self.context.decap.drop(reason, packets);
        fatal.map_or(Ok(()), Err)
    }
}

/// Why a write did not happen.
enum Refused {
    /// The tunnel is being closed.
    Closed,
    /// The device said no.
    By(io::Error),
}

/// A device that is down takes nothing (`tun_get_user`: EIO).
fn is_down(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}
