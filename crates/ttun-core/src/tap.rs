//! Packet taps: copies of passing packets, in a bounded ring for each tap, which exists only as long as the tap.

use std::iter;
use std::mem;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::lock::lock;

/// How much of the traffic to copy.
#[derive(Clone, Copy, Debug)]
pub struct TapOptions {
    /// Bytes kept of each packet.
    pub snap_length: usize,
    /// Packets kept until they are taken; while there are that many, others are omitted. Memory is used as packets arrive, and never
    /// more than for `capacity` packets of `snap_length` bytes, nor for about 16 MiB of copies.
    pub capacity: usize,
    /// Packets copied in any one second at most, both directions together; `None` copies all.
    pub packets_per_second: Option<u32>,
    /// Only packets of this direction; `None` copies both.
    pub direction: Option<Direction>,
}

/// The direction of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the device to the peer.
    Outbound,
    /// From the peer to the device.
    Inbound,
}

/// A copy of the beginning of a packet.
#[derive(Clone, Debug)]
pub struct TappedPacket {
    /// Its direction.
    pub direction: Direction,
    /// When it was copied.
    pub at: SystemTime,
    /// Length of the whole packet, bytes.
    pub len: usize,
    /// Its first bytes.
    pub data: Vec<u8>,
}

/// Packets that a tap has copied since they were last taken.
#[derive(Clone, Debug, Default)]
pub struct Tapped {
    /// The packets, in the order in which they passed.
    pub packets: Vec<TappedPacket>,
    /// How many of the requested packets passed without being copied.
    pub left_out: u64,
}

/// A packet tap; dropping it stops the tap.
pub struct PacketTap {
    taps: Arc<Taps>,
    slot: usize,
}

impl PacketTap {
    /// Adds a tap to `taps`. `wake` is called from the packet path when there is something to take, once until it is taken, and
    /// must not block.
    pub(crate) fn start(
        taps: Arc<Taps>,
        options: TapOptions,
        wake: Box<dyn Fn() + Send>,
    ) -> Result<Self, Error> {
        let slot = taps.occupy(options, wake).ok_or_else(too_many)?;
        Ok(Self { taps, slot })
    }

    /// Takes the copied packets.
    #[must_use]
    pub fn take(&self) -> Tapped {
        self.taps.take(self.slot)
    }
}

impl Drop for PacketTap {
    fn drop(&mut self) {
        self.taps.vacate(self.slot);
    }
}

fn too_many() -> Error {
    Error::new(ErrorKind::TooManyTaps, format!("this tunnel already has {MAX_TAPS} packet taps, the maximum"))
        .with_hint("close one of them, for example a capture of this tunnel that is still running")
}

/// Most taps of one tunnel at once.
const MAX_TAPS: usize = 16;

/// The taps of one tunnel. Without any, they cost the pumps one relaxed load for each packet that is sent, and for each write.
#[derive(Default)]
pub(crate) struct Taps {
    /// The slots that want packets of each direction, a bit for each.
    outbound: AtomicU32,
    inbound: AtomicU32,
    slots: [Slot; MAX_TAPS],
}

/// The slot of one tap. Taps never wait for each other: each has its own lock, held only as long as it takes to
/// exchange a pointer.
#[derive(Default)]
struct Slot {
    left_out: AtomicU64,
    /// Uptime, ms, before which no copy is wanted: this second's quota is used up.
    quiet_until: AtomicU64,
    ring: Mutex<Option<Ring>>,
}

impl Taps {
    /// Finds a slot for one more; `None` when there is none.
    fn occupy(&self, options: TapOptions, wake: Box<dyn Fn() + Send>) -> Option<usize> {
        let (index, slot, mut ring) = self.slots.iter().enumerate().find_map(|(index, slot)| {
            let ring = slot.ring();
            ring.is_none().then_some((index, slot, ring))
        })?;
        *ring = Some(Ring::new(options, wake));
        slot.left_out.store(0, Ordering::Relaxed);
        slot.quiet_until.store(0, Ordering::Relaxed);
        drop(ring);
        for (direction, slots) in self.directions() {
            if options.direction.is_none_or(|wanted| wanted == direction) {
                slots.fetch_or(1 << index, Ordering::Release);
            }
        }
        Some(index)
    }

