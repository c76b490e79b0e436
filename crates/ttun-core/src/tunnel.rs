//! The lifecycle of a tunnel: opening, running in its own thread, ending.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;

use tokio::runtime::{Builder, Runtime};
use ttun_packet::{SourceFilter, outer_overhead};

use crate::attach::DevicePlan;
use crate::clock::Clock;
use crate::connection::{Connection, SharedSocket};
use crate::decap::Decap;
use crate::device::TunDevice;
use crate::encap::Encap;
use crate::endpoints::{Endpoints, SharedEndpoints};
use crate::error::{Error, ErrorKind};
use crate::history::{Change, History};
use crate::interface::Interface;
use crate::learn::Learning;
use crate::listener::{self, Listener};
use crate::monitor::Monitor;
use crate::options::{
    Endpoint, MtuChoice, PathMtuChoice, Remote, TunnelOptions, check_busy_poll, check_rate,
};
use crate::probe::{self, Probes};
use crate::queue::Queue;
use crate::reattach::{Attaching, Attachment};
use crate::report::Advice;
use crate::running::{End, Ending, Shared, own_address};
use crate::searched::SearchedMtu;
use crate::shared::{Context, DeviceFacts, Problems, Shutdown};
use crate::socket::{self, PeerSocket};
use crate::stats::{Counter, DecapStats, EncapStats, ErrnoCounters, TunnelState, TunnelStats};
use crate::tap::{PacketTap, TapOptions};
use crate::upkeep::Upkeep;
use crate::watcher::{self, Watched};
use crate::{path_search, prober, pump};

/// A running tunnel. Dropping it closes it.
pub struct Tunnel {
    pub(crate) shared: Arc<Shared>,
}

impl Tunnel {
    /// Attaches to the device, opens the socket and starts to carry packets.
    ///
    /// Blocks for a few system calls. Only settings of the device that the options give, and its offloads, are changed; all are
    /// restored when the tunnel ends.
    ///
    /// # Errors
    /// Whatever prevents the tunnel from running, with a hint; nothing is left open then.
    pub fn open(options: &TunnelOptions) -> Result<Self, Error> {
        let allowed_sources = options.allowed_sources.as_deref().map(SourceFilter::new).transpose();
        let allowed_sources = allowed_sources.map_err(|impossible| {
            Error::new(ErrorKind::InvalidOptions, impossible.to_string())
                .with_hint("a prefix has up to 32 bits in IPv4 and 128 in IPv6")
        })?;
        check_bind_device(options)?;
        options.queue.check()?;
        check_busy_poll(options.busy_poll)?;
        if let Some(probe) = options.probe {
            probe.check(options.interface.as_ref())?;
            if probe::is_own(probe.address) {
                return Err(own_address(probe.address));
            }
        }
        let interface = options.interface.as_ref().map(Interface::new).transpose()?;
        let (plan, upkeep) = (DevicePlan::new(options)?, Upkeep::default());
        let attaching = Attaching { plan, interface, reattach: options.reattach, upkeep };
        // The most common mistakes are checked first; changes to the system come last.
        attaching.plan.check()?;
        let runtime =
            Builder::new_current_thread().enable_io().enable_time().build().map_err(|cause| {
                Error::system("epoll_create1", &cause, "starting the tunnel's event loop")
            })?;
        let opened = open_sockets(options).and_then(|Sockets { socket, endpoints, learner }| {
            let granted = socket.granted();
            let device = attaching.attach(&options.device, socket.inner_mtu())?;
            let (listener, learning) = learner.unzip();
            let socket = SharedSocket::new(socket, listener, runtime.handle().clone())
                .inspect_err(|_| attaching.put_back())?;
            Ok((device, socket, granted, endpoints, learning))
        });
        let (device, socket, granted, endpoints, learning) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // Dropping it would panic where the caller runs in its own event loop.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let device_facts = DeviceFacts::new(&options.device);
        device_facts.attached(device.index(), device.offload());
        let context = Context {
            device_facts,
            endpoints: SharedEndpoints::new(endpoints),
            outer_overhead: AtomicUsize::new(outer_overhead(&endpoints.remote)),
            allowed_sources,
            learning,
            clamp_mss: options.clamp_mss,
            queue: Queue::new(&options.queue, granted.send_buffer),
            busy_poll: options.busy_poll,
            outer_tos: options.outer_tos(),
            device_follows_path: options.interface.as_ref().is_some_and(|it| it.mtu == MtuChoice::Auto),
            discovers_path_mtu: options.path_mtu == PathMtuChoice::Discover,
            encap: EncapStats::default(),
            decap: DecapStats::default(),
            errors: ErrnoCounters::default(),
            segments_per_send: AtomicUsize::new(granted.segments_per_send),
            receive_overflow: AtomicU32::new(0),
            path_mtu_reported: AtomicBool::new(false),
            network_changed: AtomicBool::new(false),
            peer_changes: Counter::default(),
            reconnects: Counter::default(),
            path_mtu_learned: AtomicUsize::new(0),
            searched_mtu: SearchedMtu::default(),
            clock: Clock::start(),
            probes: Probes::new(options.probe),
            problems: Problems::default(),
            history: History::default(),
            taps: Arc::default(),
            shutdown: Shutdown::default(),
        };
        let shared = Arc::new(Shared {
            monitor: Monitor::new(&context),
            context,
            attaching,
            socket,
            last_facts: OnceLock::new(),
            ending: Mutex::new(Ending::Running(Vec::new())),
            ended: Condvar::new(),
        });
        shared.review_probe();
        let tunnel = Arc::clone(&shared);
        let subject: Arc<dyn Watched> = Arc::clone(&shared) as _;
        thread::Builder::new()
            .name(format!("ttun-{}", options.device))
            .spawn(move || {
                // If no thread can be started for it, the tunnel carries packets anyway.
                let watching = watcher::subscribe(&subject);
                drop(subject);
                let carried = carry(&runtime, device, &shared);
                drop(watching);
                // Already done if packets were carried.
                let _ = shared.last_facts.set(shared.name_and_facts().1);
                // Both descriptors are closed before the end is reported.
                drop(runtime);
                shared.socket.close();
                shared.context.endpoints.await_change();
                shared.attaching.upkeep.await_use();
                shared.end(&carried.map_or_else(End::Failed, |()| End::Closed));
            })
            .map_err(|cause| Error::system("clone", &cause, "starting the tunnel's thread"))?;
        Ok(Self { shared: tunnel })
    }

