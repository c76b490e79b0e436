//! The longest packet that travels unfragmented, as sends know it, and what becomes of longer ones.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use crate::io::{DatagramSocket, Fragmentation};
use crate::shared::Context;

/// How long the MTU of the route is assumed to be unchanged, ms, unless an error reports a change: the kernel does not report that
/// it has become larger, or that a route has changed.
const LEARN_EVERY_MS: u64 = 1000;

/// The path MTU of one tunnel.
pub(crate) struct PathMtu<'t, S> {
    socket: &'t S,
    context: &'t Context,
    /// The longest packet that travels unfragmented, as last queried, bytes.
    longest: Cell<usize>,
    /// The longest one that the kernel does not fragment.
    kernel: Cell<usize>,
    /// When to query it again, ms of uptime.
    learn_at: Cell<u64>,
    /// Datagrams were sent for which the kernel did not use, and so not refresh, the route that the socket remembers.
    route_is_stale: Cell<bool>,
}

impl<'t, S: DatagramSocket> PathMtu<'t, S> {
    pub(crate) fn new(socket: &'t S, context: &'t Context) -> Self {
        let path_mtu = Self {
            socket,
            context,
            longest: Cell::new(0),
            kernel: Cell::new(0),
            learn_at: Cell::new(0),
            route_is_stale: Cell::new(false),
        };
        path_mtu.learn();
        path_mtu
    }

    /// The longest packet that fits, bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest.get()
    }

    /// Whether a packet of `len` bytes travels unfragmented.
    pub(crate) fn fits(&self, len: usize) -> bool {
        len <= self.longest.get()
    }

    /// The longest packet that fits, if one of `len` bytes does not and ICMP can report that to its sender.
    pub(crate) fn exceeded_by(&self, len: usize) -> Option<usize> {
        (self.context.discovers_path_mtu && !self.fits(len)).then(|| self.longest.get())
    }

    /// How a datagram leaves that carries packets of `len` bytes. IPv6 has no DF bit, but the kernel may assume a smaller MTU than the path
    /// has.
    pub(crate) fn fragmentation(&self, len: usize) -> Fragmentation {
        let is_whole =
            self.context.discovers_path_mtu || len > self.kernel.get() && !self.context.routers_fragment();
        if is_whole && self.fits(len) { Fragmentation::Never } else { Fragmentation::Allowed }
    }

    /// A datagram is sent by a route that is looked up for it, not by the one that the socket remembers.
    pub(crate) fn route_was_not_used(&self) {
        self.route_is_stale.set(true);
    }

    /// Notices a change of the route, or of its MTU: when an error or the watcher has reported it, or after a while.
    /// Returns whether it was queried.
    pub(crate) fn follow(&self, now: u64) -> bool {
        let due = self.context.path_mtu_reported.load(Ordering::Relaxed) || now >= self.learn_at.get();
        if due {
            self.learn();
        }
        due
    }

    /// Queries how long a packet may be so that the kernel need not fragment its datagram.
    pub(crate) fn learn(&self) {
        self.context.path_mtu_reported.store(false, Ordering::Relaxed);
        self.learn_at.set(self.context.clock.now() + LEARN_EVERY_MS);
        let refreshed = if self.route_is_stale.take() {
            self.socket.fresh_path_mtu(&self.context.endpoints)
        } else {
            None
        };
        let kernel = refreshed.or_else(|| self.socket.path_mtu());
        let path_mtu = self.context.path_mtu(kernel);
        self.context.path_mtu_learned.store(path_mtu.unwrap_or(0), Ordering::Relaxed);
        self.kernel.set(kernel.map_or(usize::MAX, |mtu| self.context.inner_mtu(mtu)));
        // Over IPv4 without DF, routers fragment what the kernel does not, so there is no reason to send packets one by one.
        let unfragmented = if self.context.routers_fragment() { kernel } else { path_mtu };
        self.longest.set(match unfragmented {
            Some(mtu) => self.context.inner_mtu(mtu),
            // Without a route nothing will be sent; the send itself finds out.
            None => usize::MAX,
        });
    }
}
