//! One end of a tunnel in memory: both pumps between a fake device and a fake socket.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Builder;
use ttun_packet::{CoalesceOptions, Dscp, OuterTos};

use super::fake::{FakeDevice, FakeSocket, Lane};
use crate::clock::Clock;
use crate::decap::Decap;
use crate::encap::Encap;
use crate::endpoints::{Endpoints, SharedEndpoints};
use crate::error::Error;
use crate::history::History;
use crate::options::QueueOptions;
use crate::probe::Probes;
use crate::prober;
use crate::pump;
use crate::queue::Queue;
use crate::searched::SearchedMtu;
use crate::shared::{Context, DeviceFacts, Problems, Shutdown};
use crate::stats::{Counter, DecapStats, EncapStats, ErrnoCounters};
use crate::{DecapDrop, EncapDrop};

/// No test comes near it; one that does has stalled.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Site {
    pub(super) device: FakeDevice,
    pub(super) socket: FakeSocket,
    pub(super) context: Context,
    pub(super) coalesce: CoalesceOptions,
    pub(super) segments_per_send: usize,
    ended: Cell<bool>,
}

impl Site {
    /// One end; the test is its network.
    pub(super) fn alone() -> Self {
        Self::between(Rc::default(), Rc::default())
    }

    /// Both ends of a tunnel.
    pub(super) fn pair() -> (Self, Self) {
        let (there, back) = (Rc::<Lane>::default(), Rc::<Lane>::default());
        (Self::between(Rc::clone(&there), Rc::clone(&back)), Self::between(back, there))
    }

    fn between(outgoing: Rc<Lane>, incoming: Rc<Lane>) -> Self {
        Self {
            device: FakeDevice::default(),
            socket: FakeSocket::new(outgoing, incoming),
            context: context(),
            coalesce: CoalesceOptions { tcp: true, udp: true },
            segments_per_send: 64,
            ended: Cell::new(false),
        }
    }

    /// How many packets were dropped on the way out for `reason`.
    pub(super) fn encap_drops(&self, reason: EncapDrop) -> u64 {
        self.context.encap.drops[reason as usize].get()
    }

    /// How many packets were dropped on the way in for `reason`.
    pub(super) fn decap_drops(&self, reason: DecapDrop) -> u64 {
        self.context.decap.drops[reason as usize].get()
    }

    /// Until nothing moves: everything was read, or is blocked by the test's settings.
    pub(super) async fn settled(&self) {
        while !self.is_settled() {
            tokio::task::yield_now().await;
        }
    }

    fn is_settled(&self) -> bool {
        let encap_waits = self.device.is_reader_parked() || self.socket.is_writer_parked();
        let decap_waits = self.socket.is_reader_parked() || self.device.is_writer_parked();
        let is_woken = self.device.is_woken() || self.socket.is_woken();
        self.ended.get() || !self.context.shutdown.is_requested() && encap_waits && decap_waits && !is_woken
    }

    /// Both pumps in one thread, as the tunnel runs them.
    async fn run(&self) -> Result<(), Error> {
        self.context.segments_per_send.store(self.segments_per_send, Ordering::Relaxed);
        let mut encap = Encap::new(&self.device, &self.socket, &self.context);
        let mut decap = Decap::new(&self.device, &self.socket, self.coalesce, &self.context);
        let ended =
            pump::run_all(&self.context, &mut encap, &mut decap, prober::run(&self.context, &self.socket))
                .await;
        self.ended.set(true);
        ended
    }

