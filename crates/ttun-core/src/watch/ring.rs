//! What was copied for one watcher and not taken yet.

use std::mem;
use std::time::SystemTime;

use super::{Direction, WatchOptions, WatchedPacket};

/// What one watcher may make us hold, bytes, copies and what is noted beside each; one more batch may come on top, as it is admitted before its size is known.
const MAX_BYTES: usize = 16 << 20;

pub(super) struct Ring {
    options: WatchOptions,
    wake: Box<dyn Fn() + Send>,
    packets: Vec<WatchedPacket>,
    /// What they take, bytes.
    bytes: usize,
    /// `wake` was called and nothing was taken since.
    woken: bool,
    /// The second of uptime that `copied` counts for.
    second: u64,
    copied: usize,
}

impl Ring {
    pub(super) fn new(options: WatchOptions, wake: Box<dyn Fn() + Send>) -> Self {
        Self { options, wake, packets: Vec::new(), bytes: 0, woken: false, second: 0, copied: 0 }
    }

    /// How many of `count` packets at `now` (ms of uptime) there is room for, and a share.
    pub(super) fn admit(&mut self, count: usize, now: u64) -> usize {
        let second = now / 1000;
        if self.second != second {
            self.second = second;
            self.copied = 0;
        }
        let admitted = count.min(self.room()).min(self.share_left());
        self.copied += admitted;
        admitted
    }

    /// Until when, in ms of uptime, nothing will be admitted; `None` if something may be now.
    pub(super) fn quiet_until(&self) -> Option<u64> {
        (self.share_left() == 0).then_some((self.second + 1) * 1000)
    }

    pub(super) fn push(&mut self, direction: Direction, at: SystemTime, header: &[u8], payload: &[u8]) {
        let len = header.len() + payload.len();
        let mut data = Vec::with_capacity(len.min(self.options.snap_length));
        for part in [header, payload] {
            let room = self.options.snap_length - data.len();
            data.extend_from_slice(part.get(..room).unwrap_or(part));
        }
        self.bytes += size_of::<WatchedPacket>() + data.len();
        self.packets.push(WatchedPacket { direction, at, len, data });
        if !self.woken {
            self.woken = true;
            (self.wake)();
        }
    }

    pub(super) fn take(&mut self) -> Vec<WatchedPacket> {
        self.woken = false;
        self.bytes = 0;
        mem::take(&mut self.packets)
    }

    fn room(&self) -> usize {
        if self.bytes < MAX_BYTES { self.options.capacity.saturating_sub(self.packets.len()) } else { 0 }
    }

    fn share_left(&self) -> usize {
        let share = self.options.packets_per_second.map_or(usize::MAX, |share| share as usize);
        share.saturating_sub(self.copied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(capacity: usize, packets_per_second: Option<u32>) -> Ring {
        let options = WatchOptions { snap_length: 10, capacity, packets_per_second, direction: None };
        Ring::new(options, Box::new(|| {}))
    }

    #[test]
    fn each_second_has_its_share() {
        let mut ring = ring(1000, Some(4));
        assert_eq!((ring.admit(3, 100), ring.quiet_until()), (3, None));
        assert_eq!((ring.admit(3, 200), ring.quiet_until()), (1, Some(1000)));
        assert_eq!(ring.admit(5, 999), 0);
        assert_eq!((ring.admit(5, 1000), ring.quiet_until()), (4, Some(2000)));
        assert_eq!(ring.admit(1, 7500), 1);
    }

    #[test]
    fn without_a_share_only_room_counts_and_taking_makes_room() {
        let mut ring = ring(3, None);
        assert_eq!((ring.admit(5, 0), ring.quiet_until()), (3, None));
        for _ in 0..3 {
            ring.push(Direction::Inbound, SystemTime::now(), &[1; 4], &[2; 100]);
        }
        assert_eq!(ring.admit(5, 0), 0);
        let taken = ring.take();
        assert_eq!((taken.len(), taken[0].len), (3, 104));
        assert_eq!(taken[0].data, [[1; 4].as_slice(), &[2; 6]].concat());
        assert_eq!(ring.admit(5, 0), 3);
    }

    #[test]
    fn copies_are_bounded_in_bytes_too() {
        let options = WatchOptions {
            snap_length: 65_535,
            capacity: usize::MAX,
            packets_per_second: None,
            direction: None,
        };
        let mut ring = Ring::new(options, Box::new(|| {}));
        let packet = vec![0; 65_535];
        let mut held = 0;
        while ring.admit(1, 0) == 1 {
            ring.push(Direction::Inbound, SystemTime::now(), &packet, &[]);
            held += size_of::<WatchedPacket>() + packet.len();
        }
        assert!((MAX_BYTES..MAX_BYTES + held / 100).contains(&held), "{held}");
        drop(ring.take());
        assert_eq!(ring.admit(1, 0), 1);
    }

    #[test]
    fn copies_of_nothing_take_room_as_well() {
        let options =
            WatchOptions { snap_length: 0, capacity: usize::MAX, packets_per_second: None, direction: None };
        let mut ring = Ring::new(options, Box::new(|| {}));
        let most = MAX_BYTES / size_of::<WatchedPacket>() + 1;
        let mut held = 0;
        while held <= most && ring.admit(1, 0) == 1 {
            ring.push(Direction::Inbound, SystemTime::now(), &[1; 4], &[2; 100]);
            held += 1;
        }
        assert_eq!(held, most);
    }
}
