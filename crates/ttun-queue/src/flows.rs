//! Flow queues with deficit round robin (RFC 8290 section 4).

use std::collections::VecDeque;

use crate::codel::{CoDel, Head, Packets};
use crate::entries::{Entries, Entry, Line};

/// How many flows can have a queue of their own. RFC 8290 section 5.2.5 has 1024, of which a thousand flows share most.
const FLOWS: usize = 4096;

/// Each flow can have one of this many queues, so that two share one only if all of these are in use (set-associative hashing, as in CAKE,
/// net/sched/sch_cake.c).
const WAYS: usize = 8;

/// Bytes that each flow may send in a round: a full-sized packet with an Ethernet header (RFC 8290 section 5.2.4).
const QUANTUM: isize = 1514;

/// When memory is short, at most this many packets of the longest queue are dropped at once, so that the search for it
/// does not take place for each packet (`fq_codel_drop` in net/sched/sch_fq_codel.c).
const MOST_DROPPED_AT_ONCE: usize = 64;

/// What a queue holds: a packet, or a super-packet that stands for several, of which all but the last have the same length.
pub trait Parcel {
    /// How many packets it stands for, at least 1.
    fn packets(&self) -> usize;

    /// Length of packet `index`, bytes.
    fn packet_len(&self, index: usize) -> usize;

    /// Memory that it takes up, bytes.
    fn memory(&self) -> usize;

    /// Whether its packets can be marked with CE in place of being dropped (RFC 3168).
    fn is_ecn_capable(&self) -> bool;
}

/// The limits of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all parcels, bytes.
    pub memory: usize,
    /// Number of parcels.
    pub parcels: usize,
}

/// A packet whose turn it is.
#[derive(Debug)]
pub struct Taken<'q, P> {
    /// The parcel that it is part of.
    pub parcel: &'q P,
    /// Which of its packets.
    pub index: usize,
    /// Whether it must be marked with CE.
    pub mark: bool,
    /// How long it was in the queue, µs.
    pub sojourn_us: u64,
}

/// What happened so far. All counts are packets; super-packets are counted as the packets they stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Dropped by CoDel.
    pub dropped: usize,
    /// Marked instead.
    pub marked: usize,
    /// Dropped because of the limits.
    pub overflowed: usize,
}

/// Queues of parcels, one for each flow.
pub struct FlowQueue<P> {
    limits: Limits,
    entries: Entries<P>,
    flows: Box<[Flow]>,
    /// Flows that were empty before: they come first, so that flows without a queue of their own are never delayed.
    new: VecDeque<u16>,
    old: VecDeque<u16>,
    memory: usize,
    packets: usize,
    bytes: usize,
    /// Length of the longest packet so far, bytes.
    longest: usize,
    /// The flow whose first packet was offered and not taken, and whether that must be marked.
    chosen: Option<(usize, bool)>,
    totals: Totals,
}

#[derive(Clone, Copy, Default)]
struct Flow {
    line: Line,
    bytes: usize,
    deficit: isize,
    codel: CoDel,
    is_listed: bool,
    /// The hash of the flow that it belongs to, or belonged to last.
    owner: Option<u64>,
    /// Whether it may hold packets of other flows as well.
    is_shared: bool,
}

