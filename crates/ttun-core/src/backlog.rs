//! Packets that wait because the socket accepts no more: flow queues with CoDel, and the packets that are sent next.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use ttun_packet::{Flow, IpPacket, Segments, Verdict, is_ecn_capable, mark_congestion, with_congestion};
use ttun_queue::{FlowQueue, Limits, Parcel, Taken};

use crate::batch::MAX_BYTES;

/// Memory for packets that wait, bytes: more than a second of 20 Mbit/s, and a burst at any rate. CoDel keeps far less.
const LIMITS: Limits = Limits { memory: 8 << 20, parcels: 32_768 };

/// Room for the longest batch, and for one packet more.
const STAGE_LEN: usize = 2 * MAX_BYTES;

/// What was read from the device at once, and has to wait.
pub(crate) struct Waiting {
    /// As it was read.
    pub(crate) bytes: Box<[u8]>,
    /// Which packets it stands for.
    pub(crate) segments: Segments,
    /// What the loop guard said.
    pub(crate) verdict: Verdict,
    /// The TOS octet of the packets.
    pub(crate) tos: u8,
}

impl Parcel for Waiting {
    fn packets(&self) -> usize {
        self.segments.count()
    }

    fn packet_len(&self, index: usize) -> usize {
        self.segments.packet_len(index)
    }

    fn memory(&self) -> usize {
        self.bytes.len()
    }

    fn is_ecn_capable(&self) -> bool {
        is_ecn_capable(self.tos)
    }
}

/// In which order packets leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discipline {
    /// FQ-CoDel.
    Fair,
    /// First in, first out; none is dropped.
    Fifo,
}

/// The packets that wait.
pub(crate) struct Backlog {
    discipline: Discipline,
    queue: FlowQueue<Waiting>,
    hasher: RandomState,
    /// The packets that are sent next, one right behind the other.
    stage: Box<[u8]>,
    stage_len: usize,
    /// Packets that CoDel has dropped, as last reported.
    dropped: usize,
}

/// A packet on the [stage](Backlog::stage).
pub(crate) struct Staged {
    /// Where it is.
    pub(crate) place: Range<usize>,
    /// Length of its headers if they were rebuilt, bytes; 0 for a packet that is as it was read.
    pub(crate) header_len: usize,
    /// What the loop guard said about the parcel.
    pub(crate) verdict: Verdict,
    /// Its TOS octet.
    pub(crate) tos: u8,
    /// How long it has waited, µs.
    pub(crate) sojourn_us: u64,
    /// Whether it was marked.
    pub(crate) marked: bool,
}

/// The next packet.
pub(crate) enum Next {
    Staged(Staged),
    /// It is not a valid packet.
    Malformed,
    /// It does not fit the batch; it stays.
    Refused,
    /// There is none.
    Empty,
}

impl Backlog {
    pub(crate) fn new(discipline: Discipline) -> Self {
        Self {
            discipline,
            queue: FlowQueue::new(LIMITS),
            hasher: RandomState::new(),
            stage: vec![0; STAGE_LEN].into_boxed_slice(),
            stage_len: 0,
            dropped: 0,
        }
    }

    /// Packets that wait, without those on the stage.
    pub(crate) fn packets(&self) -> usize {
        self.queue.packets()
    }

    /// Bytes of these packets.
    pub(crate) fn bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Packets that CoDel has dropped since this was last called.
    pub(crate) fn newly_dropped(&mut self) -> usize {
        let dropped = self.queue.totals().dropped;
        dropped - std::mem::replace(&mut self.dropped, dropped)
    }

    /// The packets that are sent next.
    pub(crate) fn stage(&self) -> &[u8] {
        &self.stage
    }

    /// Lets `fill` write the first packets that are sent next, and return their length.
    pub(crate) fn fill_stage(&mut self, fill: impl FnOnce(&mut [u8]) -> Option<usize>) {
        self.stage_len = fill(&mut self.stage).unwrap_or(0);
    }

    /// The stage is free again.
    pub(crate) fn clear_stage(&mut self) {
        self.stage_len = 0;
    }

    /// Adds what was read, except for its first packets up to `from`. Returns how many packets are dropped, as there are too many.
    pub(crate) fn push(&mut self, waiting: Waiting, from: usize, now_us: u64) -> usize {
        let hash = match (self.discipline, IpPacket::parse(&waiting.bytes)) {
            (Discipline::Fair, Ok(packet)) => self.hasher.hash_one(Flow::of(&packet)),
            _ => 0,
        };
        self.queue.push_from(waiting, from, hash, now_us)
    }

    /// Puts the next packet onto the stage, if it `fits` with its length and TOS octet.
    pub(crate) fn next(&mut self, now_us: u64, fits: impl FnOnce(usize, u8) -> bool) -> Next {
        // CoDel then sees no packet that has waited.
        let now_us = if self.discipline == Discipline::Fair { now_us } else { 0 };
        let free = &mut self.stage[self.stage_len..];
        let start = self.stage_len;
        let mut is_refused = false;
        let next = self.queue.pop(now_us, |taken| {
            let len = taken.parcel.packet_len(taken.index);
            let tos = if taken.mark { with_congestion(taken.parcel.tos) } else { taken.parcel.tos };
            is_refused = len > free.len() || !fits(len, tos);
            if is_refused {
                return None;
            }
            let header_len = taken.parcel.segments.header_len();
            Some(copy(taken, &mut free[..len]).map_or(Next::Malformed, |()| {
                Next::Staged(Staged {
                    place: start..start + len,
                    header_len,
                    verdict: taken.parcel.verdict,
                    tos,
                    sojourn_us: taken.sojourn_us,
                    marked: taken.mark,
                })
            }))
        });
        match next {
            Some(next) => {
                if let Next::Staged(staged) = &next {
                    self.stage_len = staged.place.end;
                }
                next
            }
            None if is_refused => Next::Refused,
            None => Next::Empty,
        }
    }
}

/// Builds the packet; `None` if that is not possible.
fn copy(taken: &Taken<'_, Waiting>, to: &mut [u8]) -> Option<()> {
    let Waiting { bytes, segments, .. } = taken.parcel;
    let header_len = segments.header_len();
    let (header, rest) = to.split_at_mut_checked(header_len)?;
    let payload = segments.write_header(taken.index, bytes, header)?;
    rest.get_mut(..payload.len())?.copy_from_slice(payload);
    if taken.mark
        && let Ok(mut packet) = IpPacket::parse_mut(to)
    {
        mark_congestion(&mut packet);
    }
    Some(())
}
