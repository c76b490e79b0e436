//! RFC 8290 written out slowly: every packet on its own, no shared storage, times as floating-point numbers of µs.

use std::collections::VecDeque;

/// A packet of the oracle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) id: usize,
    pub(crate) len: usize,
    pub(crate) ecn: bool,
    pub(crate) enqueued: f64,
}

#[derive(Default)]
struct Flow {
    hash: u64,
    packets: VecDeque<Packet>,
    deficit: isize,
    first_above_time: f64,
    drop_next: f64,
    count: u32,
    lastcount: u32,
    dropping: bool,
}

/// The queue, and what it has dropped.
#[derive(Default)]
pub(crate) struct Oracle {
    new: VecDeque<Flow>,
    old: VecDeque<Flow>,
    /// Flows that are in no list keep the state of their CoDel.
    idle: Vec<Flow>,
    longest: usize,
    pub(crate) dropped: Vec<usize>,
}

const TARGET: f64 = 5_000.0;
const INTERVAL: f64 = 100_000.0;
const QUANTUM: isize = 1514;

impl Oracle {
    pub(crate) fn push(&mut self, packet: Packet, hash: u64) {
        self.longest = self.longest.max(packet.len);
        if let Some(flow) = self.new.iter_mut().chain(&mut self.old).find(|flow| flow.hash == hash) {
            return flow.packets.push_back(packet);
        }
        let mut flow = match self.idle.iter().position(|flow| flow.hash == hash) {
            Some(at) => self.idle.remove(at),
            None => Flow { hash, ..Flow::default() },
        };
        flow.deficit = QUANTUM;
        flow.packets.push_back(packet);
        self.new.push_back(flow);
    }

    /// The next packet, and whether it is marked.
    pub(crate) fn pop(&mut self, now: f64) -> Option<(usize, bool)> {
        loop {
            let is_new = !self.new.is_empty();
            let mut flow = if is_new { self.new.pop_front()? } else { self.old.pop_front()? };
            if flow.deficit <= 0 {
                flow.deficit += QUANTUM;
                self.old.push_back(flow);
                continue;
            }
            let Some((packet, marked)) = flow.deque(now, self.longest, &mut self.dropped) else {
                if is_new && !self.old.is_empty() {
                    self.old.push_back(flow);
                } else {
                    self.idle.push(flow);
                }
                continue;
            };
            flow.deficit -= packet.len.cast_signed();
            let list = if is_new { &mut self.new } else { &mut self.old };
            list.push_front(flow);
            return Some((packet.id, marked));
        }
    }
}

impl Flow {
    fn dodequeue(&mut self, now: f64, longest: usize) -> (Option<Packet>, bool) {
        let Some(packet) = self.packets.pop_front() else {
            self.first_above_time = 0.0;
            return (None, false);
        };
        let bytes: usize = self.packets.iter().map(|packet| packet.len).sum();
        if now - packet.enqueued < TARGET || bytes <= longest {
            self.first_above_time = 0.0;
            return (Some(packet), false);
        }
        if self.first_above_time == 0.0 {
            self.first_above_time = now + INTERVAL;
        }
        (Some(packet), now >= self.first_above_time)
    }

    fn deque(&mut self, now: f64, longest: usize, dropped: &mut Vec<usize>) -> Option<(Packet, bool)> {
        let law = |at: f64, count: u32| (at + INTERVAL / f64::from(count).sqrt()).floor();
        let (mut packet, mut ok) = self.dodequeue(now, longest);
        if self.dropping {
            if !ok {
                self.dropping = false;
            }
            while now >= self.drop_next && self.dropping {
                let examined = packet?;
                self.count += 1;
                if examined.ecn {
                    self.drop_next = law(self.drop_next, self.count);
                    return Some((examined, true));
                }
                dropped.push(examined.id);
                (packet, ok) = self.dodequeue(now, longest);
                if ok {
                    self.drop_next = law(self.drop_next, self.count);
                } else {
                    self.dropping = false;
                }
            }
        } else if ok {
            let examined = packet?;
            let marked = examined.ecn;
            if !marked {
                dropped.push(examined.id);
                (packet, ok) = self.dodequeue(now, longest);
                let _ = ok;
            }
            let delta = self.count.saturating_sub(self.lastcount);
            self.dropping = packet.is_some();
            self.count = if delta > 1 && now - self.drop_next < 16.0 * INTERVAL { delta } else { 1 };
            self.drop_next = law(now, self.count);
            self.lastcount = self.count;
            return packet.map(|packet| (packet, marked));
        }
        packet.map(|packet| (packet, false))
    }
}
