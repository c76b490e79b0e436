//! A connected UDP socket in memory, with segmentation offload both ways.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;

use super::{faults::Faults, gate::Gate, lane::Lane};
use crate::endpoints::{Arrival, Endpoints, SharedEndpoints};
use crate::error::{Error, ErrorKind};
use crate::io::{Behind, DatagramSocket, Datagrams, Fragmentation, Outer};

/// The largest payload of an IPv4 datagram, bytes.
const LONGEST_DATAGRAM: usize = 65_507;

/// Outer IPv4 and UDP headers, bytes.
const OVERHEAD: usize = 28;

/// Most datagrams in one send, and in one receive.
const MOST_SEGMENTS: usize = 64;

/// A socket whose network is the test or another of its kind.
#[derive(Clone)]
pub(in crate::tests) struct FakeSocket(Rc<State>);

struct State {
    outgoing: Rc<Lane>,
    incoming: Rc<Lane>,
    sender: Cell<SocketAddr>,
    path_mtu: Cell<Option<usize>>,
    /// The error for a segment that is too long for the route.
    refusal: Cell<i32>,
    segments: Cell<bool>,
    joins: Cell<bool>,
    overflow: Cell<Option<u32>>,
    sends: RefCell<Vec<usize>>,
    bytes_sent: Cell<usize>,
    unfragmented: RefCell<Vec<Vec<u8>>>,
    fragmented: Cell<usize>,
    receives: Cell<usize>,
    received: Cell<usize>,
    others: RefCell<VecDeque<(Arrival, Vec<u8>)>>,
    /// Whether there is a route to anyone who is to be the peer.
    reaches_others: Cell<bool>,
    received_at_last_send: Cell<usize>,
    longest_without_send: Cell<usize>,
    send_faults: Faults,
    receive_faults: Faults,
    recoveries: Cell<usize>,
    path_mtu_questions: Cell<usize>,
    /// What the next lookup of the route finds.
    route_mtu: Cell<Option<usize>>,
    route_lookups: Cell<usize>,
    limits: RefCell<Vec<usize>>,
    /// Whether the last of them counts.
    keeps_to_limits: Cell<bool>,
}

impl FakeSocket {
    pub(in crate::tests) fn new(outgoing: Rc<Lane>, incoming: Rc<Lane>) -> Self {
        Self(Rc::new(State {
            outgoing,
            incoming,
            sender: Cell::new("192.0.2.2:8000".parse().unwrap()),
            path_mtu: Cell::new(Some(1500)),
            refusal: Cell::new(libc::EMSGSIZE),
            segments: Cell::new(true),
            joins: Cell::new(true),
            overflow: Cell::new(None),
            sends: RefCell::default(),
            bytes_sent: Cell::new(0),
            unfragmented: RefCell::default(),
            fragmented: Cell::new(0),
            receives: Cell::new(0),
            received: Cell::new(0),
            others: RefCell::default(),
            reaches_others: Cell::new(true),
            received_at_last_send: Cell::new(0),
            longest_without_send: Cell::new(0),
            send_faults: Faults::default(),
            receive_faults: Faults::default(),
            recoveries: Cell::new(0),
            path_mtu_questions: Cell::new(0),
            route_mtu: Cell::new(Some(1500)),
            route_lookups: Cell::new(0),
            limits: RefCell::default(),
            keeps_to_limits: Cell::new(false),
        }))
    }

    /// Datagrams come from the peer.
    pub(in crate::tests) fn arrive(&self, datagrams: &[Vec<u8>]) {
        self.arrive_with(0, datagrams);
    }

    /// The same, in datagrams with the TOS octet `tos`.
    pub(in crate::tests) fn arrive_with(&self, tos: u8, datagrams: &[Vec<u8>]) {
        self.0.incoming.push(tos, datagrams.iter().cloned());
    }

    /// Datagrams come from `from`, who is not the peer, to `to`.
    pub(in crate::tests) fn arrive_from(&self, from: &str, to: &str, datagrams: &[Vec<u8>]) {
        let arrival = Arrival { from: from.parse().unwrap(), to: to.parse().unwrap() };
        self.0.others.borrow_mut().extend(datagrams.iter().map(|datagram| (arrival, datagram.clone())));
        self.reader().changed();
    }

