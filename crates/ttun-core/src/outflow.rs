//! What leaves for the network: directly while the socket accepts it, through the queue while it does not.

use std::io;
use std::time::Duration;

use ttun_packet::{LoopGuard, Verdict};
use ttun_queue::{DrainMeter, InFlightLimit, Pacer, StandingQueue};

use crate::backlog::{Backlog, Discipline, Next, Staged, Waiting};
use crate::io::DatagramSocket;
use crate::send::{Flushed, Sender};
use crate::shared::Context;
use crate::stats::EncapDrop;
use crate::tap::Direction;
use crate::timer::Timer;

/// The longest segmented send, as time at the rate at which the socket drains, µs: nothing can be sent in the middle of it.
const LONGEST_SEND_US: u64 = 500;

/// How long a rate that contradicts the measured one must last, µs.
const CONTRADICTED_FOR_US: u64 = 100_000;

/// What leaves for the network.
pub(crate) struct Outflow<'t, S> {
    context: &'t Context,
    socket: &'t S,
    sender: Sender<'t, S>,
    /// Allocated when packets have to wait for the first time.
    backlog: Option<Box<Backlog>>,
    /// Whether packets wait, so that others have to wait behind them.
    is_queueing: bool,
    /// Whether the socket was full when packets were last sent.
    is_blocked: bool,
    /// `None` if the send buffer is left as it is.
    limit: Option<InFlightLimit>,
    /// Bytes sent since the socket was last full, and when that was, µs of uptime.
    since_full: (usize, u64),
    standing: StandingQueue,
    drain: DrainMeter,
    /// `None` without a configured rate.
    pacer: Option<Pacer>,
    /// Created when the pacer has to wait for the first time.
    timer: Option<Timer>,
}

impl<'t, S: DatagramSocket> Outflow<'t, S> {
    pub(crate) fn new(socket: &'t S, context: &'t Context) -> Self {
        let mut outflow = Self {
            context,
            socket,
            sender: Sender::new(socket, context),
            backlog: None,
            is_queueing: false,
            is_blocked: false,
            limit: context.queue.most_unsent.map(InFlightLimit::new),
            since_full: (0, 0),
            standing: StandingQueue::default(),
            drain: DrainMeter::default(),
            pacer: None,
            timer: None,
        };
        outflow.apply_limit();
        outflow
    }

