//! State that the pumps share with each other and with the threads that query or change the tunnel.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use ttun_packet::{OUTER_OVERHEAD_IPV4, OuterTos, SourceFilter};

use crate::clock::Clock;
use crate::diagnosis::explains_silence;
use crate::endpoints::SharedEndpoints;
use crate::error::{Error, ErrorKind};
use crate::history::History;
use crate::learn::Learning;
use crate::lock::lock;
use crate::probe::Probes;
use crate::queue::Queue;
use crate::searched::SearchedMtu;
use crate::stats::{Counter, DecapStats, EncapStats, ErrnoCounters, OffloadStats};
use crate::tap::Taps;

/// Configuration, counters and state of one tunnel.
pub(crate) struct Context {
    pub(crate) device_facts: DeviceFacts,
    pub(crate) endpoints: SharedEndpoints,
    /// Bytes added to each packet on the outside, which depend on the address family of the peer.
    pub(crate) outer_overhead: AtomicUsize,
    pub(crate) allowed_sources: Option<SourceFilter>,
    /// Who may become the peer, if that is learned.
    pub(crate) learning: Option<Learning>,
    pub(crate) clamp_mss: bool,
    pub(crate) queue: Queue,
    /// How long the thread polls after a packet before it sleeps.
    pub(crate) busy_poll: Option<Duration>,
    /// The TOS octet of the tunnel's datagrams.
    pub(crate) outer_tos: OuterTos,
    /// Whether datagrams have the DF bit, and packets that do not fit are answered.
    pub(crate) discovers_path_mtu: bool,
    /// Whether the device has an automatic MTU.
    pub(crate) device_follows_path: bool,
    pub(crate) encap: EncapStats<Counter>,
    pub(crate) decap: DecapStats<Counter>,
    pub(crate) errors: ErrnoCounters,
    /// Datagrams that one send may carry; 1 where the kernel, or the interface, cannot segment.
    pub(crate) segments_per_send: AtomicUsize,
    pub(crate) receive_overflow: AtomicU32,
    /// An error, or the watcher, has reported that the MTU of the route to the peer may have changed.
    pub(crate) path_mtu_reported: AtomicBool,
    /// Interfaces, addresses or routes have changed since this was last asked.
    pub(crate) network_changed: AtomicBool,
    /// How often the peer changed.
    pub(crate) peer_changes: Counter,
    /// How often the socket was reconnected.
    pub(crate) reconnects: Counter,
    /// The MTU of the path as sends knew it last, bytes; 0 if it is not known.
    pub(crate) path_mtu_learned: AtomicUsize,
    pub(crate) searched_mtu: SearchedMtu,
    pub(crate) clock: Clock,
    pub(crate) probes: Probes,
    pub(crate) problems: Problems,
    /// For rare changes; nothing is recorded for packets.
    pub(crate) history: History,
    pub(crate) taps: Arc<Taps>,
    pub(crate) shutdown: Shutdown,
}

impl Context {
    /// Bytes added to each packet on the outside.
    pub(crate) fn outer_overhead(&self) -> usize {
        self.outer_overhead.load(Ordering::Relaxed)
    }

    /// Whether datagrams are sent over IPv4.
    pub(crate) fn is_over_ipv4(&self) -> bool {
        self.outer_overhead() == OUTER_OVERHEAD_IPV4
    }

    /// Whether routers fragment datagrams that are too big for them: those over IPv4 without the DF bit.
    pub(crate) fn routers_fragment(&self) -> bool {
        self.is_over_ipv4() && !self.discovers_path_mtu
    }

    /// The longest inner packet that travels unfragmented on a route of `path_mtu` bytes.
    pub(crate) fn inner_mtu(&self, path_mtu: usize) -> usize {
        path_mtu.saturating_sub(self.outer_overhead())
    }

    /// The MTU of the path to the peer, where the kernel's route has `kernel`, bytes.
    pub(crate) fn path_mtu(&self, kernel: Option<usize>) -> Option<usize> {
        kernel.map(|kernel| self.searched_mtu.in_effect(self.endpoints.peer_version(), kernel))
    }

    /// Whether datagrams that carry packets of `len` bytes have the DF bit, as far as that is known.
    pub(crate) fn sends_whole(&self, len: usize) -> bool {
        let path_mtu = self.path_mtu_learned.load(Ordering::Relaxed);
        self.discovers_path_mtu && (path_mtu == 0 || len <= self.inner_mtu(path_mtu))
    }

    /// Counts a failed send or receive.
    pub(crate) fn socket_failed(&self, error: &std::io::Error) {
        self.errors.count(error);
        if let Some(errno) = error.raw_os_error().filter(|&errno| explains_silence(errno)) {
            self.clock.mark_failed(errno);
        }
    }

