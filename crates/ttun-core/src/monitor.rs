//! The monitor of one tunnel: called after possible changes of the network and once a second, compares the state of the tunnel
//! with the last one that it saw, and records the differences in the history.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use ttun_link::Place;

use crate::diagnosis::{Silence, unanswered_probe};
use crate::endpoints::Endpoints;
use crate::error::{Error, ErrorKind};
use crate::heard::{Heard, SUSPICIOUS_MS};
use crate::history::{Change, ChangeKind, span};
use crate::learn;
use crate::lock::lock;
use crate::options::Endpoint;
use crate::shared::{Context, Trouble};
use crate::stats::TunnelState;
use crate::watcher::retry_delay;

/// The last known state of one tunnel's peer, local address and network.
pub(crate) struct Monitor(Mutex<State>);

struct State {
    /// The configured local address; `None` if it is left to the routing table.
    fixed: Option<IpAddr>,
    /// The interface that last had the configured local address, for the hint on how to add it again.
    place: Option<Place>,
    /// The address, interface or route that is missing, so that the peer cannot be reached.
    missing: Option<Missing>,
    /// When to review the socket next even without a notice, and the current retry delay.
    again: Option<(Instant, Duration)>,
    reviewed_at: Option<Instant>,
    /// As last seen.
    endpoints: Endpoints,
    heard: Heard,
    /// Changes of the peer's address since the peer was last heard.
    unheard_peers: u32,
    /// Datagrams per send, as last seen.
    segments: usize,
    /// The version of the peer, and the MTU of the path to it, bytes; 0 if it was not known.
    path_mtu: (u32, usize),
}

struct Missing {
    kind: ChangeKind,
    message: String,
    since: Instant,
}

/// Least time between two reviews of the socket of a peer that does not answer.
const BETWEEN_REVIEWS: Duration = Duration::from_millis(SUSPICIOUS_MS);

/// Changes of the peer's address that are recorded before the peer is heard.
const MOST_UNHEARD: u32 = 10;

impl Monitor {
    pub(crate) fn new(context: &Context) -> Self {
        Self(Mutex::new(State {
            fixed: None,
            place: None,
            missing: None,
            again: None,
            reviewed_at: None,
            endpoints: context.endpoints.get(),
            heard: Heard::default(),
            unheard_peers: 0,
            segments: context.segments_per_send.load(Ordering::Relaxed),
            path_mtu: (0, 0),
        }))
    }

    /// Before the socket is reviewed: remembers which interface has its `local` address, if that is not left to the routing table.
    pub(crate) fn locate(&self, local: &Endpoint) {
        if local.ip.is_unspecified() {
            return;
        }
        let mut state = self.state();
        state.fixed = Some(local.ip);
        let is_known = state.place.is_some() && state.missing.is_none();
        // Looked up while it is not locked: with many addresses that takes a while.
        drop(state);
        if !is_known && let Some(place) = ttun_link::place_of(local.ip).ok().flatten() {
            self.state().place = Some(place);
        }
    }

    /// Records the result of a review of the socket: an error names the missing address, interface or route.
    pub(crate) fn reviewed(&self, context: &Context, result: Result<(), Error>) {
        let mut state = self.state();
        let now = Instant::now();
        state.reviewed_at = Some(now);
        let changes = match result {
            Ok(()) => {
                state.again = None;
                let back = state.missing.take().map(|missing| missing.back(now));
                if back.is_some() {
                    context.problems.clear(Trouble::Network);
                }
                back.into_iter().chain(state.source_change(context)).collect()
            }
            Err(error) => {
                let delay = retry_delay(state.again.map(|(_, delay)| delay));
                state.again = Some((now + delay, delay));
                match change_kind(&error) {
                    Some(kind) => state.report_missing(kind, error, now, context),
                    // Irrelevant to the tunnel, such as too few file descriptors for the query.
                    None => Vec::new(),
                }
            }
        };
        drop(state);
        for change in changes {
            context.history.record(change);
        }
    }

    /// The probable reason why the peer does not answer, with what to check; `None` if it answers, or nothing was sent.
    pub(crate) fn diagnosis(&self, context: &Context) -> Option<String> {
        let now = context.endpoints.get();
        if let Some(learning) = context.learning.as_ref().filter(|_| now.peer().is_none()) {
            let is_closed = context.clock.state(0) == TunnelState::Closed;
            return (!is_closed).then(|| learning.explain(now.local.port()));
        }
        let silence = self.state().heard.silence(context);
        let explain = |silence: Silence| {
            let sentence = silence.explain_with(&context.probes);
            // A reason on this host is certain.
            let may_be_forgotten = context.learning.is_some() && sentence.ends_with('?');
            if may_be_forgotten { sentence + learn::SENDS_FIRST } else { sentence }
        };
        silence.map(explain).or_else(|| unanswered_probe(&context.probes))
    }