    /// Those that wait to be received.
    pub(in crate::tests) fn others_waiting(&self) -> usize {
        self.0.others.borrow().len()
    }

    /// There is no route to anyone who is to be the peer.
    pub(in crate::tests) fn reach_no_others(&self) {
        self.0.reaches_others.set(false);
    }

    /// Datagrams received from now on were sent from `address`.
    pub(in crate::tests) fn speak_as(&self, address: &str) {
        self.0.sender.set(address.parse().unwrap());
    }

    /// Datagrams that wait to be received.
    pub(in crate::tests) fn waiting(&self) -> usize {
        self.0.incoming.len()
    }

    /// Takes what was sent off the wire.
    pub(in crate::tests) fn sent(&self) -> Vec<Vec<u8>> {
        self.sent_with_tos().into_iter().map(|(_, datagram)| datagram).collect()
    }

    /// The same, with the TOS octet of each datagram; 0 where that was left to the socket.
    pub(in crate::tests) fn sent_with_tos(&self) -> Vec<(u8, Vec<u8>)> {
        std::iter::from_fn(|| self.0.outgoing.pop()).collect()
    }

    /// What was sent never to be fragmented, whether or not it fitted the path.
    pub(in crate::tests) fn sent_unfragmented(&self) -> Vec<Vec<u8>> {
        self.0.unfragmented.borrow().clone()
    }

    /// The number of datagrams of each send that may be fragmented.
    pub(in crate::tests) fn sends(&self) -> Vec<usize> {
        self.0.sends.borrow().clone()
    }

    /// Attempts to recover the socket.
    pub(in crate::tests) fn recoveries(&self) -> usize {
        self.0.recoveries.get()
    }

    /// How often the MTU of the route was queried.
    pub(in crate::tests) fn path_mtu_questions(&self) -> usize {
        self.0.path_mtu_questions.get()
    }

    /// Bytes of all datagrams sent.
    pub(in crate::tests) fn bytes_sent(&self) -> usize {
        self.0.bytes_sent.get()
    }

    /// Datagrams that were longer than the route's MTU.
    pub(in crate::tests) fn fragmented(&self) -> usize {
        self.0.fragmented.get()
    }

    /// Receives that brought something.
    pub(in crate::tests) fn receives(&self) -> usize {
        self.0.receives.get()
    }

    /// Datagrams received.
    pub(in crate::tests) fn received(&self) -> usize {
        self.0.received.get()
    }

    /// Most datagrams received between one send and the next.
    pub(in crate::tests) fn longest_without_send(&self) -> usize {
        self.0.longest_without_send.get()
    }

    /// Lets no more than `room` datagrams wait on the wire.
    pub(in crate::tests) fn limit(&self, room: Option<usize>) {
        self.0.outgoing.limit(room);
    }

    pub(in crate::tests) fn set_path_mtu(&self, mtu: Option<usize>) {
        self.0.path_mtu.set(mtu);
        self.0.route_mtu.set(mtu);
    }

    /// The route has changed, which the socket finds out when it looks it up.
    pub(in crate::tests) fn change_route(&self, mtu: Option<usize>) {
        self.0.route_mtu.set(mtu);
    }

    /// How often the route was looked up.
    pub(in crate::tests) fn route_lookups(&self) -> usize {
        self.0.route_lookups.get()
    }

    /// The limits of what may be unsent, in turn, bytes.
    pub(in crate::tests) fn limits(&self) -> Vec<usize> {
        self.0.limits.borrow().clone()
    }

    /// What was sent is unsent until it [leaves](Self::leave), and limited as the tunnel asks for.
    pub(in crate::tests) fn keep_to_limits(&self) {
        self.0.keeps_to_limits.set(true);
    }

    /// The link takes whole datagrams of up to `bytes` together. Returns how many bytes it may take in addition the next time.
    pub(in crate::tests) fn leave(&self, mut bytes: usize) -> usize {
        while let Some((_, len)) = self.0.outgoing.front() {
            if len > bytes {
                return bytes;
            }
            self.0.outgoing.pop();
            bytes -= len;
        }
        0
    }

    /// Refuses segments that are too long for the route with `errno`.
    pub(in crate::tests) fn refuse_long_segments_with(&self, errno: i32) {
        self.0.refusal.set(errno);
    }