    pub(crate) fn device_gone(&self, syscall: &'static str, cause: &std::io::Error) -> Error {
        let name = self.device_facts.name();
        Error::new(ErrorKind::DeviceGone, format!("the device {name} was deleted"))
            .with_hint(format!("create it again and restart: ip tuntap add dev {name} mode tun"))
            .caused_by(syscall, cause)
    }
}

/// Index, offloads and name of the device; another device may take its place.
pub(crate) struct DeviceFacts {
    /// Index and offloads.
    word: AtomicU64,
    /// The last known name.
    name: Mutex<String>,
}

impl DeviceFacts {
    const ATTACHED: u64 = 1 << 32;
    const CHECKSUM: u64 = 1 << 33;
    const TSO: u64 = 1 << 34;
    const USO: u64 = 1 << 35;

    pub(crate) fn new(name: &str) -> Self {
        Self { word: AtomicU64::new(0), name: Mutex::new(name.to_owned()) }
    }

    /// The name of the device; the last one if it is gone.
    pub(crate) fn name(&self) -> String {
        lock(&self.name).clone()
    }

    /// Returns the previous name if it was another.
    pub(crate) fn rename(&self, name: &str) -> Option<String> {
        let mut current = lock(&self.name);
        (*current != name).then(|| std::mem::replace(&mut *current, name.to_owned()))
    }

    /// Index and offloads; `None` while there is no device.
    pub(crate) fn get(&self) -> Option<(u32, OffloadStats)> {
        let word = self.word.load(Ordering::Relaxed);
        let has = |bit| word & bit != 0;
        let offload =
            OffloadStats { checksum: has(Self::CHECKSUM), tso: has(Self::TSO), uso: has(Self::USO) };
        has(Self::ATTACHED).then_some((word as u32, offload))
    }

    pub(crate) fn attached(&self, index: u32, offload: OffloadStats) {
        let bit = |on, bit| if on { bit } else { 0 };
        let word = u64::from(index)
            | Self::ATTACHED
            | bit(offload.checksum, Self::CHECKSUM)
            | bit(offload.tso, Self::TSO)
            | bit(offload.uso, Self::USO);
        self.word.store(word, Ordering::Relaxed);
    }

    pub(crate) fn gone(&self) {
        self.word.store(0, Ordering::Relaxed);
    }
}

/// Problems of a running tunnel; the most important first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// The device is gone.
    Device,
    /// The local address, an interface or a route that the socket needs to reach the peer is missing.
    Network,
    /// Reading from the device fails again and again.
    Reads,
    /// Lost settings of the device cannot be restored.
    Settings,
    /// The MTU of the device could not be adapted to the route.
    Mtu,
    /// The probe cannot be sent.
    Probe,
}

/// The present problems of a running tunnel, at most one of each kind.
#[derive(Default)]
pub(crate) struct Problems(Mutex<[Option<Error>; 6]>);

impl Problems {
    /// The most important one.
    pub(crate) fn get(&self) -> Option<Error> {
        lock(&self.0).iter().flatten().next().cloned()
    }

    pub(crate) fn set(&self, trouble: Trouble, error: Error) {
        self.replace(trouble, Some(error));
    }

    pub(crate) fn clear(&self, trouble: Trouble) {
        self.replace(trouble, None);
    }

    fn replace(&self, trouble: Trouble, problem: Option<Error>) {
        if let Some(slot) = lock(&self.0).get_mut(trouble as usize) {
            *slot = problem;
        }
    }
}

/// A request to close the tunnel, which wakes the pumps wherever they wait. It cannot be withdrawn. The pumps are also woken when
/// something else has changed that they have to check.
#[derive(Default)]
pub(crate) struct Shutdown {
    requested: AtomicBool,
    changed: Notify,
}

impl Shutdown {
    pub(crate) fn request(&self) {
        self.requested.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Wakes pumps that wait.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Resolves after [`Self::wake`] or [`Self::request`] was called, from now on.
    pub(crate) fn woken(&self) -> Notified<'_> {
        self.changed.notified()
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Resolves once [`Self::request`] was called, before or after.
    pub(crate) async fn requested(&self) {
        loop {
            let changed = self.changed.notified();
            // `notified` sees every call of `notify_waiters` from its creation on, so none is missed here.
            if self.is_requested() {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_important_problem_is_reported_and_each_is_cleared_separately() {
        let problem = |message| Error::new(ErrorKind::System, message);
        let reported = |problems: &Problems| problems.get().map(|error| error.message().to_owned());
        let problems = Problems::default();
        problems.set(Trouble::Device, problem("gone"));
        problems.set(Trouble::Mtu, problem("mtu"));
        assert_eq!(reported(&problems).as_deref(), Some("gone"));
        problems.clear(Trouble::Mtu);
        assert_eq!(reported(&problems).as_deref(), Some("gone"));
        problems.set(Trouble::Reads, problem("reads"));
        problems.clear(Trouble::Device);
        assert_eq!(reported(&problems).as_deref(), Some("reads"));
        problems.clear(Trouble::Reads);
        assert_eq!(reported(&problems), None);
    }
}
