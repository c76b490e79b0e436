//! Where the pumps leave copies, and who gets them.

use std::iter;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::ring::Ring;
use super::{Direction, WatchOptions, Watched};
use crate::clock::Clock;

/// How many may watch one tunnel at once.
pub(super) const MAX_WATCHES: usize = 16;

/// While nobody watches it costs the pumps one relaxed load for each batch.
#[derive(Default)]
pub(crate) struct WatchPost {
    /// Which slots want packets of each direction, a bit for each.
    outbound: AtomicU32,
    inbound: AtomicU32,
    slots: [Slot; MAX_WATCHES],
}

/// The place of one watcher. Nobody waits for another: each has a lock of its own, which its owner holds just for as long as it takes
/// to exchange a pointer.
#[derive(Default)]
struct Slot {
    left_out: AtomicU64,
    /// Uptime in ms before which no copy is wanted: this second's share is used up.
    quiet_until: AtomicU64,
    ring: Mutex<Option<Ring>>,
}

/// Which packets of a batch are to be copied, and for whom.
pub(crate) struct Admission {
    direction: Direction,
    /// Slots that take some of them, a bit for each.
    slots: u32,
    /// How many each of those takes, from the first.
    counts: [u32; MAX_WATCHES],
    most: u32,
}

impl WatchPost {
    /// Finds room for one more; `None` when there is none.
    pub(super) fn occupy(&self, options: WatchOptions, wake: Box<dyn Fn() + Send>) -> Option<usize> {
        let (index, slot, mut ring) = self.slots.iter().enumerate().find_map(|(index, slot)| {
            let ring = slot.ring();
            ring.is_none().then_some((index, slot, ring))
        })?;
        *ring = Some(Ring::new(options, wake));
        slot.left_out.store(0, Ordering::Relaxed);
        slot.quiet_until.store(0, Ordering::Relaxed);
        drop(ring);
        for (direction, watched) in self.directions() {
            if options.direction.is_none_or(|wanted| wanted == direction) {
                watched.fetch_or(1 << index, Ordering::Release);
            }
        }
        Some(index)
    }

    pub(super) fn vacate(&self, index: usize) {
        for (_, watched) in self.directions() {
            watched.fetch_and(!(1 << index), Ordering::Release);
        }
        if let Some(slot) = self.slots.get(index) {
            let ring = slot.ring().take();
            drop(ring);
        }
    }

    pub(super) fn take(&self, index: usize) -> Watched {
        let Some(slot) = self.slots.get(index) else { return Watched::default() };
        let mut ring = slot.ring();
        let packets = ring.as_mut().map(Ring::take).unwrap_or_default();
        Watched { packets, left_out: slot.left_out.swap(0, Ordering::Relaxed) }
    }

    /// Offers the `count` packets of a batch. The others than those that are admitted count as left out.
    pub(crate) fn admit(&self, direction: Direction, count: usize, clock: &Clock) -> Option<Admission> {
        let watched = match direction {
            Direction::Outbound => self.outbound.load(Ordering::Relaxed),
            Direction::Inbound => self.inbound.load(Ordering::Relaxed),
        };
        if watched == 0 || count == 0 { None } else { self.admit_watched(direction, watched, count, clock) }
    }

    fn admit_watched(
        &self,
        direction: Direction,
        watched: u32,
        count: usize,
        clock: &Clock,
    ) -> Option<Admission> {
        let now = clock.now();
        let mut admission = Admission { direction, slots: 0, counts: [0; MAX_WATCHES], most: 0 };
        for index in bits(watched) {
            let (Some(slot), Some(admitted)) = (self.slots.get(index), admission.counts.get_mut(index))
            else {
                continue;
            };
            *admitted = slot.admit(count, now) as u32;
            if *admitted > 0 {
                admission.slots |= 1 << index;
                admission.most = admission.most.max(*admitted);
            }
        }
        (admission.slots != 0).then_some(admission)
    }

    /// Copies the packet at `index` of the batch, which stands in two parts, for those who take it.
    pub(crate) fn copy(&self, admission: &Admission, index: usize, header: &[u8], payload: &[u8]) {
        if index >= admission.most as usize {
            return;
        }
        let at = SystemTime::now();
        for slot in bits(admission.slots) {
            let takes = admission.counts.get(slot).is_some_and(|&count| index < count as usize);
            if let Some(slot) = self.slots.get(slot).filter(|_| takes)
                && let Some(ring) = slot.ring().as_mut()
            {
                ring.push(admission.direction, at, header, payload);
            }
        }
    }

    fn directions(&self) -> [(Direction, &AtomicU32); 2] {
        [(Direction::Outbound, &self.outbound), (Direction::Inbound, &self.inbound)]
    }
}

impl Slot {
    /// How many of `count` packets at `now` (ms of uptime) to copy. Most of the time a watcher with a share for each second has
    /// used it up: then this is a load and an addition.
    fn admit(&self, count: usize, now: u64) -> usize {
        let admitted =
            if now < self.quiet_until.load(Ordering::Relaxed) { 0 } else { self.ask_ring(count, now) };
        if admitted < count {
            self.left_out.fetch_add((count - admitted) as u64, Ordering::Relaxed);
        }
        admitted
    }

    fn ask_ring(&self, count: usize, now: u64) -> usize {
        let mut guard = self.ring();
        let Some(ring) = guard.as_mut() else { return 0 };
        let admitted = ring.admit(count, now);
        if let Some(quiet_until) = ring.quiet_until() {
            self.quiet_until.store(quiet_until, Ordering::Relaxed);
        }
        admitted
    }

    fn ring(&self) -> MutexGuard<'_, Option<Ring>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
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
