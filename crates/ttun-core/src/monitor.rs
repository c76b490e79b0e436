//! What a tunnel does when the network may have changed, and once a second: it compares, and records what is different.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ttun_link::Place;

use crate::clock::SILENCE_MS;
use crate::diagnosis::Silence;
use crate::error::{Error, ErrorKind};
use crate::history::{Change, ChangeKind, Level, span};
use crate::options::Endpoint;
use crate::shared::{Context, Endpoints, Trouble};
use crate::stats::TunnelState;

/// What is known of the surroundings of one tunnel.
pub(crate) struct Monitor(Mutex<State>);

struct State {
    /// Where the configured local address was last, so that a hint can say how to add it again.
    place: Option<Place>,
    /// What this host lacks to reach the peer.
    lacking: Option<Lacking>,
    /// When the socket is to be reviewed even without a notice, and how long to wait after that.
    again: Option<(Instant, Duration)>,
    reviewed_at: Option<Instant>,
    /// As last seen.
    endpoints: Endpoints,
    heard: Heard,
    /// Changes of the peer since one was heard.
    unheard_peers: u32,
    /// The number of datagrams that a send may carry, as last seen.
    segments: usize,
}

struct Lacking {
    kind: ChangeKind,
    message: String,
    since: Instant,
}

/// What was heard from the peer; times in ms of uptime.
#[derive(Default)]
struct Heard {
    peer: u32,
    remote: Option<SocketAddr>,
    /// Since when there has been this peer.
    since: u64,
    /// Last, under any version of the endpoints with this peer.
    at: Option<u64>,
    silent: bool,
    /// Whether it was recorded that the peer refuses.
    refused: bool,
}

/// While the kernel reports nothing, what failed is tried again after a second, and then less and less often.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// A peer that is sent to and not heard from for this long, ms, may be unreachable for a reason that the kernel does not report.
const SUSPICIOUS_MS: u64 = 3000;
const SUSPICIOUS: Duration = Duration::from_millis(SUSPICIOUS_MS);

/// After a pause, a peer is silent when it has not answered for this long, ms.
const UNANSWERED_MS: u64 = 10_000;

/// Changes of the peer that are recorded although none of them was heard.
const MOST_UNHEARD: u32 = 10;

impl Monitor {
    pub(crate) fn new(context: &Context) -> Self {
        Self(Mutex::new(State {
            place: None,
            lacking: None,
            again: None,
            reviewed_at: None,
            endpoints: context.endpoints.get(),
            heard: Heard::default(),
            unheard_peers: 0,
            segments: context.segments_per_send.load(Ordering::Relaxed),
        }))
    }

    /// Before the socket is reviewed: where its `local` address is, while it is somewhere.
    pub(crate) fn locate(&self, local: &Endpoint) {
        if local.ip.is_unspecified() {
            return;
        }
        let mut state = self.state();
        if state.place.is_none() || state.lacking.is_some() {
            let found = ttun_link::place_of(local.ip).ok().flatten();
            state.place = found.or(state.place.take());
        }
    }

    /// Records the result of a review of the socket, which may be what this host lacks.
    pub(crate) fn reviewed(&self, context: &Context, result: Result<(), Error>) {
        let mut state = self.state();
        let now = Instant::now();
        state.reviewed_at = Some(now);
        let changes = match result {
            Ok(()) => {
                state.again = None;
                let back = state.lacking.take().map(|lacking| lacking.back(now));
                if back.is_some() {
                    context.problems.clear(Trouble::Network);
                }
                back.into_iter().chain(state.source_change(context)).collect()
            }
            Err(error) => {
                let delay = state.again.map_or(FIRST_DELAY, |(_, delay)| (delay * 2).min(LONGEST_DELAY));
                state.again = Some((now + delay, delay));
                match change_kind(&error) {
                    Some(kind) => state.lacks(kind, error, now, context),
                    // Of no importance to the tunnel, such as a lack of descriptors for the question.
                    None => Vec::new(),
                }
            }
        };
        drop(state);
        for change in changes {
            context.history.record(change);
        }
    }

    /// What is probably wrong with a peer that does not answer, and what to check; `None` if it answers, or nothing was sent.
    pub(crate) fn diagnosis(&self, context: &Context) -> Option<String> {
        self.state().heard.silence(context).map(|silence| silence.explain())
    }

    /// Records that there is another peer. The search for a peer that does not answer may go on for
    /// hours, so only its beginning is recorded.
    pub(crate) fn peer_changed(&self, context: &Context, previous: SocketAddr, remote: SocketAddr) {
        let mut state = self.state();
        if remote == previous || state.unheard_peers == MOST_UNHEARD {
            return;
        }
        state.unheard_peers += 1;
        let is_last = state.unheard_peers == MOST_UNHEARD;
        drop(state);
        let more = if is_last { "; the next changes are recorded once it is heard" } else { "" };
        let message = format!("the peer's address changed from {previous} to {remote}{more}");
        context.history.record(Change {
            remote: Some(remote),
            previous: Some(previous.to_string()),
            ..Change::new(ChangeKind::PeerChanged, message)
        });
    }

