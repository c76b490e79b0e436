//! Sending a batch to the peer, and what to do when the kernel refuses it.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;

use crate::batch::{Batch, MAX_BYTES, MAX_PIECES};
use crate::io::{DatagramSocket, Outer};
use crate::path_mtu::PathMtu;
use crate::recovery::{Recovery, makes_room};
use crate::refusal::{reason, refuses_segments};
use crate::shared::Context;
use crate::stats::EncapDrop;
use crate::trial::{Trials, discarded, is_tcp};

/// Attempts at a send: after one error unrelated to the packets, such as a lack of memory, the next may succeed.
const ATTEMPTS: usize = 2;

/// How many errors from the network, for earlier datagrams, a send survives. Not even a flood of ICMP errors brings as many
/// between as many calls.
const MOST_ANSWERS: usize = 64;

/// The same for a send after which the packets are sent one by one.
const MOST_ANSWERS_TOGETHER: usize = 4;

/// After a lookup found no route to the peer, how long further errors do not cause another one, ms: they come with every packet.
const NO_ROUTE_FOR_MS: u64 = 100;

/// How long an interface that cannot segment is assumed to stay that way, ms, unless the network changes.
const SEGMENT_AGAIN_AFTER_MS: u64 = 60_000;

/// The rest of a packet without content.
static ZEROS: [u8; MAX_BYTES] = [0; MAX_BYTES];

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// All of it was sent, or dropped.
    All,
    /// The socket accepts no more at the moment.
    Blocked,
}

/// What became of a send of many packets.
enum Together {
    /// They were sent, or dropped.
    Done,
    Blocked,
    /// Each has to be sent on its own.
    Refused,
}

/// Why nothing was sent.
enum Unsent {
    Blocked,
    Refused(io::Error),
}

/// Collects packets to a batch and sends it.
pub(crate) struct Sender<'t, S> {
    socket: &'t S,
    context: &'t Context,
    batch: Batch,
    /// The first packet of the batch that is left, where its packets are sent one by one and the socket was full.
    singly_from: Option<usize>,
    /// The version of the endpoints, as last seen.
    peer: u32,
    /// Whether there is a peer: it may have to be learned first.
    has_peer: bool,
    /// Datagrams that one send may carry: what the kernel granted, and what is left of that on the way to the peer.
    granted_segments: usize,
    segments_per_send: usize,
    /// When segmentation is tried again, ms of uptime; `None` while it works, or is being tried.
    segment_again_at: Option<u64>,
    /// Most bytes of a send of several packets.
    longest_send: usize,
    path_mtu: PathMtu<'t, S>,
    trials: Trials,
    recovery: Recovery,
    /// Until when there is assumed to be no route to the peer, ms of uptime.
    no_route_until: Cell<u64>,
}

impl<'t, S: DatagramSocket> Sender<'t, S> {
    pub(crate) fn new(socket: &'t S, context: &'t Context) -> Self {
        let granted_segments = context.segments_per_send.load(Ordering::Relaxed);
        let (peer, endpoints) = context.endpoints.versioned();
        // They may have changed since `socket` was made.
        socket.follow();
        Self {
            socket,
            context,
            batch: Batch::new(),
            singly_from: None,
            peer,
            has_peer: endpoints.peer().is_some(),
            granted_segments,
            segments_per_send: granted_segments,
            segment_again_at: None,
            longest_send: usize::MAX,
            path_mtu: PathMtu::new(socket, context),
            trials: Trials::new(context.clock.now(), context.device_follows_path),
            recovery: Recovery::default(),
            no_route_until: Cell::new(0),
        }
    }