    /// The interface cannot segment from now on.
    pub(in crate::tests) fn lose_segmentation(&self) {
        self.0.segments.set(false);
    }

    /// Each receive brings one datagram from now on.
    pub(in crate::tests) fn receive_singly(&self) {
        self.0.joins.set(false);
    }

    /// Tells of `count` datagrams lost so far to a full buffer.
    pub(in crate::tests) fn set_overflow(&self, count: u32) {
        self.0.overflow.set(Some(count));
    }

    pub(in crate::tests) fn send_faults(&self) -> &Faults {
        &self.0.send_faults
    }

    pub(in crate::tests) fn receive_faults(&self) -> &Faults {
        self.0.incoming.reader.changed();
        &self.0.receive_faults
    }

    /// Every send fails with `errno` until `None` is given.
    pub(in crate::tests) fn fail_sends(&self, errno: Option<i32>) {
        self.0.send_faults.last(errno);
        self.writer().changed();
    }

    /// Every receive fails with `errno` until `None` is given.
    pub(in crate::tests) fn fail_receives(&self, errno: Option<i32>) {
        self.0.receive_faults.last(errno);
        self.reader().changed();
    }

    pub(in crate::tests) fn is_reader_parked(&self) -> bool {
        self.reader().is_parked()
    }

    /// Whether a pump is about to look whether it can receive, or send.
    pub(in crate::tests) fn is_woken(&self) -> bool {
        self.reader().is_woken() || self.writer().is_woken()
    }

    pub(in crate::tests) fn is_writer_parked(&self) -> bool {
        self.writer().is_parked()
    }

    fn reader(&self) -> &Gate {
        &self.0.incoming.reader
    }

    fn writer(&self) -> &Gate {
        &self.0.outgoing.writer
    }

    /// As a send buffer does, it takes a whole send while there is any room.
    fn has_room(&self) -> bool {
        let limit = self.0.limits.borrow().last().copied();
        self.0.outgoing.has_room() && self.unsent().zip(limit).is_none_or(|(unsent, limit)| unsent < limit)
    }

    /// The kernel's checks before it splits a send into segments (udp_send_skb in net/ipv4/udp.c).
    fn check_segments(&self, len: usize, segment_len: usize) -> Result<(), i32> {
        let route_takes = self.0.path_mtu.get().unwrap_or(usize::MAX) - OVERHEAD;
        if !self.0.segments.get() {
            Err(libc::EIO)
        } else if segment_len == 0 || len.div_ceil(segment_len) > MOST_SEGMENTS {
            Err(libc::EINVAL)
        } else if segment_len > route_takes {
            Err(self.0.refusal.get())
        } else {
            Ok(())
        }
    }
}