    /// Invariants of every tunnel that has ended, regardless of faults.
    fn assert_accounted(&self) {
        let (encap, decap) = (&self.context.encap, &self.context.decap);
        let sends = self.socket.sends();
        assert_eq!(
            encap.received.get(),
            encap.packets.get() + encap.snapshot().dropped(),
            "lost on the way out"
        );
        let probe = self.context.probes.stats(0.0);
        // Probes and trials, all in sends of their own, are not counted as packets, and replies to probes neither.
        let uncounted = probe.sent + probe.measurements + encap.trials.get();
        assert_eq!(encap.packets.get() + uncounted, sends.iter().sum::<usize>() as u64, "packets sent");
        assert_eq!(encap.sends.get() + uncounted, sends.len() as u64, "sends");
        if uncounted == 0 {
            assert_eq!(encap.bytes.get(), self.socket.bytes_sent() as u64, "bytes sent");
        }
        assert_eq!(encap.reads.get(), self.device.reads() as u64, "reads");
        assert_eq!(encap.fragmented.get(), self.socket.fragmented() as u64, "fragmented");

        let taken = self.device.taken();
        assert_eq!(
            decap.received.get(),
            decap.packets.get() + decap.snapshot().dropped(),
            "lost on the way in"
        );
        if probe.sent + probe.measurements == 0 {
            assert_eq!(decap.received.get(), self.socket.received() as u64, "datagrams received");
            assert_eq!(decap.receives.get(), self.socket.receives() as u64, "receives");
        }
        assert_eq!(decap.packets.get(), taken.len() as u64, "packets written");
        assert_eq!(decap.bytes.get(), taken.iter().map(Vec::len).sum::<usize>() as u64, "bytes written");
        assert_eq!(decap.writes.get(), self.device.writes().len() as u64, "writes");
    }
}

/// Runs the tunnels of `sites` while `scenario` runs, then closes them and checks that each packet is
/// accounted for. Says how each tunnel ended.
pub(super) fn running<const N: usize>(
    sites: [&Site; N],
    scenario: impl Future<Output = ()>,
) -> [Result<(), Error>; N] {
    running_on(&mut Builder::new_current_thread(), sites, scenario)
}

/// The same on a runtime of the test's own.
pub(super) fn running_on<const N: usize>(
    runtime: &mut Builder,
    sites: [&Site; N],
    scenario: impl Future<Output = ()>,
) -> [Result<(), Error>; N] {
    let all = async {
        let mut tunnels = sites.map(|site| Box::pin(site.run()) as Pin<Box<dyn Future<Output = _>>>);
        let closing = async {
            scenario.await;
            for site in sites {
                site.context.shutdown.request();
            }
        };
        tokio::join!(joined(&mut tunnels), closing).0
    };
    let runtime = runtime.enable_time().build().unwrap();
    let ended =
        runtime.block_on(async { tokio::time::timeout(LIMIT, all).await }).expect("the tunnel stalled");
    for site in sites {
        site.assert_accounted();
    }
    ended
}

/// The results of all `futures`, which go on side by side.
async fn joined<T, const N: usize>(futures: &mut [Pin<Box<dyn Future<Output = T> + '_>>; N]) -> [T; N] {
    let mut results = [const { None }; N];
    poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.map(Option::unwrap)
}

pub(crate) fn context() -> Context {
    Context {
        device_facts: DeviceFacts::new("tun0"),
        endpoints: SharedEndpoints::new(Endpoints {
            local: "192.0.2.1:8000".parse().unwrap(),
            remote: "192.0.2.2:8000".parse().unwrap(),
        }),
        outer_overhead: AtomicUsize::new(28),
        allowed_sources: None,
        learning: None,
        clamp_mss: true,
        queue: Queue::new(&QueueOptions::default(), 4 << 20),
        busy_poll: None,
        outer_tos: OuterTos::new(Dscp::Fixed(0), false),
        discovers_path_mtu: false,
        device_follows_path: false,
        encap: EncapStats::default(),
        decap: DecapStats::default(),
        errors: ErrnoCounters::default(),
        segments_per_send: AtomicUsize::new(64),
        receive_overflow: AtomicU32::new(0),
        path_mtu_reported: AtomicBool::new(false),
        network_changed: AtomicBool::new(false),
        peer_changes: Counter::default(),
        reconnects: Counter::default(),
        path_mtu_learned: AtomicUsize::new(0),
        searched_mtu: SearchedMtu::default(),
        clock: Clock::start(),
        probes: Probes::new(None),
        problems: Problems::default(),
        history: History::default(),
        taps: Arc::default(),
        shutdown: Shutdown::default(),
    }
}
