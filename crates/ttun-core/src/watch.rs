//! Copies of passing packets for somebody who watches: a bounded ring that exists only while someone does.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// How much of the traffic to copy.
#[derive(Clone, Copy, Debug)]
pub struct WatchOptions {
    /// Bytes kept of each packet.
    pub snap_length: usize,
    /// Packets kept until they are taken; those that come while it is full are left out.
    pub capacity: usize,
    /// Packets copied in any one second at most; `None` copies all.
    pub packets_per_second: Option<u32>,
    /// Only packets that pass this way; `None` copies both.
    pub direction: Option<Direction>,
}

/// Which way a packet passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the device to the peer.
    Outbound,
    /// From the peer to the device.
    Inbound,
}

/// A copy of the beginning of a packet.
#[derive(Clone, Debug)]
pub struct WatchedPacket {
    /// Which way it passed.
    pub direction: Direction,
    /// When it was copied.
    pub at: SystemTime,
    /// Length of the whole packet, bytes.
    pub len: usize,
    /// Its first bytes.
    pub data: Vec<u8>,
}

/// What was copied since the last time it was taken.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// The packets, oldest first.
    pub packets: Vec<WatchedPacket>,
    /// How many passed without being copied.
    pub left_out: u64,
}

/// Somebody watches. Dropping it ends that.
pub struct Watch {
    post: Arc<WatchPost>,
    id: u64,
}

impl Watch {
    /// Starts watching through `post`, in place of who watched before; `wake` is called from the packet path, once for each time that
    /// there is something to take again, and must not block.
    pub(crate) fn start(post: Arc<WatchPost>, options: WatchOptions, wake: Box<dyn Fn() + Send>) -> Self {
        let mut ring = post.ring();
        let id = ring.as_ref().map_or(0, |previous| previous.id + 1);
        *ring =
            Some(Ring { id, options, wake, packets: VecDeque::new(), woken: false, second: 0, copied: 0 });
        post.left_out.store(0, Ordering::Relaxed);
        post.quiet_until.store(0, Ordering::Relaxed);
        post.active.store(true, Ordering::Release);
        drop(ring);
        Self { post, id }
    }

    /// Takes what was copied.
    #[must_use]
    pub fn take(&self) -> Watched {
        let mut ring = self.post.ring();
        let Some(mine) = ring.as_mut().filter(|ring| ring.id == self.id) else { return Watched::default() };
        mine.woken = false;
        let packets = mine.packets.drain(..).collect();
        Watched { packets, left_out: self.post.left_out.swap(0, Ordering::Relaxed) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut ring = self.post.ring();
        if ring.as_ref().is_some_and(|ring| ring.id == self.id) {
            self.post.active.store(false, Ordering::Release);
            *ring = None;
        }
    }
}

/// Where the pumps leave copies. While nobody watches it costs them one relaxed load for each batch.
#[derive(Default)]
pub(crate) struct WatchPost {
    active: AtomicBool,
    left_out: AtomicU64,
    /// Uptime in ms before which no copy is wanted: this second's share is used up.
    quiet_until: AtomicU64,
    ring: Mutex<Option<Ring>>,
}

struct Ring {
    /// Tells one watcher from the next.
    id: u64,
    options: WatchOptions,
    wake: Box<dyn Fn() + Send>,
    packets: VecDeque<WatchedPacket>,
    /// `wake` was called and nothing was taken since.
    woken: bool,
    /// The second of uptime that `copied` counts for.
    second: u64,
    copied: u32,
}

impl WatchPost {
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Offers `count` packets at `now` (ms of uptime); says how many of them, from the first, to copy with
    /// [`Self::copy`]. The others count as left out.
    pub(crate) fn admit(&self, count: usize, now: u64) -> usize {
        let admitted =
            if now < self.quiet_until.load(Ordering::Relaxed) { 0 } else { self.admit_slowly(count, now) };
        self.left_out.fetch_add((count - admitted) as u64, Ordering::Relaxed);
        admitted
    }

    fn admit_slowly(&self, count: usize, now: u64) -> usize {
        let mut guard = self.ring();
        let Some(ring) = guard.as_mut() else { return 0 };
        let room = ring.options.capacity.saturating_sub(ring.packets.len());
        let Some(share) = ring.options.packets_per_second else { return count.min(room) };
        let second = now / 1000;
        if ring.second != second {
            ring.second = second;
            ring.copied = 0;
        }
        let left = share.saturating_sub(ring.copied);
        if left == 0 {
            self.quiet_until.store((second + 1) * 1000, Ordering::Relaxed);
        }
        let admitted = count.min(room).min(left as usize);
        ring.copied += admitted as u32;
        admitted
    }

    /// Copies a packet that stands in two parts.
    pub(crate) fn copy(&self, direction: Direction, header: &[u8], payload: &[u8]) {
        let mut guard = self.ring();
        let Some(ring) = guard.as_mut() else { return };
        let data = header.iter().chain(payload).take(ring.options.snap_length).copied().collect();
        let len = header.len() + payload.len();
        ring.packets.push_back(WatchedPacket { direction, at: SystemTime::now(), len, data });
        if !ring.woken {
            ring.woken = true;
            (ring.wake)();
        }
    }

    fn ring(&self) -> MutexGuard<'_, Option<Ring>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
