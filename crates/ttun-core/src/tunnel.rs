//! The life of a tunnel: opened, running in a thread of its own, ended.

use std::any::Any;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::SystemTime;

use ttun_packet::SourceFilter;

use crate::clock::{Clock, epoch_ms};
use crate::counters::{DecapCounters, EncapCounters, ErrnoCounters};
use crate::device;
use crate::error::{Error, ErrorKind};
use crate::options::TunnelOptions;
use crate::pumps::{self, Context};
use crate::shutdown::Shutdown;
use crate::socket::{self, PeerSocket};
use crate::stats::{DecapStats, DeviceStats, EncapStats, OffloadStats, SocketStats, TunnelStats};
use crate::system;
use crate::watch::{Watch, WatchOptions};

/// A running tunnel. Dropping it closes it.
pub struct Tunnel {
    shared: Arc<Shared>,
}

/// How a tunnel ended.
#[derive(Clone, Debug)]
pub enum End {
    /// It was closed.
    Closed,
    /// It could not go on.
    Failed(Error),
}

struct Shared {
    context: Context,
    facts: Facts,
    /// Alive as long as the tunnel: what can be asked of the kernel while it runs.
    socket: Weak<PeerSocket>,
    last_mtus: OnceLock<Mtus>,
    ending: Mutex<Ending>,
    ended: Condvar,
}

/// What was settled at the start and is still told after the end.
struct Facts {
    index: u32,
    offload: OffloadStats,
    local: SocketAddr,
    gro: bool,
    receive_buffer: usize,
    send_buffer: usize,
}

/// What may change while the tunnel runs; kept when it ends.
#[derive(Clone, Copy, Default)]
struct Mtus {
    device: u32,
    path: Option<usize>,
}

type EndListener = Box<dyn FnOnce(&End) + Send>;

enum Ending {
    /// Who wants to know when it ends.
    Running(Vec<EndListener>),
    Ended(End),
}

impl Tunnel {
    /// Attaches to the device, opens the socket and starts to carry packets.
    ///
    /// Blocks for a few system calls. Nothing of the device is changed but its offload settings, which are
    /// taken back when the tunnel ends.
    ///
    /// # Errors
    /// Whatever keeps the tunnel from running, with what to do about it; nothing is left open then.
    pub fn open(options: &TunnelOptions) -> Result<Self, Error> {
        let allowed_sources = options.allowed_sources.as_deref().map(SourceFilter::new).transpose();
        let allowed_sources = allowed_sources.map_err(|impossible| {
            Error::new(ErrorKind::InvalidOptions, impossible.to_string())
                .with_hint("a prefix has up to 32 bits in IPv4 and 128 in IPv6")
        })?;
        let device = Arc::new(device::attach(&options.device, options.offload)?);
        let socket = Arc::new(socket::open(options.local, options.remote, options.offload)?);
        let (receive_buffer, send_buffer) = socket.buffer_sizes();
        let shared = Arc::new(Shared {
            context: Context {
                device: device.name().to_owned(),
                remote: socket.remote(),
                allowed_sources,
                clamp_mss: options.clamp_mss,
                encap: EncapCounters::default(),
                decap: DecapCounters::default(),
                errors: ErrnoCounters::default(),
                segments_per_send: AtomicUsize::new(socket.segments_per_send()),
                receive_overflow: AtomicU32::new(0),
                clock: Clock::start(),
                watch: Arc::default(),
                shutdown: Shutdown::default(),
            },
            facts: Facts {
                index: device.index(),
                offload: device.offload(),
                local: socket.local(),
                gro: socket.gro(),
                receive_buffer,
                send_buffer,
            },
            socket: Arc::downgrade(&socket),
            last_mtus: OnceLock::new(),
            ending: Mutex::new(Ending::Running(Vec::new())),
            ended: Condvar::new(),
        });

        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name(format!("ttun-{}", options.device))
            .spawn(move || {
                let ran = catch_unwind(AssertUnwindSafe(|| pumps::run(&device, &socket, &theirs.context)));
                let _ = theirs.last_mtus.set(theirs.mtus());
                // Both descriptors are closed before anybody hears of the end.
                drop((device, socket));
                theirs.end(&match ran {
                    Ok(Ok(())) => End::Closed,
                    Ok(Err(error)) => End::Failed(error),
                    Err(panic) => End::Failed(panicked(panic.as_ref())),
                });
            })
            .map_err(|cause| Error::system("clone", &cause, "starting the tunnel's thread"))?;
        Ok(Self { shared })
    }

