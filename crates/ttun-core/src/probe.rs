//! Probes: echo requests that the tunnel sends as inner packets, and the replies among the packets from the peer.
//!
//! A configured probe measures at equal intervals; besides it any number of single requests may be under way, in any size and with any
//! outer header, to measure the path. Their replies are taken out of the stream: each has the identifier of this tunnel, and in its data a
//! number and a token that no one else can know, so that an echo reply for another program is never taken for one.
//!
//! This holds the state, which the packet path looks at for each receive; `prober` sends the requests.

mod source;
mod window;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use ttun_packet::{ECHO_COOKIE_LEN, EchoReply, EchoRequest, IcmpFragments, IpPacket};

pub(crate) use source::{Source, find_source, is_own};

use crate::lock::lock;
use crate::options::ProbeOptions;
use crate::stats::ProbeStats;
use window::Window;

/// A single echo request, to measure the path.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    /// The inner destination.
    pub destination: IpAddr,
    /// The inner source, of the same family.
    pub source: IpAddr,
    /// Length of the inner packet, bytes; at least 44 for IPv4 and 64 for IPv6.
    pub len: usize,
    /// TOS or traffic class of the inner header.
    pub tos: u8,
    /// That of the outer header; `None`: as data has it.
    pub outer_tos: Option<u8>,
    /// Whether routers may fragment the datagram.
    pub datagram: EchoDatagram,
    /// How long the reply is awaited.
    pub timeout: Duration,
}

/// Whether a datagram may travel in fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoDatagram {
    /// As data does.
    AsData,
    /// It is sent whole, whatever the known MTU of the path is; routers that cannot forward it drop it.
    Whole,
}

/// What has become of an [`Echo`].
#[derive(Clone, Copy, Debug)]
pub enum EchoOutcome {
    /// There was a reply.
    Answered(EchoAnswer),
    /// There was none in time.
    Unanswered,
    /// The kernel refused to send it, with this error number.
    Refused(i32),
}

/// The reply to an [`Echo`].
#[derive(Clone, Copy, Debug)]
pub struct EchoAnswer {
    /// Time between request and reply.
    pub rtt: Duration,
    /// TOS or traffic class of its inner header, as it arrived.
    pub tos: u8,
    /// That of its outer header; 0 if it is not known.
    pub outer_tos: u8,
    /// Whether its datagram arrived in fragments.
    pub is_reassembled: bool,
    /// Length of its inner packet, bytes; of the first one if it is in fragments.
    pub len: usize,
    /// Whether the peer has sent it as several inner packets: it was too long for the peer's device.
    pub in_fragments: bool,
}

/// The probes of one tunnel.
pub(crate) struct Probes {
    /// The configured probe.
    plan: Option<ProbeOptions>,
    start: Instant,
    identifier: u16,
    tokens: RandomState,
    /// Whether requests are to be sent, or replies may arrive.
    active: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of the configured probe.
    source: Option<IpAddr>,
    /// When the next probe is due, ns.
    due: u64,
    window: Window,
    /// Requests that were made so far.
    asked: u64,
    measurements: u64,
    waiting: VecDeque<(Echo, oneshot::Sender<EchoOutcome>)>,
    outstanding: Vec<Outstanding>,
    /// Until when late replies to them are expected, ns.
    linger_until: u64,
    /// A reply of which only the first fragment was received.
    fragments: Option<IcmpFragments>,
    ended: bool,
}

impl State {
    /// A probe is sent now. Missed ones are not made up for: the process may have been stopped.
    fn schedule_next(&mut self, plan: ProbeOptions, now: u64) {
        let interval = ns(plan.interval).max(1);
        let missed = now.saturating_sub(self.due) / interval;
        self.due = if self.due == 0 { now + interval } else { self.due + (missed + 1) * interval };
    }
}

struct Outstanding {
    number: u64,
    sent_at: u64,
    deadline: u64,
    result: oneshot::Sender<EchoOutcome>,
}

/// The outer header of a reply.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) tos: u8,
    pub(crate) is_reassembled: bool,
}

/// A request to be sent.
pub(crate) struct Request {
    pub(crate) packet: EchoRequest,
    pub(crate) len: usize,
    pub(crate) outer_tos: Option<u8>,
    pub(crate) datagram: EchoDatagram,
    /// Of a single request.
    pub(crate) single: Option<u64>,
}

/// Numbers of single requests have this bit, those of the configured probe do not.
const SINGLE: u64 = 1 << 63;

/// After the last single request was answered or timed out, its late or duplicate replies are expected for this long, ns.
const LINGER_NS: u64 = 10_000_000_000;

/// The length of a probe if none is configured: the data is 56 bytes, as that of ping(8).
const DEFAULT_DATA_LEN: usize = 56;

impl Probes {
    pub(crate) fn new(plan: Option<ProbeOptions>) -> Self {
        let tokens = RandomState::new();
        Self {
            identifier: tokens.hash_one(()) as u16,
            tokens,
            start: Instant::now(),
            active: AtomicBool::new(plan.is_some()),
            plan,
            state: Mutex::default(),
        }
    }

