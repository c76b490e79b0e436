//! Encapsulation, device to network: reads packets and super-packets, rebuilds headers, sends many datagrams at once.

use std::{io, mem};

use ttun_packet::{IpPacket, LoopGuard, Segments, Verdict, VirtioNetHeader, must_not_be_fragmented};

use crate::answer::Answers;
use crate::backlog::Waiting;
use crate::error::Error;
use crate::io::{DatagramSocket, DeviceRead, PacketDevice};
use crate::mss::MssClamp;
use crate::outflow::Outflow;
use crate::pump::{Drained, Pump, RetryDelay, is_gone};
use crate::shared::{Context, Trouble};
use crate::stats::EncapDrop;
use crate::tap::Direction;

/// The longest packet of a read: an IP total length of 16 bits, with room for an IPv6 header whose
/// payload length is counted without it.
const MAX_READ: usize = 65_535 + 40;

/// Room for pending packets and for the next read, several times over.
const BUFFER_LEN: usize = 4 * MAX_READ;

/// Limits of reading before the other direction gets its turn: more would delay the acknowledgements that a
/// single thread must carry back, less would cut short the runs of small packets that share a send.
const BUDGET_READS: usize = 64;
const BUDGET_BYTES: usize = 256 * 1024;

/// The pump from device to network.
pub(crate) struct Encap<'t, D, S> {
    device: &'t D,
    context: &'t Context,
    /// Packets that were read but not sent yet, in order of reading.
    buffer: Box<[u8]>,
    /// Where in `buffer` the next read goes.
    read_at: usize,
    retry: RetryDelay,
    outflow: Outflow<'t, S>,
    loop_guard: LoopGuard,
    mss_clamp: MssClamp<'t, D, S>,
    answers: Answers<'t>,
    /// The version of the endpoints that the guard knows.
    peer: u32,
    /// Whether the thread was last woken for a single packet. Then it is probably one again, and it leaves before the device is asked for
    /// more.
    expects_one: bool,
}

impl<'t, D: PacketDevice, S: DatagramSocket> Encap<'t, D, S> {
    pub(crate) fn new(device: &'t D, socket: &'t S, context: &'t Context) -> Self {
        let buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        let (retry, outflow) = (RetryDelay::default(), Outflow::new(socket, context));
        let (peer, endpoints) = context.endpoints.versioned();
        let loop_guard = LoopGuard::new(endpoints.local, endpoints.remote);
        let mss_clamp = MssClamp::new(device, socket, context);
        Self {
            device,
            context,
            buffer,
            read_at: 0,
            retry,
            outflow,
            loop_guard,
            mss_clamp,
            answers: Answers::new(context),
            peer,
            expects_one: false,
        }
    }

    /// Notices a change of the peer, or of the local address.
    fn follow_peer(&mut self) {
        if let Some((peer, endpoints)) = self.context.endpoints.newer_than(self.peer) {
            self.peer = peer;
            self.loop_guard = LoopGuard::new(endpoints.local, endpoints.remote);
        }
    }

    /// Finds room for one read, without overwriting pending packets. The last used room is reused as soon as
    /// possible: it is in the processor's cache.
    fn make_room(&mut self) {
        if self.outflow.is_queueing()
            || self.outflow.sender().batch().packets() == 0
            || self.read_at + MAX_READ > self.buffer.len()
        {
            self.read_at = 0;
        }
        let room = self.read_at..self.read_at + MAX_READ;
        let overlaps = |first: usize| room.contains(&first);
        if !self.outflow.is_queueing() && self.outflow.sender().batch().first_byte().is_some_and(overlaps) {
            self.outflow.flush(&self.buffer);
        }
    }

    /// Sends what was read.
    fn flush(&mut self) {
        if !self.outflow.is_queueing() {
            self.outflow.flush(&self.buffer);
        }
    }

    fn read_succeeded(&mut self) {
        if self.retry.succeeded() {
            self.context.problems.clear(Trouble::Reads);
        }
    }

    async fn read_failed(&mut self, error: &io::Error) {
        let context = self.context;
        context.encap.read_errors.add(1);
        if self.retry.failed().await {
            let doing = format!("reading from the device {}", context.device_facts.name());
            context.problems.set(Trouble::Reads, Error::system("readv", error, &doing));
        }
    }