    /// Everything the tunnel counts and knows about itself, now. Takes no lock; still answers after the end.
    #[must_use]
    pub fn stats(&self) -> TunnelStats {
        self.shared.stats()
    }

    /// Makes `remote`, of the same address family, the peer from now on.
    ///
    /// # Errors
    /// Why it can't be the peer; the tunnel goes on with the one it had.
    pub fn set_remote(&self, remote: SocketAddr) -> Result<(), Error> {
        let _ = remote;
        Err(Error::new(ErrorKind::Internal, "the peer can't be changed yet"))
    }

    /// Wishes the tunnel to end and returns at once.
    pub fn request_close(&self) {
        self.shared.context.shutdown.request();
    }

    /// Ends the tunnel and waits until its thread is done and both descriptors are closed. Says how it
    /// ended, which may have been earlier and otherwise.
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

    /// Starts to copy the beginnings of passing packets, in place of who watched before. `wake` is called
    /// from the packet path when there is something to [take](Watch::take), and must not block.
    pub fn watch(&self, options: WatchOptions, wake: impl Fn() + Send + 'static) -> Watch {
        Watch::start(Arc::clone(&self.shared.context.watch), options, Box::new(wake))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl Shared {
    fn end(&self, end: &End) {
        self.context.clock.mark_ended();
        let before = std::mem::replace(&mut *self.ending(), Ending::Ended(end.clone()));
        self.ended.notify_all();
        if let Ending::Running(listeners) = before {
            for listener in listeners {
                listener(end);
            }
        }
    }

    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mtus(&self) -> Mtus {
        let Some(socket) = self.socket.upgrade() else {
            return self.last_mtus.get().copied().unwrap_or_default();
        };
        // A device that was deleted has none.
        let device = system::tun::interface_mtu(socket.as_fd(), &self.context.device).unwrap_or(0);
        Mtus { device, path: socket.path_mtu() }
    }

    fn stats(&self) -> TunnelStats {
        let Self { context, facts, .. } = self;
        let mtus = self.mtus();
        let timestamp = epoch_ms(SystemTime::now());
        TunnelStats {
            timestamp,
            uptime_ms: context.clock.uptime().as_secs_f64() * 1e3,
            state: context.clock.state(),
            device: DeviceStats {
                name: context.device.clone(),
                index: facts.index,
                mtu: mtus.device,
                offload: facts.offload,
            },
            socket: SocketStats {
                local: facts.local,
                remote: context.remote,
                segments_per_send: context.segments_per_send.load(Ordering::Relaxed),
                gro: facts.gro,
                receive_buffer: facts.receive_buffer,
                send_buffer: facts.send_buffer,
                receive_overflow: context.receive_overflow.load(Ordering::Relaxed),
                path_mtu: mtus.path,
                errors: context.errors.occurred(),
            },
            encap: EncapStats {
                received: context.encap.received.get(),
                packets: context.encap.packets.get(),
                bytes: context.encap.bytes.get(),
                reads: context.encap.reads.get(),
                sends: context.encap.sends.get(),
                fragmented: context.encap.fragmented.get(),
                drops: context.encap.drops(),
            },
            decap: DecapStats {
                received: context.decap.received.get(),
                packets: context.decap.packets.get(),
                bytes: context.decap.bytes.get(),
                receives: context.decap.receives.get(),
                writes: context.decap.writes.get(),
                drops: context.decap.drops(),
                last_at: context.clock.received_at(timestamp),
            },
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(ErrorKind::Internal, format!("the packet path panicked: {said}"))
        .with_hint("this is a bug in ttun: please report it with this message")
}