    fn vacate(&self, index: usize) {
        for (_, slots) in self.directions() {
            slots.fetch_and(!(1 << index), Ordering::Release);
        }
        if let Some(slot) = self.slots.get(index) {
            let ring = slot.ring().take();
            drop(ring);
        }
    }

    fn take(&self, index: usize) -> Tapped {
        let Some(slot) = self.slots.get(index) else { return Tapped::default() };
        let mut ring = slot.ring();
        let packets = ring.as_mut().map(Ring::take).unwrap_or_default();
        Tapped { packets, left_out: slot.left_out.swap(0, Ordering::Relaxed) }
    }

    /// Offers the packets that pass now, each in two parts. A tap that does not copy one counts it as omitted.
    pub(crate) fn offer<'p>(
        &self,
        direction: Direction,
        clock: &Clock,
        packets: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
    ) {
        let slots = match direction {
            Direction::Outbound => self.outbound.load(Ordering::Relaxed),
            Direction::Inbound => self.inbound.load(Ordering::Relaxed),
        };
        if slots == 0 {
            return;
        }
        let now = clock.now();
        for (header, payload) in packets {
            for slot in bits(slots) {
                if let Some(slot) = self.slots.get(slot) {
                    slot.offer(direction, now, header, payload);
                }
            }
        }
    }

    fn directions(&self) -> [(Direction, &AtomicU32); 2] {
        [(Direction::Outbound, &self.outbound), (Direction::Inbound, &self.inbound)]
    }
}

impl Slot {
    /// Copies a packet at `now` (ms of uptime), or counts it as omitted. Most of the time a tap with a quota per second has used it up:
    /// then this is a load and an addition.
    fn offer(&self, direction: Direction, now: u64, header: &[u8], payload: &[u8]) {
        let is_copied = now >= self.quiet_until.load(Ordering::Relaxed)
            && self.ring().as_mut().is_some_and(|ring| {
                let is_admitted = ring.admit(now);
                if is_admitted {
                    ring.push(direction, SystemTime::now(), header, payload);
                }
                if let Some(quiet_until) = ring.quiet_until() {
                    self.quiet_until.store(quiet_until, Ordering::Relaxed);
                }
                is_admitted
            });
        if !is_copied {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn ring(&self) -> MutexGuard<'_, Option<Ring>> {
        lock(&self.ring)
    }
}

/// The places of the bits that are set, lowest first.
fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    iter::from_fn(move || {
        let lowest = (mask != 0).then(|| mask.trailing_zeros())?;
        mask &= mask - 1;
        Some(lowest as usize)
    })
}

/// Most memory of one ring, bytes: copies, and what is noted with each. One more packet may come on top, as it is admitted before its
/// size is known.
const MAX_BYTES: usize = 16 << 20;

/// Packets copied for one tap and not taken yet.
struct Ring {
    options: TapOptions,
    wake: Box<dyn Fn() + Send>,
    packets: Vec<TappedPacket>,
    /// Their size in memory, bytes.
    bytes: usize,
    /// `wake` was called and nothing was taken since.
    woken: bool,
    /// The second of uptime that `copied` counts for.
    second: u64,
    copied: usize,
}

impl Ring {
    fn new(options: TapOptions, wake: Box<dyn Fn() + Send>) -> Self {
        Self { options, wake, packets: Vec::new(), bytes: 0, woken: false, second: 0, copied: 0 }
    }

    /// Whether there are room and quota for a packet at `now` (ms of uptime), which then counts as copied.
    fn admit(&mut self, now: u64) -> bool {
        let second = now / 1000;
        if self.second != second {
            self.second = second;
            self.copied = 0;
        }
        let is_admitted = self.has_room() && self.share_left() > 0;
        self.copied += usize::from(is_admitted);
        is_admitted
    }

