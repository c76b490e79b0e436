//! Decapsulation, network to device: receives many datagrams at once, checks each, writes consecutive packets of one flow to the device as
//! one super-packet.

mod others;

use std::io::{self, IoSlice};
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ttun_packet::{
    CoalesceOptions, EchoReply, EcnArrival, Invalid, IpPacket, Run, VirtioNetHeader, receive_ecn,
};

use crate::allowance::Allowance;
use crate::error::Error;
use crate::io::{Behind, DatagramSocket, Datagrams, PacketDevice};
use crate::mss::MssClamp;
use crate::probe::Arrival;
use crate::pump::{Drained, Pump, Refused, RetryDelay, is_gone, when_possible};
use crate::shared::Context;
use crate::stats::DecapDrop;
use crate::tap::Direction;

/// The longest receive: the kernel joins datagrams up to 64 KiB (`skb_gro_receive` in net/core/gro.c).
const BUFFER_LEN: usize = 65_536;

/// Receives before the other direction gets its turn.
const BUDGET: usize = 16;

/// The pump from network to device.
pub(crate) struct Decap<'t, D, S> {
    device: &'t D,
    socket: &'t S,
    context: &'t Context,
    coalesce: CoalesceOptions,
    buffer: Box<[u8]>,
    /// Room for what is behind that.
    spare: Box<[u8]>,
    /// Whether the thread was last woken for a single datagram. Then it is probably one again, and a receive of two messages says by the
    /// same system call that nothing is behind it. Bulk stays in one buffer, which is in the processor's cache.
    expects_one: bool,
    retry: RetryDelay,
    mss_clamp: MssClamp<'t, D, S>,
    /// The version of the endpoints, as last seen.
    peer: u32,
    /// A new peer that nothing was received from yet. Datagrams of the previous one stay in the receive buffer (connect(2) removes none
    /// of them), and are forwarded, as their sender was the peer when they arrived; but they do not show that the new one is up.
    awaited: Option<SocketAddr>,
    /// Changes of a learned peer.
    changes: Allowance,
    /// Some instant before them all.
    started: Instant,
}

impl<'t, D: PacketDevice, S: DatagramSocket> Decap<'t, D, S> {
    pub(crate) fn new(device: &'t D, socket: &'t S, coalesce: CoalesceOptions, context: &'t Context) -> Self {
        let [buffer, spare] = [(), ()].map(|()| vec![0; BUFFER_LEN].into_boxed_slice());
        let (peer, _) = context.endpoints.versioned();
        // They may have changed since `socket` was made.
        socket.follow();
        let (retry, mss_clamp) = (RetryDelay::default(), MssClamp::new(device, socket, context));
        let (changes, started) = (Allowance::default(), Instant::now());
        Self {
            device,
            socket,
            context,
            coalesce,
            buffer,
            spare,
            expects_one: false,
            retry,
            mss_clamp,
            peer,
            awaited: None,
            changes,
            started,
        }
    }

    /// Notices a change of the peer.
    fn follow_peer(&mut self) {
        if let Some((peer, endpoints)) = self.context.endpoints.newer_than(self.peer) {
            self.peer = peer;
            self.socket.follow();
            self.awaited = Some(endpoints.remote);
        }
    }

    fn receive(&mut self, expects_one: bool) -> io::Result<(Datagrams, Behind)> {
        let Some(remote) = self.awaited else {
            let received = if expects_one {
                self.socket.try_recv_two(&mut self.buffer, &mut self.spare)?
            } else {
                (self.socket.try_recv(&mut self.buffer)?, Behind::Unknown)
            };
            self.context.clock.mark_received(self.peer);
            return Ok(received);
        };
        let (datagrams, sender) = self.socket.try_recv_from(&mut self.buffer)?;
        if sender.is_some_and(|sender| (sender.ip(), sender.port()) == (remote.ip(), remote.port())) {
            self.awaited = None;
            self.context.clock.mark_received(self.peer);
        }
        Ok((datagrams, Behind::Unknown))
    }

    /// Writes the good packets of two receives to the device: those in the buffer, and those in the spare one.
    async fn take_two(&mut self, first: Datagrams, second: Datagrams) -> Result<(), Error> {
        let counters = &self.context.decap;
        self.take(first).await.inspect_err(|_gone| {
            let left = second.len.div_ceil(second.stride.max(1)).max(1);
            counters.received.add(left);
            counters.drop(DecapDrop::Closed, left);
        })?;
        mem::swap(&mut self.buffer, &mut self.spare);
        self.take(second).await
    }