impl<P: Parcel> FlowQueue<P> {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Entries::default(),
            flows: vec![Flow::default(); FLOWS].into_boxed_slice(),
            new: VecDeque::with_capacity(FLOWS),
            old: VecDeque::with_capacity(FLOWS),
            memory: 0,
            packets: 0,
            bytes: 0,
            longest: 0,
            chosen: None,
            totals: Totals::default(),
        }
    }

    /// Whether no packet waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Packets that wait.
    #[must_use]
    pub fn packets(&self) -> usize {
        self.packets
    }

    /// Bytes of the packets that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What happened so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Adds a parcel of the flow with this `hash`. If the queue is full then, the longest flow loses packets from its beginning.
    /// Returns how many packets that are.
    pub fn push(&mut self, parcel: P, hash: u64, now: u64) -> usize {
        self.push_from(parcel, 0, hash, now)
    }

    /// The same, without the first packets of the parcel up to `from`.
    pub fn push_from(&mut self, parcel: P, from: usize, hash: u64, now: u64) -> usize {
        let packets = parcel.packets().saturating_sub(from);
        if packets == 0 {
            return 0;
        }
        self.longest = self.longest.max(parcel.packet_len(from));
        let index = self.queue_of(hash);
        let entry = Entry::new(parcel, from, now);
        self.memory += entry.memory();
        self.packets += packets;
        self.bytes += entry.bytes_left;
        let flow = &mut self.flows[index];
        flow.bytes += entry.bytes_left;
        self.entries.append(&mut flow.line, entry);
        if !flow.is_listed {
            flow.is_listed = true;
            flow.deficit = QUANTUM;
            self.new.push_back(index as u16);
        }
        self.keep_limits()
    }

    /// The queue of the flow with this `hash`: always the same while packets of it wait, so that they stay in order.
    fn queue_of(&mut self, hash: u64) -> usize {
        let (set, way) = (hash as usize % (FLOWS / WAYS) * WAYS, hash as usize / (FLOWS / WAYS) % WAYS);
        let mut ways = (0..WAYS).map(|next| set + (way + next) % WAYS);
        if let Some(own) = ways.clone().find(|&at| self.flows[at].owner == Some(hash)) {
            return own;
        }
        let usual = set + way;
        if !self.flows[usual].is_shared {
            if let Some(free) = ways.find(|&at| !self.flows[at].is_listed) {
                self.flows[free] = Flow { owner: Some(hash), ..Flow::default() };
                return free;
            }
            self.flows[usual].is_shared = true;
        }
        usual
    }

    /// Offers the next packet to `take`, and removes it if that returns `Some`; otherwise the same packet is next again. `None` also
    /// if there is no packet.
    pub fn pop<R>(&mut self, now: u64, take: impl FnOnce(&Taken<'_, P>) -> Option<R>) -> Option<R> {
        let (flow, mark) = match self.chosen.take() {
            Some(chosen) => chosen,
            None => self.choose(now)?,
        };
        let entry = self.entries.first(self.flows[flow].line)?;
        let sojourn_us = now.saturating_sub(entry.since);
        let Some(taken) = take(&Taken { parcel: &entry.parcel, index: entry.index, mark, sojourn_us }) else {
            self.chosen = Some((flow, mark));
            return None;
        };
        let len = self.remove_head(flow);
        self.flows[flow].deficit -= len.cast_signed();
        self.totals.marked += usize::from(mark);
        Some(taken)
    }

    /// The flow whose turn it is, and whether its head must be marked (RFC 8290 section 4.2).
    fn choose(&mut self, now: u64) -> Option<(usize, bool)> {
        loop {
            let is_new = !self.new.is_empty();
            let index = *if is_new { &self.new } else { &self.old }.front()?;
            let at = usize::from(index);
            if self.flows[at].deficit <= 0 {
                self.flows[at].deficit += QUANTUM;
                self.unlist(is_new);
                self.old.push_back(index);
                continue;
            }
            let mut codel = self.flows[at].codel;
            let chosen = codel.choose(now, &mut FlowPackets { queue: self, flow: at });
            self.flows[at].codel = codel;
            if let Some(mark) = chosen {
                return Some((at, mark));
            }
            self.unlist(is_new);
            if is_new && !self.old.is_empty() {
                // Otherwise a flow could be new again at once, and the old ones would starve.
                self.old.push_back(index);
            } else {
                self.flows[at].is_listed = false;
                self.flows[at].is_shared = false;
            }
        }
    }

    fn unlist(&mut self, is_new: bool) {
        if is_new { &mut self.new } else { &mut self.old }.pop_front();
    }

    /// Removes the packet at the head of a flow; returns its length.
    fn remove_head(&mut self, flow: usize) -> usize {
        let flow = &mut self.flows[flow];
        let Some(removed) = self.entries.advance(&mut flow.line) else { return 0 };
        flow.bytes -= removed.len;
        self.bytes -= removed.len;
        self.packets -= 1;
        self.memory -= removed.memory;
        removed.len
    }

    fn keep_limits(&mut self) -> usize {
        let mut lost = 0;
        while self.memory > self.limits.memory || self.entries.len() > self.limits.parcels {
            let listed = self.new.iter().chain(&self.old).map(|&index| usize::from(index));
            let Some(fattest) = listed.max_by_key(|&flow| self.flows[flow].bytes) else { break };
            let enough = self.flows[fattest].bytes / 2;
            self.chosen = self.chosen.filter(|(flow, _)| *flow != fattest);
            for _ in 0..MOST_DROPPED_AT_ONCE {
                self.remove_head(fattest);
                lost += 1;
                if self.flows[fattest].bytes <= enough {
                    break;
                }
            }
        }
        self.totals.overflowed += lost;
        lost
    }
}

/// The packets of one flow.
struct FlowPackets<'q, P> {
    queue: &'q mut FlowQueue<P>,
    flow: usize,
}

impl<P: Parcel> Packets for FlowPackets<'_, P> {
    fn head(&self) -> Option<Head> {
        let flow = &self.queue.flows[self.flow];
        let entry = self.queue.entries.first(flow.line)?;
        let behind = flow.bytes - entry.parcel.packet_len(entry.index);
        Some(Head { since: entry.since, is_short: behind <= self.queue.longest })
    }

    fn mark_head(&mut self) -> bool {
        let line = self.queue.flows[self.flow].line;
        self.queue.entries.first(line).is_some_and(|entry| entry.parcel.is_ecn_capable())
    }

    fn drop_head(&mut self) {
        self.queue.remove_head(self.flow);
        self.queue.totals.dropped += 1;
    }
}