    /// Until when, in ms of uptime, nothing will be admitted; `None` if something may be now.
    fn quiet_until(&self) -> Option<u64> {
        (self.share_left() == 0).then_some((self.second + 1) * 1000)
    }

    fn push(&mut self, direction: Direction, at: SystemTime, header: &[u8], payload: &[u8]) {
        let len = header.len() + payload.len();
        let mut data = Vec::with_capacity(len.min(self.options.snap_length));
        for part in [header, payload] {
            let room = self.options.snap_length - data.len();
            data.extend_from_slice(part.get(..room).unwrap_or(part));
        }
        self.bytes += size_of::<TappedPacket>() + data.len();
        self.packets.push(TappedPacket { direction, at, len, data });
        if !self.woken {
            self.woken = true;
            (self.wake)();
        }
    }

    fn take(&mut self) -> Vec<TappedPacket> {
        self.woken = false;
        self.bytes = 0;
        mem::take(&mut self.packets)
    }

    fn has_room(&self) -> bool {
        self.bytes < MAX_BYTES && self.packets.len() < self.options.capacity
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
        let options = TapOptions { snap_length: 10, capacity, packets_per_second, direction: None };
        Ring::new(options, Box::new(|| {}))
    }

    /// How many of `count` packets at `now` are admitted.
    fn admitted(ring: &mut Ring, count: usize, now: u64) -> usize {
        (0..count).filter(|_| ring.admit(now)).count()
    }

    #[test]
    fn each_second_has_its_quota() {
        let mut ring = ring(1000, Some(4));
        assert_eq!((admitted(&mut ring, 3, 100), ring.quiet_until()), (3, None));
        assert_eq!((admitted(&mut ring, 3, 200), ring.quiet_until()), (1, Some(1000)));
        assert_eq!(admitted(&mut ring, 5, 999), 0);
        assert_eq!((admitted(&mut ring, 5, 1000), ring.quiet_until()), (4, Some(2000)));
        assert_eq!(admitted(&mut ring, 1, 7500), 1);
    }

    #[test]
    fn without_a_quota_only_room_counts_and_taking_makes_room() {
        let mut ring = ring(3, None);
        for _ in 0..3 {
            assert!(ring.admit(0));
            ring.push(Direction::Inbound, SystemTime::now(), &[1; 4], &[2; 100]);
        }
        assert_eq!((ring.admit(0), ring.quiet_until()), (false, None));
        let taken = ring.take();
        assert_eq!((taken.len(), taken[0].len), (3, 104));
        assert_eq!(taken[0].data, [[1; 4].as_slice(), &[2; 6]].concat());
        assert!(ring.admit(0));
    }

    #[test]
    fn copies_are_bounded_in_bytes_too() {
        let options = TapOptions {
            snap_length: 65_535,
            capacity: usize::MAX,
            packets_per_second: None,
            direction: None,
        };
        let mut ring = Ring::new(options, Box::new(|| {}));
        let packet = vec![0; 65_535];
        let mut held = 0;
        while ring.admit(0) {
            ring.push(Direction::Inbound, SystemTime::now(), &packet, &[]);
            held += size_of::<TappedPacket>() + packet.len();
        }
        assert!((MAX_BYTES..MAX_BYTES + held / 100).contains(&held), "{held}");
        drop(ring.take());
        assert!(ring.admit(0));
    }

    #[test]
    fn empty_copies_take_room_too() {
        let options =
            TapOptions { snap_length: 0, capacity: usize::MAX, packets_per_second: None, direction: None };
        let mut ring = Ring::new(options, Box::new(|| {}));
        let most = MAX_BYTES / size_of::<TappedPacket>() + 1;
        let mut held = 0;
        while held <= most && ring.admit(0) {
            ring.push(Direction::Inbound, SystemTime::now(), &[1; 4], &[2; 100]);
            held += 1;
        }
        assert_eq!(held, most);
    }
}