impl DatagramSocket for FakeSocket {
    fn try_send(&self, pieces: &[IoSlice<'_>], outer: Outer) -> io::Result<()> {
        self.0.send_faults.strike()?;
        if !self.has_room() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes = pieces.iter().map(|piece| &**piece).collect::<Vec<_>>().concat();
        if bytes.len() > LONGEST_DATAGRAM {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        let stride = match outer.segment_len.map(usize::from) {
            Some(stride) => {
                self.check_segments(bytes.len(), stride).map_err(io::Error::from_raw_os_error)?;
                stride
            }
            None => bytes.len().max(1),
        };
        let datagrams: Vec<_> = bytes.chunks(stride).map(<[u8]>::to_vec).collect();
        let route_takes = self.0.path_mtu.get().map_or(usize::MAX, |mtu| mtu - OVERHEAD);
        if outer.fragmentation == Fragmentation::Never {
            self.0.unfragmented.borrow_mut().extend(datagrams.iter().cloned());
        }
        let is_whole = outer.fragmentation == Fragmentation::Never;
        let too_long = datagrams.iter().filter(|datagram| datagram.len() > route_takes && !is_whole);
        let fragmented = too_long.count();
        self.0.fragmented.set(self.0.fragmented.get() + fragmented);
        self.0.bytes_sent.set(self.0.bytes_sent.get() + bytes.len());
        let since_last = self.0.received.get() - self.0.received_at_last_send.replace(self.0.received.get());
        self.0.longest_without_send.set(self.0.longest_without_send.get().max(since_last));
        self.0.sends.borrow_mut().push(datagrams.len());
        self.0.outgoing.push(outer.tos.unwrap_or(0), datagrams);
        Ok(())
    }

    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Datagrams> {
        self.0.receive_faults.strike()?;
        let Some((tos, first)) = self.0.incoming.pop() else { return Err(io::ErrorKind::WouldBlock.into()) };
        let stride = first.len();
        let mut count = 1;
        let mut bytes = first;
        // As the kernel joins them: equal ones, the last may be shorter (udp_gro_receive_segment).
        while self.0.joins.get() && count < MOST_SEGMENTS && bytes.len() == count * stride {
            let Some((_, next)) = self.0.incoming.front().filter(|(other, _)| *other == tos) else { break };
            if next == 0 || next > stride || bytes.len() + next > LONGEST_DATAGRAM {
                break;
            }
            bytes.extend(self.0.incoming.pop().unwrap_or_default().1);
            count += 1;
        }
        self.0.receives.set(self.0.receives.get() + 1);
        self.0.received.set(self.0.received.get() + count);
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        let truncated = len < bytes.len();
        let overflow = self.0.overflow.get();
        Ok(Datagrams { len, stride: stride.min(len), truncated, overflow, tos, reassembled: false })
    }

    fn try_recv_two(&self, first: &mut [u8], second: &mut [u8]) -> io::Result<(Datagrams, Behind)> {
        let datagrams = self.try_recv(first)?;
        Ok(match self.try_recv(second) {
            Ok(behind) => (datagrams, Behind::Datagrams(behind)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (datagrams, Behind::Nothing),
            Err(error) => {
                // The next receive reports it.
                self.0.receive_faults.next([error.raw_os_error()]);
                (datagrams, Behind::Unknown)
            }
        })
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(Datagrams, Option<SocketAddr>)> {
        Ok((self.try_recv(buffer)?, Some(self.0.sender.get())))
    }

    fn try_recv_other(&self, buffer: &mut [u8]) -> io::Result<(Datagrams, Arrival)> {
        let other = self.0.others.borrow_mut().pop_front();
        let (arrival, bytes) = other.ok_or(io::ErrorKind::WouldBlock)?;
        self.0.receives.set(self.0.receives.get() + 1);
        self.0.received.set(self.0.received.get() + 1);
        let len = bytes.len();
        buffer[..len].copy_from_slice(&bytes);
        Ok((
            Datagrams { len, stride: len, truncated: false, overflow: None, tos: 0, reassembled: false },
            arrival,
        ))
    }

    fn adopt(&self, Arrival { from, to }: Arrival) -> Result<Endpoints, Error> {
        if !self.0.reaches_others.get() {
            return Err(Error::new(ErrorKind::NoRoute, "there is no route"));
        }
        Ok(Endpoints { local: to, remote: from })
    }

    fn path_mtu(&self) -> Option<usize> {
        self.0.path_mtu_questions.set(self.0.path_mtu_questions.get() + 1);
        self.0.path_mtu.get()
    }

    fn fresh_path_mtu(&self, _endpoints: &SharedEndpoints) -> Option<usize> {
        self.0.route_lookups.set(self.0.route_lookups.get() + 1);
        self.0.path_mtu.set(self.0.route_mtu.get());
        self.0.path_mtu.get()
    }

    fn recover(&self, _now: Endpoints) -> Result<Option<Endpoints>, Error> {
        self.0.recoveries.set(self.0.recoveries.get() + 1);
        Ok(None)
    }

    fn unsent(&self) -> Option<usize> {
        self.0.keeps_to_limits.get().then(|| self.0.outgoing.bytes())
    }

    fn limit_unsent(&self, bytes: usize) -> io::Result<()> {
        self.0.limits.borrow_mut().push(bytes);
        Ok(())
    }

    async fn readable(&self) -> io::Result<()> {
        let State { incoming, receive_faults, .. } = &*self.0;
        let something =
            || incoming.len() > 0 || receive_faults.is_pending() || !self.0.others.borrow().is_empty();
        self.reader().wait(|| !receive_faults.blocks() && something()).await;
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        self.writer().wait(|| !self.0.send_faults.blocks() && self.has_room()).await;
        Ok(())
    }
}
