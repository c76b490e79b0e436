//! The history of a tunnel: changes of its peer, its addresses, its device and its network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::clock::epoch_ms;
use crate::lock::lock;

/// A change that the tunnel noticed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When the tunnel noticed it, in ms since the epoch.
    pub at: f64,
    /// Its kind.
    pub kind: ChangeKind,
    /// How important it is.
    pub level: Level,
    /// One sentence, without a full stop.
    pub message: String,
    /// The new local address.
    pub local: Option<SocketAddr>,
    /// The address of the peer after the change.
    pub remote: Option<SocketAddr>,
    /// The previous value: an address, the name of a device, or an MTU.
    pub previous: Option<String>,
    /// The name of the device or interface.
    pub device: Option<String>,
    /// How long the peer was silent, ms.
    pub silent_ms: Option<f64>,
}

/// The kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Packets are sent, and the peer no longer answers.
    PeerSilent,
    /// A datagram arrived from the peer, the first one or after a silence.
    PeerHeard,
    /// The tunnel sends to another address of the peer.
    PeerChanged,
    /// The peer refuses the packets: nothing listens on its port.
    PeerRefuses,
    /// The kernel chose another local address.
    SourceChanged,
    /// The configured local address was removed from this host.
    LocalAddressLost,
    /// The configured local address is back.
    LocalAddressBack,
    /// The interface to which the socket is bound, or through which a link-local peer is reached, was deleted.
    InterfaceLost,
    /// That interface is back.
    InterfaceBack,
    /// There is no longer a route to the peer.
    RouteLost,
    /// There is a route to the peer again.
    RouteBack,
    /// The device was deleted.
    DeviceLost,
    /// The tunnel is attached to a device again.
    DeviceBack,
    /// The device was renamed.
    DeviceRenamed,
    /// The device was moved to another network namespace.
    DeviceMoved,
    /// Lost settings of the device were restored.
    DeviceRestored,
    /// The MTU of the device was adapted to the route to the peer.
    MtuChanged,
    /// The MTU of the path to the peer changed.
    PathMtuChanged,
    /// The interface to the peer cannot segment: each packet needs a send of its own.
    SegmentationLost,
    /// One send carries many packets again.
    SegmentationBack,
}

/// How important a change is, as in syslog(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Kept in the history, but not logged.
    Info,
    /// Normal, but worth logging.
    Notice,
    /// Packets may be lost.
    Warning,
    /// The tunnel could not be opened, or has failed.
    Error,
}

impl ChangeKind {
    /// The name under which users know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PeerSilent => "peer-silent",
            Self::PeerHeard => "peer-heard",
            Self::PeerChanged => "peer-changed",
            Self::PeerRefuses => "peer-refuses",
            Self::SourceChanged => "source-changed",
            Self::LocalAddressLost => "local-address-lost",
            Self::LocalAddressBack => "local-address-back",
            Self::InterfaceLost => "interface-lost",
            Self::InterfaceBack => "interface-back",
            Self::RouteLost => "route-lost",
            Self::RouteBack => "route-back",
            Self::DeviceLost => "device-lost",
            Self::DeviceBack => "device-back",
            Self::DeviceRenamed => "device-renamed",
            Self::DeviceMoved => "device-moved",
            Self::DeviceRestored => "device-restored",
            Self::MtuChanged => "mtu-changed",
            Self::PathMtuChanged => "path-mtu-changed",
            Self::SegmentationLost => "segmentation-lost",
            Self::SegmentationBack => "segmentation-back",
        }
    }

    const fn level(self) -> Level {
        match self {
            Self::PeerSilent
            | Self::PeerRefuses
            | Self::LocalAddressLost
            | Self::InterfaceLost
            | Self::RouteLost
            | Self::DeviceLost
            | Self::DeviceMoved
            | Self::SegmentationLost => Level::Warning,
            Self::PeerHeard
            | Self::PeerChanged
            | Self::SourceChanged
            | Self::LocalAddressBack
            | Self::InterfaceBack
            | Self::RouteBack
            | Self::DeviceBack
            | Self::DeviceRenamed
            | Self::DeviceRestored
            | Self::MtuChanged
            | Self::PathMtuChanged
            | Self::SegmentationBack => Level::Notice,
        }
    }
}