    /// Adds the packets of one read to the batch, which is sent whenever the next one does not fit. Where packets wait already, they wait
    /// behind them.
    fn take(&mut self, read: &DeviceRead) {
        let context = self.context;
        let counters = &context.encap;
        counters.reads.add(1);
        let start = self.read_at;
        let place = start..start + read.len;
        let malformed = || {
            counters.received.add(1);
            counters.drop(EncapDrop::Malformed, 1);
        };
        let Ok(mut packet) = IpPacket::parse_mut(&mut self.buffer[place.clone()]) else { return malformed() };
        let Ok(segments) = Segments::new(read.virtio, &mut packet) else { return malformed() };
        let count = segments.count();
        counters.received.add(count);
        let verdict = self.loop_guard.examine(&packet, segments.header_len() > 0);
        if verdict == Verdict::Loops {
            counters.drop(EncapDrop::RoutingLoop, count);
            return;
        }
        let longest = segments.packet_len(0);
        if let Some(mtu) = self.outflow.sender().path_mtu().exceeded_by(longest)
            && must_not_be_fragmented(&packet, longest)
        {
            counters.drop(EncapDrop::TooBig, count);
            self.answers.send(self.device, &segments, &self.buffer[place], mtu);
            return;
        }
        if segments.header_len() == 0 {
            self.mss_clamp.apply(&mut packet);
        }
        let inner_tos = packet.tos();
        let waiting = |bytes: &[u8]| Waiting { bytes: bytes.into(), segments, verdict, tos: inner_tos };
        if self.outflow.is_queueing() {
            return self.outflow.enqueue(waiting(&self.buffer[place]), 0);
        }
        let header_len = segments.header_len();
        let tos = context.outer_tos.of(inner_tos);
        for index in 0..count {
            let len = segments.packet_len(index);
            if !self.outflow.sender().fits(len, tos) {
                self.outflow.flush(&self.buffer);
                if self.outflow.is_queueing() {
                    return self.outflow.enqueue(waiting(&self.buffer[place]), index);
                }
            }
            let (batch, packet) = (self.outflow.sender().batch(), &self.buffer[place.clone()]);
            let header = batch.header_room(header_len);
            let Some(payload) = segments.write_header(index, packet, header) else {
                counters.drop(EncapDrop::Malformed, 1);
                continue;
            };
            if let Verdict::EachPayload(outside) = verdict
                && self.loop_guard.loops_inside(outside, payload)
            {
                counters.drop(EncapDrop::RoutingLoop, 1);
                continue;
            }
            context.taps.offer(Direction::Outbound, &context.clock, [(&*header, payload)]);
            let payload = segments.payload(index);
            batch.push(len, tos, start + payload.start..start + payload.end, header_len);
        }
        self.read_at = place.end;
    }
}

impl<D: PacketDevice, S: DatagramSocket> Pump for Encap<'_, D, S> {
    async fn drain(&mut self) -> Result<Drained, Error> {
        self.follow_peer();
        self.outflow.follow();
        self.outflow.resume(&mut self.loop_guard);
        let expects_one = mem::take(&mut self.expects_one);
        let mut bytes = 0;
        for turn in 0..BUDGET_READS {
            if !self.outflow.accepts() {
                return Ok(Drained::All);
            }
            self.make_room();
            match self.device.try_recv(&mut self.buffer[self.read_at..]) {
                Ok(read) => {
                    self.read_succeeded();
                    bytes += read.len;
                    self.take(&read);
                    self.expects_one = turn == 0 && read.virtio.gso_type == VirtioNetHeader::GSO_NONE;
                    if expects_one && self.expects_one {
                        self.flush();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.read_succeeded();
                    self.flush();
                    return Ok(Drained::All);
                }
                Err(error) if is_gone(&error) => {
                    self.flush();
                    return Err(self.context.device_gone("readv", &error));
                }
                Err(error) => self.read_failed(&error).await,
            }
            if bytes >= BUDGET_BYTES || self.context.shutdown.is_requested() {
                break;
            }
        }
        self.flush();
        Ok(Drained::Budget)
    }

    async fn ready(&mut self) -> Result<(), Error> {
        let Self { outflow, device, .. } = self;
        tokio::select! {
            biased;
            room = outflow.room(), if outflow.is_queueing() => {
                room.map_err(|cause| Error::system("epoll_ctl", &cause, "waiting for the socket"))
            }
            ready = device.readable(), if outflow.accepts() => {
                ready.map_err(|cause| Error::system("epoll_ctl", &cause, "waiting for the device"))
            }
        }
    }
}

impl<D, S> Drop for Encap<'_, D, S> {
    fn drop(&mut self) {
        self.outflow.abandon();
    }
}