    /// What is known of the path to the peer.
    pub(crate) fn path_mtu(&self) -> &PathMtu<'t, S> {
        &self.path_mtu
    }

    /// The batch that is being collected.
    pub(crate) fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Whether a packet of `len` bytes, in a datagram with `tos`, may be added to the batch. Segments are never fragmented, so a
    /// packet that is too long for the route goes alone.
    pub(crate) fn fits(&self, len: usize, tos: u8) -> bool {
        let longest = len.max(self.batch.segment_len());
        let most = if self.path_mtu.fits(longest) { self.segments_per_send } else { 1 };
        self.batch.fits(len, tos, most)
            && (self.batch.packets() == 0 || self.batch.bytes() + len <= self.longest_send)
    }

    /// Limits the bytes of a send of several packets. A single packet is always sent.
    pub(crate) fn limit_sends(&mut self, bytes: usize) {
        self.longest_send = bytes;
    }

    /// Notices a change of the peer. Another may be reached by another interface, with another MTU, that supports segmentation
    /// where the previous one did not. Returns whether it has changed.
    pub(crate) fn follow_peer(&mut self) -> bool {
        let newer = self.context.endpoints.newer_than(self.peer);
        if let Some((peer, endpoints)) = newer {
            self.peer = peer;
            self.has_peer = endpoints.peer().is_some();
            self.socket.follow();
            self.segments_per_send = self.granted_segments;
            self.segment_again_at = None;
            self.context.segments_per_send.store(self.granted_segments, Ordering::Relaxed);
            self.path_mtu.learn();
            self.trials.route_changed(self.context.clock.now());
        }
        newer.is_some()
    }

    /// Notices a change of the route to the same peer: when an error or the watcher has reported it, or after a while.
    pub(crate) fn follow_route(&mut self) {
        let now = self.context.clock.now();
        let before = self.path_mtu.longest();
        if self.path_mtu.follow(now) {
            if self.path_mtu.longest() != before {
                self.trials.route_changed(now);
            }
            self.segment_again(now);
        }
        self.trials.tick(now);
    }

    /// Tries segmentation again, if it is time. It counts as working once a send has succeeded.
    fn segment_again(&mut self, now: u64) {
        let Some(at) = self.segment_again_at else { return };
        if self.context.network_changed.swap(false, Ordering::Relaxed) || now >= at {
            self.segment_again_at = None;
            self.segments_per_send = self.granted_segments;
        }
    }

    /// Sends the batch, or counts it as dropped, and empties it; `read` is the buffer that its packets are in. Where the socket accepts
    /// no more, what is left of the batch stays, and the next call continues.
    pub(crate) fn flush(&mut self, read: &[u8]) -> Flushed {
        let packets = self.batch.packets();
        if packets == 0 {
            return Flushed::All;
        }
        if !self.has_peer {
            self.abandon(EncapDrop::NoPeer);
            return Flushed::All;
        }
        let is_resumed = self.singly_from.is_some();
        if !is_resumed {
            self.try_path(read);
        }
        if !is_resumed && packets > 1 {
            match self.send_together(read) {
                Together::Done => {}
                Together::Blocked => return Flushed::Blocked,
                Together::Refused => self.singly_from = Some(0),
            }
        } else {
            self.singly_from.get_or_insert(0);
        }
        if let Some(from) = self.singly_from
            && let Some(left) = self.send_singly(from, read)
        {
            self.singly_from = Some(left);
            return Flushed::Blocked;
        }
        self.singly_from = None;
        self.batch.clear();
        self.context.clock.mark_sent();
        Flushed::All
    }

    /// Sends the first packet once more, ahead of the batch, if it is time for a [trial](Trials). Only with outer IPv4: IPv6 routers
    /// report each packet that does not fit.
    fn try_path(&mut self, read: &[u8]) {
        if !self.context.routers_fragment() {
            return;
        }
        let (len, start) = (self.batch.packet_len(0), self.batch.start(read));
        if !self.path_mtu.fits(len) || !self.trials.suits(len, start) {
            return;
        }
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        let discarded = discarded(start, len);
        let pieces = if is_tcp(start) {
            self.batch.gather_one(0, read, &mut slices)
        } else if let Some((header, header_len)) = &discarded {
            let rest = ZEROS.get(*header_len..len).unwrap_or_default();
            slices[..2].copy_from_slice(&[IoSlice::new(&header[..*header_len]), IoSlice::new(rest)]);
            Some(&slices[..2])
        } else {
            None
        };
        let Some(pieces) = pieces else { return };
        match self.socket.try_send_unfragmented(pieces, self.outer(None).tos) {
            Ok(()) => self.context.encap.trials.add(1),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // Usually an answer to an earlier datagram, which the next send would have reported.
            Err(error) => self.context.socket_failed(&error),
        }
        self.trials.made(self.context.clock.now());
    }

    /// Sends all packets by one call.
    fn send_together(&mut self, read: &[u8]) -> Together {
        let outer = self.outer(Some(self.batch.segment_len() as u16));
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        let Some(pieces) = self.batch.gather(read, &mut slices) else { return Together::Refused };
        match self.send(pieces, outer) {
            Ok(()) => {
                self.sent(self.batch.packets(), self.batch.bytes());
                self.context.segments_per_send.store(self.segments_per_send, Ordering::Relaxed);
            }
            Err(Unsent::Blocked) => return Together::Blocked,
            Err(Unsent::Refused(error)) if refuses_segments(&error) => {
                if error.raw_os_error() == Some(libc::EIO) {
                    self.segments_per_send = 1;
                    self.segment_again_at = Some(self.context.clock.now() + SEGMENT_AGAIN_AFTER_MS);
                    // Changes before this failure are no reason to retry.
                    self.context.network_changed.store(false, Ordering::Relaxed);
                    self.context.segments_per_send.store(1, Ordering::Relaxed);
                }
                return Together::Refused;
            }
            Err(Unsent::Refused(error)) => self.lost(&error, self.batch.packets()),
        }
        Together::Done
    }

    /// How the datagrams of the batch leave. The socket itself has the most frequent TOS octet. Another one makes the kernel look up
    /// the route for this send, without keeping it.
    fn outer(&self, segment_len: Option<u16>) -> Outer {
        let tos = Some(self.batch.tos()).filter(|&tos| tos != self.context.outer_tos.base());
        if tos.is_some() {
            self.path_mtu.route_was_not_used();
        }
        Outer { segment_len, tos, ..Outer::default() }
    }

    /// Sends one packet after the other, beginning with the one at `from`. Returns the first one for which the socket had no room.
    fn send_singly(&self, from: usize, read: &[u8]) -> Option<usize> {
        let packets = self.batch.packets();
        for index in from..packets {
            let len = self.batch.packet_len(index);
            let mut slices = [IoSlice::new(&[]); MAX_PIECES];
            let Some(pieces) = self.batch.gather_one(index, read, &mut slices) else {
                self.context.encap.drop(EncapDrop::Malformed, 1);
                continue;
            };
            match self.send(pieces, self.outer(None)) {
                Ok(()) => {
                    self.context.encap.fragmented.add(usize::from(!self.path_mtu.fits(len)));
                    self.sent(1, len);
                }
                Err(Unsent::Blocked) => return Some(index),
                Err(Unsent::Refused(error)) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    self.lost(&error, 1);
                }
                // No other error depends on the packet, so the rest would be refused as well.
                Err(Unsent::Refused(error)) => {
                    self.lost(&error, packets - index);
                    break;
                }
            }
        }
        None
    }

    /// Sends `pieces`, with more attempts after errors unrelated to them.
    ///
    /// Errors of a connected UDP socket are asynchronous: an ICMP error for an earlier datagram is returned by the next call, which
    /// then has sent nothing (`sock_error` in include/net/sock.h).
    fn send(&self, pieces: &[IoSlice<'_>], outer: Outer) -> Result<(), Unsent> {
        let len = outer.segment_len.map_or_else(|| len_of(pieces), usize::from);
        let (mut answers, mut refusals) = (0, 0);
        loop {
            // An error may report that the packets do not fit after all.
            let outer = Outer { fragmentation: self.path_mtu.fragmentation(len), ..outer };
            let error = match self.socket.try_send(pieces, outer) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Unsent::Blocked),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if makes_room(&error, len, self.socket, self.context) => continue,
                Err(error) => error,
            };
            self.context.socket_failed(&error);
            if matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::EINVAL)) {
                self.path_mtu.learn();
            }
            self.recovery.after(&error, self.socket, self.context);
            if self.is_answer(&error, pieces, outer.segment_len) {
                answers += 1;
            } else {
                refusals += 1;
            }
            let (most_refusals, most_answers) = match outer.segment_len {
                Some(_) if refuses_segments(&error) => (1, MOST_ANSWERS_TOGETHER),
                _ => (ATTEMPTS, MOST_ANSWERS),
            };
            if refusals >= most_refusals || answers >= most_answers {
                return Err(Unsent::Refused(error));
            }
        }
    }

    /// Whether the network has reported `error` for an earlier datagram (`icmp_err_convert` in net/ipv4/icmp.c, `tab_unreach` in
    /// net/ipv6/icmp.c), so that this send is not at fault.
    fn is_answer(&self, error: &io::Error, pieces: &[IoSlice<'_>], segment_len: Option<u16>) -> bool {
        match error.raw_os_error() {
            Some(
                libc::ECONNREFUSED
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::EPROTO,
            ) => true,
            // Errors of this host's routing table as well.
            Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EACCES) => self.has_route(),
            // A single datagram of any length is fragmented where necessary; a segment is not.
            Some(libc::EMSGSIZE) => match segment_len {
                Some(len) => self.path_mtu.fits(len.into()),
                None => len_of(pieces) <= MAX_BYTES,
            },
            _ => false,
        }
    }

    /// Whether this host has a route to the peer.
    fn has_route(&self) -> bool {
        let now = self.context.clock.now();
        if now < self.no_route_until.get() {
            return false;
        }
        let found = self.socket.fresh_path_mtu(&self.context.endpoints).is_some();
        if !found {
            self.no_route_until.set(now + NO_ROUTE_FOR_MS);
        }
        found
    }

    fn sent(&self, packets: usize, bytes: usize) {
        let counters = &self.context.encap;
        counters.sends.add(1);
        counters.packets.add(packets);
        self.context.searched_mtu.sent(bytes.min(self.batch.segment_len()));
        counters.bytes.add(bytes);
    }

    fn lost(&self, error: &io::Error, packets: usize) {
        self.context.encap.drop(reason(error), packets);
    }
}

fn len_of(pieces: &[IoSlice<'_>]) -> usize {
    pieces.iter().map(|piece| piece.len()).sum()
}

impl<S> Sender<'_, S> {
    /// Counts the packets that are left of the batch as dropped for `reason`, and empties it.
    pub(crate) fn abandon(&mut self, reason: EncapDrop) {
        let left = self.batch.packets() - self.singly_from.take().unwrap_or(0);
        self.context.encap.drop(reason, left);
        self.batch.clear();
    }
}