    /// Records what has changed since the last second. Returns whether the socket is to be reviewed.
    pub(crate) fn tick(&self, context: &Context) -> bool {
        let mut state = self.state();
        let mut changes = Vec::new();
        // The packet path may have connected the socket again.
        changes.extend(state.source_change(context));
        let of_peer = state.heard.look(context);
        if state.heard.at.is_some() {
            state.unheard_peers = 0;
        }
        // Neither is it recorded of each that it does not answer either.
        changes.extend(of_peer.filter(|_| state.unheard_peers < MOST_UNHEARD));
        changes.extend(state.segmentation(context));
        let now = Instant::now();
        let is_due = state.again.is_some_and(|(at, _)| at <= now);
        let is_rested = state.reviewed_at.is_none_or(|at| now.duration_since(at) >= SUSPICIOUS);
        let wanted = is_due || is_rested && state.heard.is_suspicious(context);
        drop(state);
        for change in changes {
            context.history.record(change);
        }
        wanted
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// This host lacks something. Only the first time, and when it is something else, that is a change.
    fn lacks(&mut self, kind: ChangeKind, error: Error, now: Instant, context: &Context) -> Vec<Change> {
        let error = match (kind, &self.place, context.endpoints.get().local) {
            (ChangeKind::LocalAddressLost, place, local) if !error.message().starts_with("this host") => {
                address_lost(local.ip(), place.as_ref())
            }
            _ => error,
        };
        let message = error.message().to_owned();
        context.problems.set(Trouble::Network, error);
        let since = match &self.lacking {
            Some(lacking) if lacking.message == message => return Vec::new(),
            Some(lacking) => lacking.since,
            None => now,
        };
        self.lacking = Some(Lacking { kind, message: message.clone(), since });
        vec![Change::new(kind, message)]
    }

    /// Whether the local address has changed, other than along with the peer.
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
                "the interface to the peer cannot segment UDP: each packet costs a send; trying again every minute",
            )),
            (false, true) => {
                Some(Change::new(ChangeKind::SegmentationBack, "many packets share a send again"))
            }
            _ => None,
        }
    }
}

impl Lacking {
    fn back(self, now: Instant) -> Change {
        let after = span(now.duration_since(self.since));
        let (kind, what) = match self.kind {
            ChangeKind::LocalAddressLost => {
                (ChangeKind::LocalAddressBack, "the local address is there again")
            }
            ChangeKind::InterfaceLost => (ChangeKind::InterfaceBack, "the interface is there again"),
            _ => (ChangeKind::RouteBack, "there is a route to the peer again"),
        };
        Change::new(kind, format!("{what}, after {after}"))
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
        None => format!("ip addr add {ip}/… dev …"),
    };
    Error::new(ErrorKind::AddressNotLocal, format!("{ip}, the local address, is no longer one of this host"))
        .with_hint(format!("the tunnel continues when it is back: {command}"))
}

impl Heard {
    fn look(&mut self, context: &Context) -> Option<Change> {
        let (peer, Endpoints { remote, .. }) = context.endpoints.versioned();
        let now = context.clock.now();
        if self.remote != Some(remote) {
            *self = Self {
                peer,
                remote: Some(remote),
                since: if self.remote.is_none() { 0 } else { now },
                ..Self::default()
            };
        }
        self.peer = peer;
        let at = context.clock.last_received(peer);
        let before = self.at;
        self.at = at.max(before);
        let was_refused = self.refused;
        if at > before {
            self.refused = false;
        }
        if at > before && (before.is_none() || self.silent || was_refused) {
            self.silent = false;
            let change = at.map(|at| heard(remote, before.map(|before| Duration::from_millis(at - before))));
            // The end of what was worth a line is worth one too.
            return change
                .map(|change| if was_refused { Change { level: Level::Notice, ..change } } else { change });
        }
        if let Some(silence) =
            self.silence(context).filter(|silence| silence.errno == Some(libc::ECONNREFUSED))
            && !self.refused
        {
            self.refused = true;
            return Some(Change {
                remote: Some(remote),
                ..Change::new(ChangeKind::PeerRefuses, silence.explain())
            });
        }
        let quiet = now.saturating_sub(self.at.unwrap_or(self.since));
        let is_waiting = context.clock.state(peer) == TunnelState::Waiting && self.was_sent_to(context);
        let has_had_time = self.is_unanswered_for(UNANSWERED_MS, context);
        if self.silent || !is_waiting || quiet < SILENCE_MS || !has_had_time {
            return None;
        }
        self.silent = true;
        let quiet = Duration::from_millis(quiet);
        let message =
            format!("nothing heard from {remote} for {}, although packets are sent to it", span(quiet));
        Some(Change { remote: Some(remote), ..Change::new(ChangeKind::PeerSilent, message) })
    }