    /// Writes the good packets of one receive to the device.
    async fn take(&mut self, mut datagrams: Datagrams) -> Result<(), Error> {
        let context = self.context;
        if let Some(overflow) = datagrams.overflow {
            context.receive_overflow.store(overflow, Ordering::Relaxed);
        }
        if context.probes.are_active() {
            let received = datagrams.len;
            self.remove_replies(&mut datagrams);
            if received > 0 && datagrams.len == 0 {
                return Ok(());
            }
        }
        context.decap.receives.add(1);
        if datagrams.len == 0 {
            context.decap.received.add(1);
            context.decap.drop(DecapDrop::Empty, 1);
            return Ok(());
        }
        let received = &mut self.buffer[..datagrams.len];
        let mut left = received.chunks_mut(datagrams.stride.max(1));
        context.decap.received.add(left.len());
        let mut inspector = Inspector { context, mss_clamp: &mut self.mss_clamp, outer_tos: datagrams.tos };
        let writer = Writer { context, device: self.device };
        let mut run = Run::new(self.coalesce);
        while let Some(datagram) = left.next() {
            let checked = if datagrams.truncated && left.len() == 0 {
                Err(DecapDrop::Truncated)
            } else {
                inspector.check(datagram)
            };
            match checked {
                Ok(packet) => writer.put(&mut run, &packet).await.inspect_err(|_gone| {
                    // The rest cannot be written either.
                    context.decap.drop(DecapDrop::Closed, 1 + left.len());
                })?,
                Err(reason) => context.decap.drop(reason, 1),
            }
        }
        writer.flush(&mut run).await
    }

    /// Takes replies to probes out of what was received. They are only in the statistics of the probe.
    fn remove_replies(&mut self, datagrams: &mut Datagrams) {
        let arrival = Arrival { tos: datagrams.tos, is_reassembled: datagrams.reassembled };
        let stride = datagrams.stride.max(1);
        let mut at = 0;
        while at < datagrams.len {
            let end = (at + stride).min(datagrams.len);
            let is_cut = datagrams.truncated && end == datagrams.len;
            let datagram = &self.buffer[at..end];
            let is_reply = EchoReply::may_be_in(datagram)
                && !is_cut
                && IpPacket::parse(datagram).is_ok_and(|packet| self.context.probes.take(&packet, arrival));
            if is_reply {
                self.buffer.copy_within(end..datagrams.len, at);
                datagrams.len -= end - at;
            } else {
                at = end;
            }
        }
    }
}

impl<D: PacketDevice, S: DatagramSocket> Pump for Decap<'_, D, S> {
    async fn drain(&mut self) -> Result<Drained, Error> {
        self.follow_peer();
        let expects_one = mem::take(&mut self.expects_one);
        for turn in 0..BUDGET {
            match self.receive(expects_one && turn == 0) {
                Ok((datagrams, behind)) => {
                    self.retry.succeeded();
                    self.expects_one = turn == 0 && datagrams.len == datagrams.stride;
                    match behind {
                        Behind::Unknown => self.take(datagrams).await?,
                        Behind::Datagrams(second) => {
                            self.expects_one = false;
                            self.take_two(datagrams, second).await?;
                        }
                        Behind::Nothing => {
                            self.take(datagrams).await?;
                            return self.take_others().await;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.take_others().await,
                Err(error) => {
                    // Usually an ICMP error for an earlier datagram; nothing was received.
                    self.context.socket_failed(&error);
                    if error.raw_os_error() == Some(libc::EMSGSIZE) {
                        self.context.path_mtu_reported.store(true, Ordering::Relaxed);
                    }
                    self.retry.failed().await;
                }
            }
            if self.context.shutdown.is_requested() {
                return Ok(Drained::Budget);
            }
        }
        self.take_others().await?;
        Ok(Drained::Budget)
    }

    async fn ready(&mut self) -> Result<(), Error> {
        let ready = self.socket.readable().await;
        ready.map_err(|cause| Error::system("epoll_ctl", &cause, "waiting for the socket"))
    }
}

/// Checks the datagrams of one receive.
struct Inspector<'c, 't, D, S> {
    context: &'t Context,
    mss_clamp: &'c mut MssClamp<'t, D, S>,
    /// The TOS octet of the datagrams.
    outer_tos: u8,
}

impl<D: PacketDevice, S: DatagramSocket> Inspector<'_, '_, D, S> {
    /// The packet in `datagram`, or why it is dropped.
    fn check<'b>(&mut self, datagram: &'b mut [u8]) -> Result<IpPacket<&'b [u8]>, DecapDrop> {
        let mut packet = IpPacket::parse_mut(datagram).map_err(|invalid| match invalid {
            Invalid::Empty => DecapDrop::Empty,
            Invalid::Malformed => DecapDrop::Malformed,
        })?;
        let allowed_sources = self.context.allowed_sources.as_ref();
        if allowed_sources.is_some_and(|sources| !sources.allows(&packet)) {
            return Err(DecapDrop::SourceNotAllowed);
        }
        match receive_ecn(&mut packet, self.outer_tos) {
            EcnArrival::Quiet => {}
            EcnArrival::Marked => self.context.decap.congestion_marks.add(1),
            EcnArrival::Illegal => return Err(DecapDrop::EcnIllegal),
        }
        self.mss_clamp.apply(&mut packet);
        Ok(packet.into_shared())
    }
}