    /// The sender, to which packets are added directly while none wait.
    pub(crate) fn sender(&mut self) -> &mut Sender<'t, S> {
        &mut self.sender
    }

    /// Whether packets wait: then others must be [added](Self::enqueue) behind them.
    pub(crate) fn is_queueing(&self) -> bool {
        self.is_queueing
    }

    /// Whether the device may be read: not while packets wait first in, first out.
    pub(crate) fn accepts(&self) -> bool {
        !self.is_queueing || self.context.queue.discipline == Discipline::Fair
    }

    /// Notices a change of the peer, of the configured rate, or of the rate of the link.
    pub(crate) fn follow(&mut self) {
        if self.sender.follow_peer() {
            self.is_blocked = false;
            self.reset_limit();
            self.drain.interrupt();
            self.context.queue.drains(None);
        }
        self.sender.follow_route();
        let rate = self.context.queue.rate() / 8;
        if self.pacer.as_ref().map_or(0, Pacer::rate) != rate {
            match &mut self.pacer {
                Some(pacer) if rate > 0 => pacer.set_rate(rate, self.context.clock.now_ns()),
                _ => self.pacer = (rate > 0).then(|| Pacer::new(rate)),
            }
            self.limit_sends();
        }
        self.follow_link();
    }

    /// Sends the batch, whose packets are in `read`. If that is not possible now, they wait.
    pub(crate) fn flush(&mut self, read: &[u8]) {
        if self.send(read) == Flushed::Blocked {
            self.is_queueing = true;
            let mut backlog = self.take_backlog();
            backlog.fill_stage(|stage| self.sender.batch().move_to(stage, read));
            self.backlog = Some(backlog);
        }
    }

    /// Adds what was read, except for its first packets up to `from`, to those that wait.
    pub(crate) fn enqueue(&mut self, waiting: Waiting, from: usize) {
        let mut backlog = self.take_backlog();
        let dropped = backlog.push(waiting, from, self.context.clock.now_us());
        self.context.encap.drop(EncapDrop::QueueFull, dropped);
        self.context.queue.holds(&backlog);
        self.backlog = Some(backlog);
    }

    fn take_backlog(&mut self) -> Box<Backlog> {
        self.backlog.take().unwrap_or_else(|| Box::new(Backlog::new(self.context.queue.discipline)))
    }

    /// Sends packets that wait, as far as that is possible now.
    pub(crate) fn resume(&mut self, loop_guard: &mut LoopGuard) {
        if !self.is_queueing || !self.has_room() {
            return;
        }
        if let Some(mut backlog) = self.backlog.take() {
            self.is_queueing = !self.send_waiting(&mut backlog, loop_guard);
            if !self.is_queueing {
                self.socket.stop_waiting();
                self.drain.interrupt();
            }
            self.context.encap.drop(EncapDrop::Queue, backlog.newly_dropped());
            self.context.queue.holds(&backlog);
            self.backlog = Some(backlog);
        }
    }

    /// Resolves when packets that wait can be sent.
    pub(crate) async fn room(&mut self) -> io::Result<()> {
        let pause = self.pause();
        if pause == 0 {
            return if self.is_blocked { self.socket.room().await } else { Ok(()) };
        }
        if self.timer.is_none() {
            self.timer = Timer::new().ok();
        }
        let Some(timer) = &self.timer else {
            // The process is out of descriptors; a timer that is less precise needs none.
            tokio::time::sleep(Duration::from_nanos(pause)).await;
            return Ok(());
        };
        timer.after(pause).await
    }

    /// Returns whether none is left.
    fn send_waiting(&mut self, backlog: &mut Backlog, loop_guard: &mut LoopGuard) -> bool {
        let Self { context, .. } = *self;
        loop {
            let is_last = loop {
                let fits = |len, tos| self.sender.fits(len, context.outer_tos.of(tos));
                match backlog.next(context.clock.now_us(), fits) {
                    Next::Staged(staged) => {
                        take(context, &mut self.sender, loop_guard, backlog.stage(), &staged);
                    }
                    Next::Malformed => context.encap.drop(EncapDrop::Malformed, 1),
                    Next::Refused => break false,
                    Next::Empty => break true,
                }
            };
            if self.send(backlog.stage()) == Flushed::Blocked {
                return false;
            }
            backlog.clear_stage();
            if is_last {
                return true;
            }
        }
    }

    /// Sends the batch if it is its time.
    fn send(&mut self, packets: &[u8]) -> Flushed {
        if self.sender.batch().packets() == 0 {
            return Flushed::All;
        }
        if self.pause() > 0 {
            // Each datagram that leaves would wake the thread.
            self.socket.stop_waiting();
            self.drain.interrupt();
            return Flushed::Blocked;
        }
        let encap = &self.context.encap;
        let (packets_before, bytes_before) = (encap.packets.get(), encap.bytes.get());
        let flushed = self.sender.flush(packets);
        // What was dropped is not charged for.
        let (packets, bytes) = (encap.packets.get() - packets_before, encap.bytes.get() - bytes_before);
        self.sent(bytes as usize + packets as usize * self.context.outer_overhead());
        if self.context.queue.ends_excess() {
            self.apply_limit();
        }
        if flushed == Flushed::Blocked {
            self.blocked();
        }
        flushed
    }

    /// Datagrams of `bytes` together were sent.
    fn sent(&mut self, bytes: usize) {
        if let Some(pacer) = &mut self.pacer
            && bytes > 0
        {
            pacer.sent(self.context.clock.now_ns(), bytes, self.is_queueing);
        }
        self.since_full.0 += bytes;
        self.standing.sent(bytes);
        self.drain.sent(bytes);
    }

    /// How long the configured rate allows no send, ns.
    fn pause(&self) -> u64 {
        self.pacer.as_ref().map_or(0, |pacer| pacer.wait(self.context.clock.now_ns()))
    }

    /// The socket is full.
    fn blocked(&mut self) {
        self.is_blocked = true;
        let now = self.context.clock.now_us();
        if let Some(rate) = self.drain.filled(now, self.limit.as_ref().map_or(0, InFlightLimit::bytes)) {
            self.context.queue.drains(Some(rate));
        }
        if let Some(limit) = &mut self.limit
            && let Some(held) = self.socket.unsent()
        {
            limit.filled(now, held);
            self.since_full = (0, now);
            self.standing.begin(now, held);
        }
    }

    /// Whether the socket may accept packets again.
    fn has_room(&mut self) -> bool {
        if !self.is_blocked {
            return true;
        }
        if !self.socket.has_new_room() {
            return false;
        }
        self.is_blocked = false;
        if let Some(limit) = &mut self.limit
            && let Some(held) = self.socket.unsent()
        {
            if held >= limit.bytes() {
                self.is_blocked = true;
                return false;
            }
            if limit.drained(self.context.clock.now_us(), held) {
                self.apply_limit();
            } else {
                self.limit_sends();
            }
        }
        true
    }

    /// Notices a link whose rate is no longer measured, as the socket is never full: one that has become much faster, or so slow that what
    /// its senders have on the way stands in the socket.
    fn follow_link(&mut self) {
        let Some(limit) = &mut self.limit else { return };
        let now = self.context.clock.now_us();
        if self.standing.is_due(now)
            && let Some(held) = self.socket.unsent()
            && let Some(rate) = self.standing.observe(now, held)
        {
            limit.stands(rate);
            self.since_full = (0, now);
            self.drain.interrupt();
            self.context.queue.drains(None);
            return self.apply_limit();
        }
        let Some(rate) = limit.rate() else { return };
        let (bytes, since) = self.since_full;
        let elapsed = now.saturating_sub(since);
        if elapsed >= CONTRADICTED_FOR_US && bytes as u64 > rate.saturating_mul(2 * elapsed) / 1_000_000 {
            self.reset_limit();
            self.context.queue.drains(None);
        }
    }

    fn reset_limit(&mut self) {
        self.standing = StandingQueue::default();
        if let Some(limit) = &mut self.limit {
            limit.reset();
        }
        self.apply_limit();
    }

    fn apply_limit(&mut self) {
        match self.limit.as_ref().map(|limit| (limit.bytes(), self.socket.limit_unsent(limit.bytes()))) {
            Some((bytes, Ok(()))) => self.context.queue.limits(bytes),
            // The send buffer stays as it is, so that more waits in the socket.
            Some((_, Err(_))) => self.limit = None,
            None => {}
        }
        self.limit_sends();
    }

    fn limit_sends(&mut self) {
        let rates = [self.limit.as_ref().and_then(InFlightLimit::rate), self.pacer.as_ref().map(Pacer::rate)];
        let longest =
            rates.into_iter().flatten().min().map(|rate| rate.saturating_mul(LONGEST_SEND_US) / 1_000_000);
        let longest = longest.map_or(usize::MAX, |bytes| bytes as usize);
        // A send that is longer than the send buffer would be accepted by an empty one.
        self.sender.limit_sends(longest.min(self.context.queue.limit()));
    }
}

impl<S> Outflow<'_, S> {
    /// Counts everything that waits as dropped: the tunnel has ended.
    pub(crate) fn abandon(&mut self) {
        self.sender.abandon(EncapDrop::Closed);
        if let Some(backlog) = self.backlog.take() {
            self.context.encap.drop(EncapDrop::Closed, backlog.packets());
            self.context.queue.emptied();
        }
        self.is_queueing = false;
    }
}

/// Adds a packet to the batch.
fn take<S: DatagramSocket>(
    context: &Context,
    sender: &mut Sender<'_, S>,
    loop_guard: &mut LoopGuard,
    stage: &[u8],
    staged: &Staged,
) {
    let packet = &stage[staged.place.clone()];
    let (header, payload) = packet.split_at(staged.header_len);
    if let Verdict::EachPayload(outside) = staged.verdict
        && loop_guard.loops_inside(outside, payload)
    {
        return context.encap.drop(EncapDrop::RoutingLoop, 1);
    }
    context.taps.offer(Direction::Outbound, &context.clock, [(header, payload)]);
    context.queue.left(staged);
    let tos = context.outer_tos.of(staged.tos);
    sender.batch().push(packet.len(), tos, staged.place.clone(), 0);
}