    /// The silence of a peer that should have answered by now, or that the network has reported to be unreachable.
    fn silence(&self, context: &Context) -> Option<Silence> {
        let (peer, Endpoints { local, remote }) = context.endpoints.versioned();
        if self.remote != Some(remote) || context.clock.state(peer) == TunnelState::Closed {
            return None;
        }
        let now = context.clock.now();
        let at = context.clock.last_received(peer).max(self.at);
        let sent = context.clock.last_sent();
        // Not of packets before those that were not answered, nor before others that were sent later.
        let failure = context.clock.last_failure().filter(|&(failed, _)| {
            Some(failed) >= at.max(Some(self.since)) && sent.is_none_or(|sent| failed + SUSPICIOUS_MS >= sent)
        });
        let is_silent = self.was_sent_to(context)
            && self.is_unanswered_for(SUSPICIOUS_MS, context)
            && sent.is_some_and(|sent| now.saturating_sub(sent) < SILENCE_MS);
        (is_silent || failure.is_some()).then(|| Silence {
            local,
            remote,
            heard: at.map(|at| Duration::from_millis(now.saturating_sub(at))),
            errno: failure.map(|(_, errno)| errno),
            failed: Duration::from_millis(failure.map_or(0, |(failed, _)| now.saturating_sub(failed))),
        })
    }

    /// Whether a packet was sent to this peer that long ago, ms, and nothing was heard since.
    fn is_unanswered_for(&self, ms: u64, context: &Context) -> bool {
        let since = context.clock.unanswered();
        since.is_some_and(|since| context.clock.now().saturating_sub(since.max(self.since)) >= ms)
    }

    /// Whether anything was sent since something was last heard.
    fn was_sent_to(&self, context: &Context) -> bool {
        context.clock.last_sent() > self.at.max(Some(self.since))
    }

    /// Whether packets went out lately, and none came back.
    fn is_suspicious(&self, context: &Context) -> bool {
        let ago = |at: u64| context.clock.now().saturating_sub(at);
        context.clock.last_sent().is_some_and(|at| ago(at) < SUSPICIOUS_MS)
            && self.at.is_none_or(|at| ago(at) >= SUSPICIOUS_MS)
    }
}

fn heard(remote: SocketAddr, silent: Option<Duration>) -> Change {
    let Some(silent) = silent else {
        let first = Change::new(ChangeKind::PeerHeard, format!("heard from {remote}"));
        return Change { level: Level::Info, remote: Some(remote), ..first };
    };
    let message = format!("heard from {remote} again, after {}", span(silent));
    Change {
        remote: Some(remote),
        silent_ms: Some(silent.as_secs_f64() * 1e3),
        ..Change::new(ChangeKind::PeerHeard, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::context;

    /// The kinds of the changes that a second brings.
    fn tick(monitor: &Monitor, context: &Context) -> Vec<&'static str> {
        let before = context.history.last().len();
        monitor.tick(context);
        context.history.last()[before..].iter().map(|change| change.kind.name()).collect()
    }

    #[test]
    fn a_peer_that_is_sent_to_and_silent_for_half_a_minute_is_recorded_once_and_again_when_it_is_heard() {
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
        assert!(last.message.ends_with(" again, after 45 s"), "{}", last.message);
    }

    #[test]
    fn a_peer_that_is_not_sent_to_is_not_recorded_as_silent() {
        let context = context();
        let monitor = Monitor::new(&context);
        context.clock.mark_sent();
        context.clock.mark_received(0);
        tick(&monitor, &context);
        context.clock.advance(3_600_000);
        assert!(tick(&monitor, &context).is_empty());
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
    fn of_a_long_search_for_the_peer_only_the_beginning_is_recorded() {
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
        assert!(context.history.last().pop().unwrap().message.ends_with("recorded once it is heard"));
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
    fn another_source_is_a_change_and_does_not_make_a_peer_silent_that_was_heard_before() {
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
    fn what_this_host_lacks_is_a_problem_until_it_is_back() {
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
    fn segmentation_that_is_lost_and_back_is_recorded() {
        let context = context();
        let monitor = Monitor::new(&context);
        context.segments_per_send.store(1, Ordering::Relaxed);
        assert_eq!(tick(&monitor, &context), ["segmentation-lost"]);
        context.segments_per_send.store(64, Ordering::Relaxed);
        assert_eq!(tick(&monitor, &context), ["segmentation-back"]);
    }

    #[test]
    fn a_peer_that_does_not_answer_has_the_socket_reviewed_every_few_seconds() {
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