/// Writes packets to the device.
struct Writer<'t, D> {
    context: &'t Context,
    device: &'t D,
}

impl<D: PacketDevice> Writer<'_, D> {
    /// Adds `packet` to `run`; if it does not continue the run, writes the run first. Fails when the device is gone: then the packet is
    /// not in the run.
    async fn put<'b>(&self, run: &mut Run<'b>, packet: &IpPacket<&'b [u8]>) -> Result<(), Error> {
        if !run.push(packet) {
            self.flush(run).await?;
            run.push(packet);
        }
        Ok(())
    }

    /// Writes `run` as one super-packet, or, where the device does not accept that, packet by packet, and empties it.
    async fn flush(&self, run: &mut Run<'_>) -> Result<(), Error> {
        if run.is_empty() {
            return Ok(());
        }
        let packets = run.packets().map(|packet| (packet, &[][..]));
        self.context.taps.offer(Direction::Inbound, &self.context.clock, packets);
        let written = self.write_run(run).await;
        run.clear();
        written
    }

    async fn write_run(&self, run: &mut Run<'_>) -> Result<(), Error> {
        let packets = run.len();
        match self.write_merged(run).await {
            Ok(()) => {
                self.written(packets, run.packets().map(<[u8]>::len).sum());
                Ok(())
            }
            Err(Refused::By(error)) if packets > 1 && !is_gone(&error) && !is_down(&error) => {
                self.write_singly(run.packets()).await
            }
            Err(refused) => self.lost(packets, refused),
        }
    }

    async fn write_singly(&self, mut packets: impl ExactSizeIterator<Item = &[u8]>) -> Result<(), Error> {
        let header = VirtioNetHeader::NONE.encode();
        while let Some(packet) = packets.next() {
            match self.write(&[IoSlice::new(&header), IoSlice::new(packet)]).await {
                Ok(()) => self.written(1, packet.len()),
                Err(refused) => self.lost(1, refused).inspect_err(|_| {
                    self.context.decap.drop(DecapDrop::Closed, packets.len());
                })?,
            }
        }
        Ok(())
    }

    async fn write_merged(&self, run: &mut Run<'_>) -> Result<(), Refused> {
        let mut slices = [IoSlice::new(&[]); Run::MAX_PIECES];
        // Packets that cannot be written together are written one by one.
        let together = run.gather(&mut slices).ok_or_else(|| Refused::By(io::ErrorKind::InvalidInput.into()));
        self.write(together?).await
    }

    async fn write(&self, pieces: &[IoSlice<'_>]) -> Result<(), Refused> {
        let write = || self.device.try_send(pieces);
        when_possible(self.context, write, async || self.device.writable().await).await
    }

    fn written(&self, packets: usize, bytes: usize) {
        let counters = &self.context.decap;
        counters.writes.add(1);
        counters.packets.add(packets);
        counters.bytes.add(bytes);
    }

    /// Counts packets that the device did not accept; returns an error when the device is gone.
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

/// A device that is down accepts no packets (`tun_get_user`: EIO).
fn is_down(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}
