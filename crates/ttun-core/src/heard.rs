//! The peer as the monitor of a tunnel sees it: heard or silent, or refusing.

use std::net::SocketAddr;
use std::time::Duration;

use crate::diagnosis::Silence;
use crate::endpoints::Endpoints;
use crate::history::{Change, ChangeKind, Level, span};
use crate::shared::Context;
use crate::stats::TunnelState;

/// When the peer was last heard; times in ms of uptime.
#[derive(Default)]
pub(crate) struct Heard {
    remote: Option<SocketAddr>,
    /// When this address became the peer.
    since: u64,
    /// When this peer was last heard, under any version of the endpoints.
    at: Option<u64>,
    silent: bool,
    /// Whether it was recorded that the peer refuses.
    refused: bool,
}

/// If packets are sent and nothing is heard from the peer for this long, ms, it may be unreachable for a reason that the kernel
/// does not report.
pub(crate) const SUSPICIOUS_MS: u64 = 3000;

/// After a pause without packets, the peer counts as silent when it has not answered for this long, ms.
const UNANSWERED_MS: u64 = 10_000;

impl Heard {
    /// Looks at the marks of the packet path. Returns what has changed since the last look.
    pub(crate) fn look(&mut self, context: &Context) -> Option<Change> {
        let (peer, Endpoints { remote, .. }) = context.endpoints.with_peer_since();
        let now = context.clock.now();
        if self.remote != Some(remote) {
            *self = Self {
                remote: Some(remote),
                since: if self.remote.is_none() { 0 } else { now },
                ..Self::default()
            };
        }
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
            // The refusal was logged, so its end is logged too.
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
        let has_had_time = self.is_unanswered_for(context.clock.answer_time(UNANSWERED_MS), context);
        let silence = context.clock.silence().max(SUSPICIOUS_MS);
        if self.silent || !is_waiting || quiet < silence || !has_had_time {
            return None;
        }
        self.silent = true;
        let quiet = Duration::from_millis(quiet);
        let message =
            format!("nothing heard from {remote} for {}, although packets are sent to it", span(quiet));
        Some(Change { remote: Some(remote), ..Change::new(ChangeKind::PeerSilent, message) })
    }

    /// Whether the present peer has been heard.
    pub(crate) fn is_heard(&self) -> bool {
        self.at.is_some()
    }

    /// Describes a peer that should have answered by now, or that the network has reported as unreachable.
    pub(crate) fn silence(&self, context: &Context) -> Option<Silence> {
        let (peer, Endpoints { local, remote }) = context.endpoints.with_peer_since();
        if self.remote != Some(remote) || context.clock.state(peer) == TunnelState::Closed {
            return None;
        }
        let now = context.clock.now();
        let at = context.clock.last_received(peer).max(self.at);
        let sent = context.clock.last_sent();
        // Only errors since the peer was last heard, and not those after which packets were sent without an error.
        let failure = context.clock.last_failure().filter(|&(failed, _)| {
            Some(failed) >= at.max(Some(self.since)) && sent.is_none_or(|sent| failed + SUSPICIOUS_MS >= sent)
        });
        let is_silent = self.was_sent_to(context)
            && self.is_unanswered_for(context.clock.answer_time(SUSPICIOUS_MS), context)
            && sent.is_some_and(|sent| now.saturating_sub(sent) < context.clock.silence());
        (is_silent || failure.is_some()).then(|| Silence {
            local,
            remote,
            heard: at.map(|at| Duration::from_millis(now.saturating_sub(at))),
            errno: failure.map(|(_, errno)| errno),
            failed: Duration::from_millis(failure.map_or(0, |(failed, _)| now.saturating_sub(failed))),
        })
    }

    /// Whether a packet was sent to this peer at least `ms` ago and nothing was heard since.
    fn is_unanswered_for(&self, ms: u64, context: &Context) -> bool {
        let since = context.clock.unanswered();
        since.is_some_and(|since| context.clock.now().saturating_sub(since.max(self.since)) >= ms)
    }

    /// Whether a packet was sent since the peer was last heard.
    fn was_sent_to(&self, context: &Context) -> bool {
        context.clock.last_sent() > self.at.max(Some(self.since))
    }

    /// Whether packets were sent recently and none came back.
    pub(crate) fn is_suspicious(&self, context: &Context) -> bool {
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
    let message = format!("heard from {remote} again after {}", span(silent));
    Change {
        remote: Some(remote),
        silent_ms: Some(silent.as_secs_f64() * 1e3),
        ..Change::new(ChangeKind::PeerHeard, message)
    }
}
