//! The life of a tunnel: opened, running in a thread of its own, ended.

mod open;
mod snapshot;

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use crate::attachment::Attaching;
use crate::error::{Error, ErrorKind};
use crate::options::TunnelOptions;
use crate::pumps::Context;
use crate::socket::PeerSocket;
use crate::stats::{TunnelState, TunnelStats};
use crate::watch::{Watch, WatchOptions};

use snapshot::Mtus;

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
    attaching: Attaching,
    facts: Facts,
    /// Alive as long as the tunnel: what can be asked of the kernel while it runs.
    socket: Weak<PeerSocket>,
    last_mtus: OnceLock<Mtus>,
    ending: Mutex<Ending>,
    ended: Condvar,
}

/// What was settled at the start and is still told after the end.
struct Facts {
    gro: bool,
    receive_buffer: usize,
    send_buffer: usize,
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
    /// Blocks for a few system calls. Nothing of the device is changed but what the options name and its offload settings; all is
    /// taken back when the tunnel ends.
    ///
    /// # Errors
    /// Whatever keeps the tunnel from running, with what to do about it; nothing is left open then.
    pub fn open(options: &TunnelOptions) -> Result<Self, Error> {
        Ok(Self { shared: open::open(options)? })
    }

    /// Everything the tunnel counts and knows about itself, now. Takes no lock; still answers after the end.
    #[must_use]
    pub fn stats(&self) -> TunnelStats {
        self.shared.stats()
    }

    /// Whether anybody answers, as the snapshot tells it, for less.
    #[must_use]
    pub fn state(&self) -> TunnelState {
        self.shared.state()
    }

    /// Makes `remote`, of the same address family, the peer from now on, while packets flow. Where the local address was left to
    /// the routing table it is chosen anew. The tunnel is `waiting` until the new peer is heard.
    ///
    /// # Errors
    /// Why it can't be the peer; the tunnel goes on with the one it had. [`ErrorKind::Closed`] after the end.
    pub fn set_remote(&self, remote: SocketAddr) -> Result<(), Error> {
        let closed = || Error::new(ErrorKind::Closed, "the tunnel has ended");
        let socket = self.shared.socket.upgrade().ok_or_else(closed)?;
        self.shared.context.endpoints.change(|now| socket.reconnect(now, remote))?;
        self.shared.follow_route(&socket);
        Ok(())
    }

    /// What keeps the tunnel from working as it should although it runs: its device is gone, and why it can't be attached to again.
    /// `None` when nothing does.
    #[must_use]
    pub fn problem(&self) -> Option<Error> {
        self.shared.context.problem.get()
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

    /// Starts to copy the beginnings of passing packets. `wake` is called from the packet path when there is something to
    /// [take](Watch::take), and must not block.
    ///
    /// # Errors
    /// [`ErrorKind::TooManyWatches`] when 16 watch already.
    pub fn watch(&self, options: WatchOptions, wake: impl Fn() + Send + 'static) -> Result<Watch, Error> {
        Watch::start(Arc::clone(&self.shared.context.watch), options, Box::new(wake))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl Shared {
    /// The MTU of the device is that of the route to the peer, where it was to be. The peer is another already, so that failing
    /// here is a problem of the tunnel, not of the change.
    fn follow_route(&self, socket: &PeerSocket) {
        let Some(interface) = &self.attaching.interface else { return };
        match interface.follow_route(socket.path_mtu()) {
            Err(error) => self.context.problem.set(error),
            Ok(()) if self.context.device_facts.get().is_some() => self.context.problem.clear(),
            Ok(()) => {}
        }
    }

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
}