    /// Whether requests are to be sent, or replies may arrive.
    pub(crate) fn are_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// The address of the configured probe.
    pub(crate) fn destination(&self) -> Option<IpAddr> {
        self.plan.map(|plan| plan.address)
    }

    /// Time between two of its probes; `None` while none are sent.
    pub(crate) fn interval(&self) -> Option<Duration> {
        let plan = self.plan?;
        self.state().source.map(|_| plan.interval)
    }

    /// The source of its probes.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.state().source
    }

    /// Sets that source. Returns whether it was another, so that the prober must be woken.
    pub(crate) fn set_source(&self, source: Option<IpAddr>) -> bool {
        std::mem::replace(&mut self.state().source, source) != source
    }

    /// Sends `echo` soon. The prober must be woken. The receiver fails when the tunnel ends.
    pub(crate) fn ask(&self, echo: Echo) -> oneshot::Receiver<EchoOutcome> {
        let (result, outcome) = oneshot::channel();
        let mut state = self.state();
        if state.ended {
            return outcome;
        }
        state.waiting.push_back((echo, result));
        // While locked, so that the prober does not reset it.
        self.active.store(true, Ordering::Relaxed);
        outcome
    }

    /// The tunnel has ended: nothing is sent any more.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.waiting.clear();
        state.outstanding.clear();
    }

    /// Whether `packet`, which arrived in a datagram of which `arrival` is known, is a reply to a request of this tunnel. Takes note of it.
    pub(crate) fn take(&self, packet: &IpPacket<&[u8]>, arrival: Arrival) -> bool {
        let Some(reply) = EchoReply::read(packet) else { return self.take_fragment(packet) };
        if reply.identifier != self.identifier {
            return false;
        }
        let (number, token) = split(reply.cookie);
        if token != self.token(number, reply.destination, reply.source) || reply.sequence != number as u16 {
            return false;
        }
        let now = self.now();
        let mut state = self.state();
        if reply.is_fragment {
            state.fragments = IcmpFragments::of(packet);
        }
        if number & SINGLE == 0 {
            state.window.replied(number, now);
            return true;
        }
        let found = state.outstanding.iter().position(|outstanding| outstanding.number == number);
        if let Some(index) = found {
            let Outstanding { sent_at, result, .. } = state.outstanding.swap_remove(index);
            // The prober sees to the rest when it wakes up next.
            let _ = result.send(EchoOutcome::Answered(EchoAnswer {
                rtt: Duration::from_nanos(now.saturating_sub(sent_at)),
                tos: reply.tos,
                outer_tos: arrival.tos,
                is_reassembled: arrival.is_reassembled,
                len: reply.len,
                in_fragments: reply.is_fragment,
            }));
        }
        true
    }

    /// Whether it is a later fragment of a reply.
    fn take_fragment(&self, packet: &IpPacket<&[u8]>) -> bool {
        IcmpFragments::of(packet).is_some_and(|fragments| self.state().fragments == Some(fragments))
    }

    /// The next request to be sent now.
    pub(crate) fn next_request(&self) -> Option<Request> {
        let now = self.now();
        let mut state = self.state();
        self.next_single(&mut state, now).or_else(|| self.next_probe(&mut state, now))
    }

    fn next_single(&self, state: &mut State, now: u64) -> Option<Request> {
        let (echo, result) = state.waiting.pop_front()?;
        let number = SINGLE | state.asked;
        state.asked += 1;
        let deadline = now.saturating_add(ns(echo.timeout));
        state.outstanding.push(Outstanding { number, sent_at: now, deadline, result });
        let Echo { destination, source, len, tos, outer_tos, datagram, .. } = echo;
        let packet = self.packet(number, source, destination, tos);
        Some(Request { packet, len, outer_tos, datagram, single: Some(number) })
    }

    fn next_probe(&self, state: &mut State, now: u64) -> Option<Request> {
        let plan = self.plan?;
        let source = state.source?;
        if now < state.due {
            return None;
        }
        state.schedule_next(plan, now);
        let number = state.window.sent(now);
        let packet = self.packet(number, source, plan.address, 0);
        let shortest = EchoRequest::min_len(&plan.address);
        let len = plan.len.unwrap_or(shortest + DEFAULT_DATA_LEN - ECHO_COOKIE_LEN);
        Some(Request { packet, len, outer_tos: None, datagram: EchoDatagram::AsData, single: None })
    }

    /// Leaves out a probe that is due.
    pub(crate) fn skip_probe(&self) {
        let now = self.now();
        let mut state = self.state();
        if let Some(plan) = self.plan.filter(|_| now >= state.due) {
            state.schedule_next(plan, now);
        }
    }

    fn packet(&self, number: u64, source: IpAddr, destination: IpAddr, tos: u8) -> EchoRequest {
        let cookie = join(number, self.token(number, source, destination));
        let (identifier, sequence) = (self.identifier, number as u16);
        EchoRequest { source, destination, identifier, sequence, tos, cookie }
    }

    /// A single request was sent, or refused by the kernel with an error number.
    pub(crate) fn sent(&self, number: u64, sent: Result<(), i32>) {
        let mut state = self.state();
        let Err(errno) = sent else {
            state.measurements += 1;
            return;
        };
        let found = state.outstanding.iter().position(|outstanding| outstanding.number == number);
        if let Some(index) = found {
            let _ = state.outstanding.swap_remove(index).result.send(EchoOutcome::Refused(errno));
        }
    }

    /// Ends single requests whose time is over. Returns how long there is nothing to do; `None`: until the prober is woken.
    pub(crate) fn time_out(&self) -> Option<Duration> {
        let now = self.now();
        let mut state = self.state();
        state.window.settle(now);
        while let Some(index) = state.outstanding.iter().position(|outstanding| outstanding.deadline <= now) {
            let _ = state.outstanding.swap_remove(index).result.send(EchoOutcome::Unanswered);
            state.linger_until = now + LINGER_NS;
        }
        if !state.outstanding.is_empty() {
            state.linger_until = now + LINGER_NS;
        }
        let is_lingering = self.plan.is_none() && state.linger_until > now;
        let deadlines = state.outstanding.iter().map(|outstanding| outstanding.deadline);
        let due = (self.plan.is_some() && state.source.is_some()).then_some(state.due);
        let next = deadlines.chain(due).chain(is_lingering.then_some(state.linger_until)).min();
        if !state.waiting.is_empty() {
            return Some(Duration::ZERO);
        }
        if self.plan.is_none() && next.is_none() {
            self.active.store(false, Ordering::Relaxed);
        }
        next.map(|next| Duration::from_nanos(next.saturating_sub(now)))
    }

    /// Whether no probe was ever answered.
    pub(crate) fn were_never_answered(&self) -> bool {
        self.state().window.received() == 0
    }

    /// How many of the last probes in a row were lost.
    pub(crate) fn lost_in_a_row(&self) -> usize {
        let now = self.now();
        let mut state = self.state();
        state.window.settle(now);
        state.window.lost_in_a_row()
    }

    /// The statistics; `timestamp` is now, in ms since the epoch.
    pub(crate) fn stats(&self, timestamp: f64) -> ProbeStats {
        let now = self.now();
        let mut state = self.state();
        let mut described = ProbeStats { measurements: state.measurements, ..ProbeStats::default() };
        if let Some(plan) = self.plan {
            described.address = Some(plan.address);
            described.source = state.source;
            described.interval_ms = Some(plan.interval.as_secs_f64() * 1e3);
            state.window.describe(now, timestamp, &mut described);
        }
        described
    }

    /// Proves that a reply to request `number` is one: whoever sends it has seen the request.
    fn token(&self, number: u64, source: IpAddr, destination: IpAddr) -> u64 {
        self.tokens.hash_one((number, source, destination))
    }

    /// Nanoseconds since the tunnel was opened.
    fn now(&self) -> u64 {
        ns(self.start.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn join(number: u64, token: u64) -> [u8; ECHO_COOKIE_LEN] {
    (u128::from(number) << 64 | u128::from(token)).to_be_bytes()
}

fn split(cookie: [u8; ECHO_COOKIE_LEN]) -> (u64, u64) {
    let both = u128::from_be_bytes(cookie);
    ((both >> 64) as u64, both as u64)
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// When probes are sent by a prober that looks at these times.
    fn sent_at(interval_ms: u64, looks: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let (address, interval) = (IpAddr::from([10, 0, 2, 2]), Duration::from_millis(interval_ms));
        let probes = Probes::new(Some(ProbeOptions { address, interval, len: None }));
        let mut state = State { source: Some(IpAddr::from([10, 0, 2, 1])), ..State::default() };
        let mut is_sent = |now: u64| probes.next_probe(&mut state, now).is_some();
        looks.into_iter().filter(|ms| is_sent(ms * MS)).collect()
    }

    #[test]
    fn a_late_prober_does_not_shift_the_probes_after_it() {
        assert_eq!(sent_at(100, [3, 110, 202, 203, 204, 299, 399, 403]), [3, 110, 203, 399, 403]);
    }

    #[test]
    fn a_prober_that_was_stopped_does_not_catch_up() {
        assert_eq!(
            sent_at(100, [0, 100, 3_600_050, 3_600_051, 3_600_099, 3_600_100]),
            [0, 100, 3_600_050, 3_600_100]
        );
    }

    #[test]
    fn a_reply_is_that_of_one_request_between_two_addresses() {
        let probes = Probes::new(None);
        let [here, there, elsewhere] = [1, 2, 3].map(|host| IpAddr::from([10, 0, 2, host]));
        let token = probes.token(7, here, there);
        assert_eq!(token, probes.token(7, here, there));
        for other in
            [probes.token(8, here, there), probes.token(7, here, elsewhere), probes.token(7, there, here)]
        {
            assert_ne!(token, other);
        }
        assert_ne!(token, Probes::new(None).token(7, here, there), "of another tunnel");
        assert_eq!(split(join(7, token)), (7, token));
    }
}