    /// The current statistics; also after the end. Never makes the tunnel's thread wait.
    #[must_use]
    pub fn stats(&self) -> TunnelStats {
        self.shared.stats()
    }

    /// The remedy when full packets of the device do not fit the path to the peer, and are sent in fragments.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        self.shared.advice()
    }

    /// The state, as in the snapshot, at a lower cost.
    #[must_use]
    pub fn state(&self) -> TunnelState {
        self.shared.state()
    }

    /// Makes `remote` the peer from now on, while packets flow. Where the local address was left to the routing table it is chosen
    /// again, and `remote` may be of the other address family. The tunnel is `waiting` until something is received from the new peer.
    ///
    /// # Errors
    /// If it cannot be the peer, or the peer is learned; the tunnel then keeps the one it had. [`ErrorKind::Closed`] after the end.
    pub fn set_remote(&self, remote: impl Into<Endpoint>) -> Result<(), Error> {
        let remote = remote.into();
        let closed = || Error::new(ErrorKind::Closed, "the tunnel has ended");
        let Shared { context, socket: shared_socket, .. } = &*self.shared;
        if context.learning.is_some() {
            let message =
                "this tunnel learns its peer, which is whoever sends from one of the given networks";
            return Err(Error::new(ErrorKind::InvalidOptions, message));
        }
        if shared_socket.get().is_some_and(|socket| socket.is_of_another_family(&remote)) {
            shared_socket.await_closing();
        }
        let mut inner_mtu = None;
        let mut changed = None;
        context.endpoints.change(|now| {
            // The end of the tunnel waits for this change, so that nothing keeps the socket open after it.
            let socket = shared_socket.get().ok_or_else(closed)?;
            let after = if socket.is_of_another_family(&remote) {
                let (socket, after) = socket.of_the_other_family(&remote)?;
                inner_mtu = socket.inner_mtu();
                shared_socket.replace(socket)?;
                context.outer_overhead.store(outer_overhead(&after.remote), Ordering::Relaxed);
                after
            } else {
                let after = socket.reconnect(now, &remote)?;
                inner_mtu = socket.inner_mtu();
                after
            };
            changed = Some((now, after));
            Ok(after)
        })?;
        // The pumps may be waiting for a socket that was replaced.
        context.shutdown.wake();
        if let Some((before, after)) = changed {
            self.shared.peer_changed(before.remote, after);
        }
        self.shared.follow_route(inner_mtu);
        Ok(())
    }

    /// Changes the rate to which datagrams are paced, in bits per second; `None`: as fast as the socket accepts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`] outside the range of [`QueueOptions`].
    pub fn set_rate(&self, rate: Option<u64>) -> Result<(), Error> {
        check_rate(rate)?;
        self.shared.context.queue.set_rate(rate);
        self.shared.context.shutdown.wake();
        Ok(())
    }

    /// Restores configured settings that the device has lost: addresses, routes, MTU, and whether it is up. Returns
    /// them in words, such as `route 10.9.0.0/16`.
    ///
    /// # Errors
    /// Why some could not be applied; the others have been.
    pub fn reconcile(&self) -> Result<Vec<String>, Error> {
        self.shared.attaching.reconcile(&self.shared.context, &self.shared.socket)
    }

    /// The problem of a running tunnel, for example that its device is gone, and why it cannot be attached to
    /// again. `None` when there is none.
    #[must_use]
    pub fn problem(&self) -> Option<Error> {
        self.shared.context.problems.get()
    }

    /// The probable reason why the peer does not answer, in a sentence with what to check; `None` if it answers, or nothing was sent
    /// to it.
    #[must_use]
    pub fn diagnosis(&self) -> Option<String> {
        self.shared.monitor.diagnosis(&self.shared.context)
    }

    /// The history: the last 50 changes, the oldest first. Also available after the end.
    #[must_use]
    pub fn history(&self) -> Vec<Change> {
        self.shared.context.history.last()
    }

    /// Calls `listener` with each change from now on, up to the end, from a thread of the tunnel; it must not block. It takes the place
    /// of an earlier listener.
    pub fn on_change(&self, listener: impl Fn(&Change) + Send + Sync + 'static) {
        self.shared.context.history.listen(Arc::new(listener));
    }

    /// Requests shutdown and returns at once.
    pub fn request_close(&self) {
        self.shared.context.shutdown.request();
    }

    /// Ends the tunnel and waits until its thread is done and both descriptors are closed. Returns how it ended, which may have
    /// been earlier, by a failure.
    #[must_use]
    pub fn close(&self) -> End {
        self.request_close();
        let mut ending = self.shared.ending();
        loop {
            match &*ending {
                Ending::Ended(end) => return end.clone(),
                Ending::Running(_) => {
                    ending = self.shared.ended.wait(ending).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Calls `listener` once the tunnel has ended, from the tunnel's own thread; at once if it has already.
    pub fn on_end(&self, listener: impl FnOnce(&End) + Send + 'static) {
        let mut ending = self.shared.ending();
        match &mut *ending {
            Ending::Running(listeners) => listeners.push(Box::new(listener)),
            Ending::Ended(end) => {
                let end = end.clone();
                drop(ending);
                listener(&end);
            }
        }
    }

    /// Starts to copy the beginnings of passing packets. `wake` is called from the packet path when there is something to
    /// [take](PacketTap::take), and must not block.
    ///
    /// # Errors
    /// [`ErrorKind::TooManyTaps`] when there are 16 taps already.
    pub fn tap(&self, options: TapOptions, wake: impl Fn() + Send + 'static) -> Result<PacketTap, Error> {
        PacketTap::start(Arc::clone(&self.shared.context.taps), options, Box::new(wake))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// What a tunnel receives and sends with.
struct Sockets {
    socket: PeerSocket,
    endpoints: Endpoints,
    /// Where the peer is learned: what receives from everyone else, and who of them may become the peer.
    learner: Option<(Listener, Learning)>,
}

fn open_sockets(options: &TunnelOptions) -> Result<Sockets, Error> {
    match &options.remote {
        Remote::At(remote) => {
            let (socket, endpoints) = socket::open(options, remote)?;
            Ok(Sockets { socket, endpoints, learner: None })
        }
        Remote::Learn(networks) => {
            let learning = Learning::new(networks)?;
            let (listener, socket, endpoints) = listener::open(options, &learning)?;
            Ok(Sockets { socket, endpoints, learner: Some((listener, learning)) })
        }
    }
}

fn check_bind_device(options: &TunnelOptions) -> Result<(), Error> {
    if options.bind_device.as_ref() == Some(&options.device) {
        let name = &options.device;
        return Err(Error::new(
            ErrorKind::InvalidOptions,
            format!("the tunnel's datagrams cannot be sent through its own device {name}"),
        )
        .with_hint("give the interface that leads to the peer: ip -brief link"));
    }
    Ok(())
}

/// Carries packets until the tunnel ends; then the interface is as it was before, and both descriptors are closed.
fn carry(runtime: &Runtime, device: TunDevice, shared: &Shared) -> Result<(), Error> {
    let Shared { context, attaching, socket, .. } = shared;
    let _runtime = runtime.enter();
    let device = Attachment::new(device, attaching, socket, context)?;
    let socket = Connection::new(socket)?;
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let mut encap = Encap::new(&device, &socket, context);
        let mut decap = Decap::new(&device, &socket, device.coalesce(), context);
        let probing =
            async { tokio::join!(prober::run(context, &socket), path_search::run(context, &socket)) };
        runtime.block_on(pump::run_all(context, &mut encap, &mut decap, probing))
    }));
    let _ = shared.last_facts.set(shared.name_and_facts().1);
    ran.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(ErrorKind::Internal, format!("the packet path panicked: {message}"))
        .with_hint("this is a bug in ttun: please report it with this message")
}