    /// Records a change of the peer's address. The search for a peer that does not answer may go on for
    /// hours, so only its beginning is recorded.
    pub(crate) fn peer_changed(&self, context: &Context, previous: SocketAddr, remote: SocketAddr) {
        let mut state = self.state();
        if remote == previous || state.unheard_peers == MOST_UNHEARD {
            return;
        }
        state.unheard_peers += 1;
        let is_last = state.unheard_peers == MOST_UNHEARD;
        drop(state);
        let more = if is_last { "; further changes are not recorded until it answers" } else { "" };
        let message = format!("the peer's address changed from {previous} to {remote}{more}");
        context.history.record(Change {
            remote: Some(remote),
            previous: Some(previous.to_string()),
            ..Change::new(ChangeKind::PeerChanged, message)
        });
    }

    /// Records what has changed since the last tick. Returns whether the socket is to be reviewed.
    pub(crate) fn tick(&self, context: &Context) -> bool {
        let mut state = self.state();
        let mut changes = Vec::new();
        // The packet path may have connected the socket again.
        changes.extend(state.source_change(context));
        let of_peer = state.heard.look(context);
        if state.heard.is_heard() {
            state.unheard_peers = 0;
        }
        // Neither is it recorded of each that it does not answer either.
        changes.extend(of_peer.filter(|_| state.unheard_peers < MOST_UNHEARD));
        changes.extend(state.segmentation(context));
        changes.extend(state.path_mtu_change(context));
        let now = Instant::now();
        let is_due = state.again.is_some_and(|(at, _)| at <= now);
        let is_rested = state.reviewed_at.is_none_or(|at| now.duration_since(at) >= BETWEEN_REVIEWS);
        let wanted = is_due || is_rested && state.heard.is_suspicious(context);
        drop(state);
        for change in changes {
            context.history.record(change);
        }
        wanted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl State {
    /// An address, interface or route is missing. It is a change only the first time, or if another one is missing now.
    fn report_missing(
        &mut self,
        kind: ChangeKind,
        error: Error,
        now: Instant,
        context: &Context,
    ) -> Vec<Change> {
        let error = match (kind, self.fixed) {
            (ChangeKind::LocalAddressLost, Some(ip)) => address_lost(ip, self.place.as_ref()),
            _ => error,
        };
        let message = error.message().to_owned();
        context.problems.set(Trouble::Network, error);
        let since = match &self.missing {
            Some(missing) if missing.message == message => return Vec::new(),
            Some(missing) => missing.since,
            None => now,
        };
        self.missing = Some(Missing { kind, message: message.clone(), since });
        vec![Change::new(kind, message)]
    }

    /// The change of the path MTU, if it changed while the peer stayed the same.
    fn path_mtu_change(&mut self, context: &Context) -> Option<Change> {
        let peer = context.endpoints.peer_version();
        let mtu = context.path_mtu_learned.load(Ordering::Relaxed);
        if mtu == 0 {
            return None;
        }
        let (of_peer, before) = std::mem::replace(&mut self.path_mtu, (peer, mtu));
        (of_peer == peer && before != 0 && before != mtu).then(|| Change {
            previous: Some(before.to_string()),
            ..Change::new(
                ChangeKind::PathMtuChanged,
                format!("the MTU of the path to the peer changed from {before} to {mtu} bytes"),
            )
        })
    }

    /// The change of the local address, if it changed while the peer stayed the same.
    fn source_change(&mut self, context: &Context) -> Option<Change> {
        let after = context.endpoints.get();
        let before = std::mem::replace(&mut self.endpoints, after);
        let (old, new) = (before.local.ip(), after.local.ip());
        (old != new && before.remote == after.remote).then(|| Change {
            local: Some(after.local),
            previous: Some(before.local.to_string()),
            ..Change::new(ChangeKind::SourceChanged, format!("the local address changed from {old} to {new}"))
        })
    }

    fn segmentation(&mut self, context: &Context) -> Option<Change> {
        let segments = context.segments_per_send.load(Ordering::Relaxed);
        let before = std::mem::replace(&mut self.segments, segments);
        match (before > 1, segments > 1) {
            (true, false) => Some(Change::new(
                ChangeKind::SegmentationLost,
                "the interface to the peer cannot segment UDP: each packet needs a send of its own; retrying every minute",
            )),
            (false, true) => {
                Some(Change::new(ChangeKind::SegmentationBack, "one send carries many packets again"))
            }
            _ => None,
        }
    }
}

impl Missing {
    fn back(self, now: Instant) -> Change {
        let after = span(now.duration_since(self.since));
        let (kind, what) = match self.kind {
            ChangeKind::LocalAddressLost => (ChangeKind::LocalAddressBack, "the local address is back"),
            ChangeKind::InterfaceLost => (ChangeKind::InterfaceBack, "the interface is back"),
            _ => (ChangeKind::RouteBack, "the route to the peer is back"),
        };
        Change::new(kind, format!("{what} after {after}"))
    }
}

fn change_kind(error: &Error) -> Option<ChangeKind> {
    match error.kind() {
        ErrorKind::AddressNotLocal => Some(ChangeKind::LocalAddressLost),
        ErrorKind::BindDeviceNotFound => Some(ChangeKind::InterfaceLost),
        ErrorKind::NoRoute => Some(ChangeKind::RouteLost),
        _ => None,
    }
}

fn address_lost(ip: IpAddr, place: Option<&Place>) -> Error {
    let command = match place {
        Some(Place { device, prefix_len, .. }) => format!("ip addr add {ip}/{prefix_len} dev {device}"),
        None => format!("ip addr add {ip}/<prefix length> dev <interface>"),
    };
    Error::new(ErrorKind::AddressNotLocal, format!("this host no longer has the local address {ip}"))
        .with_hint(format!("the tunnel continues when it is back: {command}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Level;
    use crate::tests::context;

    /// The kinds of the changes that one tick records.
    fn tick(monitor: &Monitor, context: &Context) -> Vec<&'static str> {
        let before = context.history.last().len();
        monitor.tick(context);
        context.history.last()[before..].iter().map(|change| change.kind.name()).collect()
    }

    #[test]
    fn a_peer_that_does_not_answer_for_half_a_minute_is_recorded_once_and_again_when_it_is_heard() {
        let context = context();
        let monitor = Monitor::new(&context);
        context.clock.mark_received(0);
        assert_eq!(tick(&monitor, &context), ["peer-heard"], "for the first time");
        for _ in 0..29 {
            context.clock.advance(1000);
            context.clock.mark_sent();
            assert!(tick(&monitor, &context).is_empty());
        }
        context.clock.advance(1000);
        context.clock.mark_sent();
        assert_eq!(tick(&monitor, &context), ["peer-silent"]);
        context.clock.advance(15_000);
        assert!(tick(&monitor, &context).is_empty());
        context.clock.mark_received(0);
        assert_eq!(tick(&monitor, &context), ["peer-heard"]);
        let last = context.history.last().pop().unwrap();
        assert_eq!((last.silent_ms, last.level), (Some(45_000.0), Level::Notice));
        assert!(last.message.ends_with(" again after 45 s"), "{}", last.message);
    }

    #[test]
    fn of_a_learned_peer_that_does_not_answer_it_is_said_that_it_has_to_send_again() {
        let mut context = context();
        let diagnosis = |context: &Context| {
            let monitor = Monitor::new(context);
            tick(&monitor, context);
            context.clock.advance(1);
            context.clock.mark_sent();
            context.clock.advance(SUSPICIOUS_MS);
            monitor.diagnosis(context).unwrap()
        };
        let fixed = diagnosis(&context);
        assert!(fixed.ends_with("the UDP ports?"), "{fixed}");
        context.learning = Some(learn::Learning::new(&[([192, 0, 2, 0].into(), 24)]).unwrap());
        let learned = diagnosis(&context);
        assert!(learned.ends_with(learn::SENDS_FIRST), "{learned}");
    }

    #[test]
    fn a_peer_is_not_recorded_as_silent_while_nothing_is_sent_to_it() {
        let context = context();
        let monitor = Monitor::new(&context);
        context.clock.mark_sent();
        context.clock.mark_received(0);
        tick(&monitor, &context);
        context.clock.advance(3_600_000);
        assert!(tick(&monitor, &context).is_empty());
    }

    #[test]
    fn while_a_probe_runs_a_peer_is_recorded_as_silent_after_three_of_its_intervals() {
        for (silence, ticks) in [(600, 3), (3000, 3), (9000, 9)] {
            let context = context();
            let monitor = Monitor::new(&context);
            context.clock.set_silence(silence);
            context.clock.mark_received(0);
            tick(&monitor, &context);
            for second in 1..=ticks {
                context.clock.advance(1000);
                context.clock.mark_sent();
                let expected: &[&str] = if second == ticks { &["peer-silent"] } else { &[] };
                assert_eq!(tick(&monitor, &context), expected, "{silence}");
            }
        }
    }

    #[test]
    fn after_a_pause_a_peer_has_time_to_answer() {
        let context = context();
        let monitor = Monitor::new(&context);
        context.clock.mark_received(0);
        tick(&monitor, &context);
        context.clock.advance(3_600_000);
        for _ in 0..10 {
            context.clock.mark_sent();
            assert!(tick(&monitor, &context).is_empty());
            context.clock.advance(1000);
        }
        assert_eq!(tick(&monitor, &context), ["peer-silent"]);
    }

    #[test]
    fn only_the_beginning_of_a_long_search_for_the_peer_is_recorded() {
        let context = context();
        let monitor = Monitor::new(&context);
        let addresses = ["192.0.2.2:8000", "[2001:db8::2]:8000"].map(|text| text.parse().unwrap());
        let changes = |count: usize| {
            let before = context.history.last().len();
            for turn in 0..count {
                monitor.peer_changed(&context, addresses[turn % 2], addresses[(turn + 1) % 2]);
            }
            context.history.last().len() - before
        };
        assert_eq!(changes(100), 10);
        assert!(context.history.last().pop().unwrap().message.ends_with("not recorded until it answers"));
        context.clock.mark_sent();
        tick(&monitor, &context);
        context.clock.advance(40_000);
        context.clock.mark_sent();
        assert!(tick(&monitor, &context).is_empty(), "nor that it is silent");
        context.clock.mark_received(0);
        tick(&monitor, &context);
        assert_eq!(changes(1), 1);
    }

    #[test]
    fn a_new_source_is_recorded_and_does_not_make_a_peer_silent_that_was_heard_before() {
        let context = context();
        let monitor = Monitor::new(&context);
        context.clock.mark_received(0);
        tick(&monitor, &context);
        let elsewhere =
            |now: Endpoints| Ok::<_, ()>(Endpoints { local: "198.51.100.1:8000".parse().unwrap(), ..now });
        context.endpoints.change(elsewhere).unwrap();
        context.clock.advance(1000);
        context.clock.mark_sent();
        assert_eq!(tick(&monitor, &context), ["source-changed"]);
        let last = context.history.last().pop().unwrap();
        assert_eq!(last.previous.as_deref(), Some("192.0.2.1:8000"));
        context.clock.mark_received(1);
        assert!(tick(&monitor, &context).is_empty());
    }

    #[test]
    fn a_lost_route_is_a_problem_until_it_is_back() {
        let context = context();
        let monitor = Monitor::new(&context);
        let no_route = || Err(Error::new(ErrorKind::NoRoute, "there is no route"));
        for _ in 0..3 {
            monitor.reviewed(&context, no_route());
        }
        assert_eq!(context.problems.get().map(|error| error.kind()), Some(ErrorKind::NoRoute));
        monitor.reviewed(&context, Ok(()));
        assert!(context.problems.get().is_none());
        let kinds: Vec<_> = context.history.last().iter().map(|change| change.kind.name()).collect();
        assert_eq!(kinds, ["route-lost", "route-back"]);
    }

    #[test]
    fn the_loss_and_return_of_segmentation_are_recorded() {
        let context = context();
        let monitor = Monitor::new(&context);
        context.segments_per_send.store(1, Ordering::Relaxed);
        assert_eq!(tick(&monitor, &context), ["segmentation-lost"]);
        context.segments_per_send.store(64, Ordering::Relaxed);
        assert_eq!(tick(&monitor, &context), ["segmentation-back"]);
    }

    #[test]
    fn the_socket_is_reviewed_every_few_seconds_while_the_peer_does_not_answer() {
        let context = context();
        let monitor = Monitor::new(&context);
        context.clock.mark_sent();
        context.clock.mark_received(0);
        assert!(!monitor.tick(&context), "it has just answered");
        context.clock.advance(3000);
        context.clock.mark_sent();
        assert!(monitor.tick(&context));
        monitor.reviewed(&context, Ok(()));
        assert!(!monitor.tick(&context), "it was just reviewed");
    }
}
