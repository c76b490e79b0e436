//! Device to network: reads packets and super-packets, rebuilds headers, sends many datagrams at once.

mod batch;
mod send;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use ttun_packet::{Segments, clamp_mss, is_routing_loop, is_tcp_syn};

use crate::backoff::{Backoff, is_gone};
use crate::error::Error;
use crate::pump::{self, Drained, Pump};
use crate::pumps::Context;
use crate::seam::{DatagramSocket, DeviceRead, PacketDevice};
use crate::stats::EncapDrop;
use crate::watch::Direction;

use batch::Batch;

/// The longest packet a read can bring: an IP total length of 16 bits, with room for an IPv6 header whose
/// payload length is counted without it.
const MAX_READ: usize = 65_535 + 40;

/// Room for what waits to be sent and for the read that follows it, a few times over.
const BUFFER_LEN: usize = 4 * MAX_READ;

/// What may be read before the other direction gets its turn: more holds up the acknowledgements that a
/// single thread must carry back, less cuts short the runs of small packets that share a send.
const BUDGET_READS: usize = 64;
const BUDGET_BYTES: usize = 256 * 1024;

/// The pump from device to network.
pub(crate) struct Encap<'t, D, S> {
    device: D,
    socket: S,
    context: &'t Context,
    /// What was read and not sent yet, in order of reading.
    buffer: Box<[u8]>,
    /// Where in `buffer` the next read goes.
    read_at: usize,
    batch: Batch,
    /// The peer, as last seen, and which one that is.
    remote: SocketAddr,
    peer: u32,
    /// Datagrams that one send may carry: what the kernel granted, and what is left of that on the way to the peer.
    granted_segments: usize,
    segments_per_send: usize,
    /// The longest packet that fits the route to the peer as one unfragmented datagram, as last asked.
    unfragmented_len: usize,
    backoff: Backoff,
    /// When it was last tried to recover the socket, ms of uptime.
    recovery_tried: Cell<u64>,
}

impl<'t, D: PacketDevice, S: DatagramSocket> Encap<'t, D, S> {
    pub(crate) fn new(device: D, socket: S, context: &'t Context) -> Self {
        let granted_segments = context.segments_per_send.load(Ordering::Relaxed);
        let (peer, endpoints) = context.endpoints.versioned();
        let mut encap = Self {
            device,
            socket,
            context,
            buffer: vec![0; BUFFER_LEN].into_boxed_slice(),
            read_at: 0,
            batch: Batch::new(),
            remote: endpoints.remote,
            peer,
            granted_segments,
            segments_per_send: granted_segments,
            unfragmented_len: 0,
            backoff: Backoff::default(),
            recovery_tried: Cell::new(0),
        };
        encap.learn_path_mtu();
        encap
    }

    /// Runs until the tunnel is closed (`Ok`) or the device is gone (`Err`).
    pub(crate) async fn run(&mut self) -> Result<(), Error> {
        pump::run(self, self.context).await
    }

    /// Looks whether the peer has changed. Another may be reached by another interface, with another MTU, that can segment
    /// where the one before could not.
    fn follow_peer(&mut self) {
        if let Some((peer, endpoints)) = self.context.endpoints.newer_than(self.peer) {
            self.peer = peer;
            self.remote = endpoints.remote;
            self.segments_per_send = self.granted_segments;
            self.context.segments_per_send.store(self.granted_segments, Ordering::Relaxed);
            self.learn_path_mtu();
        }
    }

    /// Finds room for one read, over nothing that still waits to be sent. What was used last is used again as soon as
    /// it may be: it is in the processor's cache.
    async fn make_room(&mut self) {
        if self.batch.packets() == 0 || self.read_at + MAX_READ > self.buffer.len() {
            self.read_at = 0;
        }
        let room = self.read_at..self.read_at + MAX_READ;
        if self.batch.first_byte().is_some_and(|first| room.contains(&first)) {
            self.flush().await;
        }
    }

    /// Puts the packets of one read in line for sending.
    async fn take(&mut self, read: &DeviceRead) {
        let context = self.context;
        let counters = &context.encap;
        counters.reads.add(1);
        let start = self.read_at;
        let packet = self.buffer.get_mut(start..start + read.len).unwrap_or(&mut []);
        let Ok(segments) = Segments::new(read.virtio, packet) else {
            counters.received.add(1);
            counters.drop(EncapDrop::Malformed, 1);
            return;
        };
        let count = segments.count();
        counters.received.add(count);
        if is_routing_loop(packet, &self.remote) {
            counters.drop(EncapDrop::RoutingLoop, count);
            return;
        }
        // A super-packet's headers have been read already; the kernel makes none of a SYN.
        let may_clamp = context.clamp_mss && segments.header_len() == 0;
        if may_clamp
            && is_tcp_syn(packet)
            && let Some(path_mtu) = self.socket.path_mtu()
        {
            clamp_mss(packet, context.inner_mtu(path_mtu));
        }
        let watched = context.watch.admit(Direction::Outbound, count, &context.clock);
        let header_len = segments.header_len();
        for index in 0..count {
            let len = segments.packet_len(index);
            // Segments are never fragmented, so what is too long for the route goes alone.
            let longest = len.max(self.batch.segment_len());
            let most = if longest > self.unfragmented_len { 1 } else { self.segments_per_send };
            if !self.batch.fits(len, most) {
                self.flush().await;
            }
            let packet = self.buffer.get(start..start + read.len).unwrap_or(&[]);
            let payload = segments.payload(index);
            let header = self.batch.push(len, start + payload.start..start + payload.end, header_len);
            segments.write_header(index, packet, header);
            if let Some(watched) = &watched {
                context.watch.copy(watched, index, header, packet.get(payload).unwrap_or(&[]));
            }
        }
        self.read_at = start + read.len;
    }
}

impl<D: PacketDevice, S: DatagramSocket> Pump for Encap<'_, D, S> {
    async fn drain(&mut self) -> Result<Drained, Error> {
        self.follow_peer();
        let mut bytes = 0;
        for _ in 0..BUDGET_READS {
            self.make_room().await;
            let room = self.buffer.get_mut(self.read_at..).unwrap_or(&mut []);
            match self.device.try_recv(room) {
                Ok(read) => {
                    self.backoff.succeeded();
                    bytes += read.len;
                    self.take(&read).await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.flush().await;
                    return Ok(Drained::All);
                }
                Err(error) if is_gone(&error) => {
                    self.flush().await;
                    return Err(self.context.device_gone("readv", &error));
                }
                Err(_) => self.backoff.failed().await,
            }
            if bytes >= BUDGET_BYTES || self.context.shutdown.is_requested() {
                break;
            }
        }
        self.flush().await;
        Ok(Drained::Budget)
    }

    async fn ready(&self) -> Result<(), Error> {
        let ready = self.device.readable().await;
        ready.map_err(|cause| Error::system("epoll_ctl", &cause, "waiting for the device"))
    }
}
