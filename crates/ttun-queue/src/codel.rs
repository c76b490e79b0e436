//! CoDel (RFC 8289): decides from the time that packets have spent in a queue when to drop or mark one.

/// The sojourn time that is acceptable for a standing queue, µs (RFC 8289 section 4.4: 5 ms).
pub const TARGET_US: u64 = 5_000;

/// How long the sojourn time may exceed the target before a packet is dropped, µs (RFC 8289 section 4.3: 100 ms, a long round trip).
pub const INTERVAL_US: u64 = 100_000;

/// After a dropping state, for how long its rate is a good start for the next one, µs (RFC 8289 section 5.4).
const RECENT_US: u64 = 16 * INTERVAL_US;

/// The packets of one queue.
pub(crate) trait Packets {
    /// The packet that was added first.
    fn head(&self) -> Option<Head>;

    /// Marks the head as having experienced congestion. `false` if its sender would not understand that.
    fn mark_head(&mut self) -> bool;

    /// Drops the head.
    fn drop_head(&mut self);
}

/// The packet at the head of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// When it was added, µs.
    pub(crate) since: u64,
    /// Whether no more than one full-sized packet of its flow waits behind it (`dodequeue` of RFC 8289, which looks at what is left without
    /// the head). On a slow link one packet takes longer than the target, and a flow that sends little must not lose any for that. Linux,
    /// which counts the packets of all flows here, drops them (`codel_should_drop` in include/net/codel_impl.h).
    pub(crate) is_short: bool,
}

/// The state of one queue; its fields have the names of RFC 8289 section 5.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CoDel {
    /// When the sojourn time will have exceeded the target for an interval; `None` while it does not.
    first_above_time: Option<u64>,
    /// When to drop the next packet in the dropping state.
    drop_next: u64,
    /// Packets dropped in the dropping state, or the number to start with.
    count: u32,
    /// `count` at the beginning of that state.
    lastcount: u32,
    dropping: bool,
}

impl CoDel {
    /// Drops or marks what has to be dropped or marked, up to the packet to be sent now, which is the head then. Returns whether
    /// that is marked; `None` if no packet is left.
    ///
    /// This is `deque` of RFC 8289 section 5.4; marking is done as in section 5 of RFC 8290 and by Linux (`codel_dequeue` in
    /// include/net/codel_impl.h): a marked packet is sent at once.
    pub(crate) fn choose(&mut self, now: u64, packets: &mut impl Packets) -> Option<bool> {
        let ok_to_drop = self.ok_to_drop(now, packets)?;
        if self.dropping {
            self.dropping = ok_to_drop;
            while self.dropping && now >= self.drop_next {
                self.count = self.count.saturating_add(1);
                if packets.mark_head() {
                    self.drop_next = control_law(self.drop_next, self.count);
                    return Some(true);
                }
                packets.drop_head();
                if self.ok_to_drop(now, packets)? {
                    self.drop_next = control_law(self.drop_next, self.count);
                } else {
                    self.dropping = false;
                }
            }
            return Some(false);
        }
        if !ok_to_drop {
            return Some(false);
        }
        let is_marked = packets.mark_head();
        if !is_marked {
            packets.drop_head();
        }
        self.start_dropping(now);
        if is_marked {
            return Some(true);
        }
        self.ok_to_drop(now, packets).map(|_| false)
    }

    /// Whether the sojourn time of the head has exceeded the target for an interval; `None` without a head (`dodequeue`).
    fn ok_to_drop(&mut self, now: u64, packets: &impl Packets) -> Option<bool> {
        let Some(head) = packets.head() else {
            self.first_above_time = None;
            self.dropping = false;
            return None;
        };
        if now.saturating_sub(head.since) < TARGET_US || head.is_short {
            self.first_above_time = None;
            return Some(false);
        }
        let first_above_time = *self.first_above_time.get_or_insert(now + INTERVAL_US);
        Some(now >= first_above_time)
    }

    /// Enters the dropping state. If the last one has ended only recently, it continues at about its rate.
    fn start_dropping(&mut self, now: u64) {
        let delta = self.count.saturating_sub(self.lastcount);
        let is_recent = now.saturating_sub(self.drop_next) < RECENT_US;
        self.dropping = true;
        self.count = if delta > 1 && is_recent { delta } else { 1 };
        self.lastcount = self.count;
        self.drop_next = control_law(now, self.count);
    }
}

/// When to drop next: the throughput of TCP is inversely proportional to the square root of the drop rate.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a hundred thousand, divided by the square root of a positive number"
)]
fn control_law(at: u64, count: u32) -> u64 {
    at + (INTERVAL_US as f64 / f64::from(count).sqrt()) as u64
}