impl Level {
    /// The name under which users know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The priority before a line for the journal, as in `<4>` (sd-daemon(3)).
    #[must_use]
    pub const fn priority(self) -> u8 {
        match self {
            Self::Info => 6,
            Self::Notice => 5,
            Self::Warning => 4,
            Self::Error => 3,
        }
    }
}

impl Change {
    /// A change that happens now, of the usual level of its kind.
    pub(crate) fn new(kind: ChangeKind, message: impl Into<String>) -> Self {
        Self {
            at: epoch_ms(SystemTime::now()),
            kind,
            level: kind.level(),
            message: message.into(),
            local: None,
            remote: None,
            previous: None,
            device: None,
            silent_ms: None,
        }
    }
}

/// The most recent changes, and the listener for new ones. Nothing is recorded for packets.
#[derive(Default)]
pub(crate) struct History {
    kept: Mutex<VecDeque<Change>>,
    listener: Mutex<Option<Listener>>,
}

type Listener = Arc<dyn Fn(&Change) + Send + Sync>;

impl History {
    /// How many changes are kept.
    const MOST: usize = 50;

    /// Keeps `change`, and calls the listener, outside of any lock.
    pub(crate) fn record(&self, change: Change) {
        let mut kept = lock(&self.kept);
        if kept.len() == Self::MOST {
            kept.pop_front();
        }
        let listener = lock(&self.listener).clone();
        let heard = listener.map(|listener| (listener, change.clone()));
        kept.push_back(change);
        drop(kept);
        if let Some((listener, change)) = heard {
            listener(&change);
        }
    }

    /// Calls `listener` with each change from now on, in place of an earlier one.
    pub(crate) fn listen(&self, listener: Listener) {
        *lock(&self.listener) = Some(listener);
    }

    /// Lets go of the listener, which may refer to the tunnel. Nothing more happens to a tunnel that has ended.
    pub(crate) fn end(&self) {
        let listener = lock(&self.listener).take();
        drop(listener);
    }

    /// The last changes, the oldest first.
    pub(crate) fn last(&self) -> Vec<Change> {
        lock(&self.kept).iter().cloned().collect()
    }
}

/// A duration for people: `0.3 s`, `42 s`, `3 min 20 s`, `2 h 5 min`, `4 d 1 h`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |first: u64, unit: &str, rest: u64, smaller: &str| match rest {
        0 => format!("{first} {unit}"),
        rest => format!("{first} {unit} {rest} {smaller}"),
    };
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fifty_changes_are_kept_and_each_is_passed_to_the_listener() {
        let history = Arc::new(History::default());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (within, by_listener) = (Arc::clone(&history), Arc::clone(&heard));
        history.listen(Arc::new(move |change| {
            // It may query the history.
            assert_eq!(within.last().last(), Some(change));
            by_listener.lock().unwrap().push(change.message.clone());
        }));
        for number in 0..60 {
            history.record(Change::new(ChangeKind::DeviceBack, number.to_string()));
        }
        let messages = |from: u32| (from..60).map(|number| number.to_string()).collect::<Vec<_>>();
        let kept: Vec<_> = history.last().into_iter().map(|change| change.message).collect();
        assert_eq!((kept, &*heard.lock().unwrap()), (messages(10), &messages(0)));
    }

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, text) in [
            (0.34, "0.3 s"),
            (42.0, "42 s"),
            (60.0, "1 min"),
            (200.0, "3 min 20 s"),
            (7500.0, "2 h 5 min"),
            (349_200.0, "4 d 1 h"),
        ] {
            assert_eq!(span(Duration::from_secs_f64(seconds)), text);
        }
    }
}
