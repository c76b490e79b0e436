//! A running tunnel, shared by its own thread, the watcher and its users.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::time::SystemTime;

use crate::clock::epoch_ms;
use crate::connection::SharedSocket;
use crate::device;
use crate::endpoints::Endpoints;
use crate::error::{Error, ErrorKind};
use crate::learn::Learning;
use crate::lock::lock;
use crate::monitor::Monitor;
use crate::probe::{self, Source};
use crate::reattach::Attaching;
use crate::report::Advice;
use crate::shared::{Context, Trouble};
use crate::socket::Granted;
use crate::stats::{DeviceStats, SocketStats, TunnelState, TunnelStats};
use crate::watcher::Watched;

/// How a tunnel ended.
#[derive(Clone, Debug)]
pub enum End {
    /// It was closed.
    Closed,
    /// It failed.
    Failed(Error),
}

pub(crate) struct Shared {
    pub(crate) context: Context,
    pub(crate) monitor: Monitor,
    pub(crate) attaching: Attaching,
    /// Open as long as the tunnel runs.
    pub(crate) socket: SharedSocket,
    /// Of the last socket, once the tunnel has ended.
    pub(crate) last_facts: OnceLock<Facts>,
    pub(crate) ending: Mutex<Ending>,
    pub(crate) ended: Condvar,
}

/// Read from the kernel for each snapshot, and kept when the tunnel ends.
#[derive(Clone, Copy, Default)]
pub(crate) struct Facts {
    pub(crate) granted: Granted,
    pub(crate) device_mtu: u32,
    pub(crate) path_mtu: Option<usize>,
}

pub(crate) type EndListener = Box<dyn FnOnce(&End) + Send>;

pub(crate) enum Ending {
    /// To be called when it ends.
    Running(Vec<EndListener>),
    Ended(End),
}

impl Watched for Shared {
    fn review(&self) {
        self.review_socket();
        self.context.network_changed.store(true, Ordering::Relaxed);
        self.context.path_mtu_reported.store(true, Ordering::Relaxed);
        self.attaching.review(&self.context, &self.socket);
        self.review_probe();
    }

    fn tick(&self) {
        self.follow_learned_peer();
        if self.monitor.tick(&self.context) {
            self.review_socket();
        }
        self.attaching.tick(&self.context, &self.socket);
    }
}

impl Shared {
    /// Records that the peer was changed to an address that this host can send to.
    pub(crate) fn peer_changed(&self, previous: SocketAddr, after: Endpoints) {
        self.context.reconnects.add(1);
        self.context.peer_changes.add(usize::from(previous != after.remote));
        self.monitor.peer_changed(&self.context, previous, after.remote);
        self.monitor.reviewed(&self.context, Ok(()));
    }

    /// Adapts the device to a peer that the packet path has learned.
    fn follow_learned_peer(&self) {
        if !self.context.learning.as_ref().is_some_and(Learning::take_change) {
            return;
        }
        // Also clears a problem of the previous peer.
        self.review_socket();
        let socket = self.socket.get();
        self.follow_route(socket.and_then(|socket| socket.inner_mtu()));
    }

    /// Lets the kernel choose the source again if it would now choose another one.
    fn review_socket(&self) {
        let mut inner_mtu = None;
        let mut running = false;
        let reviewed = self.context.endpoints.change(|now| {
            // The end of the tunnel waits for this change, so that nothing keeps the socket open after it.
            let Some(socket) = self.socket.get() else { return Ok(now) };
            self.monitor.locate(socket.local());
            if let Some(listener) = self.socket.listener() {
                listener.review()?;
            }
            let changed = socket.review(now)?;
            if changed.is_some() {
                self.context.reconnects.add(1);
                inner_mtu = Some(socket.inner_mtu());
            }
            running = true;
            Ok(changed.unwrap_or(now))
        });
        if running || reviewed.is_err() {
            self.monitor.reviewed(&self.context, reviewed);
        }
        if let Some(inner_mtu) = inner_mtu {
            self.follow_route(inner_mtu);
        }
    }

    /// Looks up the source of the probe. While the device is gone, down or elsewhere, it stays: the probe then still keeps the way to the
    /// peer open, and its replies never need the device.
    pub(crate) fn review_probe(&self) {
        let Self { context, .. } = self;
        let Some(destination) = context.probes.destination() else { return };
        let Some((index, _)) = context.device_facts.get() else { return };
        let name = context.device_facts.name();
        let Ok(found) = probe::find_source(&name, index, destination) else { return };
        match found {
            Source::Address(_) => context.problems.clear(Trouble::Probe),
            none => context.problems.set(Trouble::Probe, no_source(none, &name, destination)),
        }
        if context.probes.set_source(found.address()) {
            context.shutdown.wake();
        }
    }

    pub(crate) fn stats(&self) -> TunnelStats {
        let context = &self.context;
        let (name, Facts { granted, device_mtu, path_mtu }) = self.name_and_facts();
        let (index, offload) = context.device_facts.get().unwrap_or_default();
        let (peer, endpoints) = context.endpoints.with_peer_since();
        let timestamp = epoch_ms(SystemTime::now());
        TunnelStats {
            timestamp,
            opened_at: context.clock.opened_at(),
            uptime_ms: context.clock.uptime().as_secs_f64() * 1e3,
            state: self.state(),
            device: DeviceStats { name, index, mtu: device_mtu, offload },
            socket: SocketStats {
                local: endpoints.local,
                remote: endpoints.peer(),
                segments_per_send: context.segments_per_send.load(Ordering::Relaxed),
                gro: granted.gro,
                receive_buffer: granted.receive_buffer,
                send_buffer: context.queue.limit(),
                receive_overflow: context.receive_overflow.load(Ordering::Relaxed),
                path_mtu,
                peer_changes: context.peer_changes.get(),
                reconnects: context.reconnects.get(),
                errors: context.errors.occurred(),
            },
            encap: context.encap.snapshot(),
            decap: context.decap.snapshot(),
            queue: context.queue.snapshot(),
            probe: context.probes.stats(timestamp),
            last_at: context.clock.received_at(timestamp, peer),
        }
    }

    /// With path MTU discovery, ICMP reports to the senders of packets that they do not fit, and they send shorter ones.
    pub(crate) fn advice(&self) -> Option<Advice> {
        if self.context.discovers_path_mtu { None } else { self.stats().advice() }
    }

    pub(crate) fn state(&self) -> TunnelState {
        let (peer, _) = self.context.endpoints.with_peer_since();
        match self.context.clock.state(peer) {
            TunnelState::Up | TunnelState::Idle if self.context.device_facts.get().is_none() => {
                TunnelState::Waiting
            }
            state => state,
        }
    }

    /// The current name of the device, and what is read from the kernel.
    pub(crate) fn name_and_facts(&self) -> (String, Facts) {
        let device = &self.context.device_facts;
        // The last ones are known before the socket is gone.
        let Some(socket) = self.socket.get() else {
            return (device.name(), self.last_facts.get().copied().unwrap_or_default());
        };
        // A deleted device has none, and that of a device in another network namespace is unknown. The index identifies it: it
        // may have been renamed, and another interface may have its old name.
        let found = device.get().and_then(|(index, _)| device::interface(socket.as_fd(), index).ok());
        let (name, device_mtu) = found.unwrap_or_else(|| (device.name(), 0));
        (
            name,
            Facts {
                granted: socket.granted(),
                device_mtu,
                path_mtu: self.context.path_mtu(socket.path_mtu()),
            },
        )
    }

    /// Adapts an automatic MTU of the device to the route to the peer. The peer has been changed already, so a failure is a
    /// problem of the tunnel, not an error of the change.
    pub(crate) fn follow_route(&self, inner_mtu: Option<usize>) {
        self.attaching.follow_route(&self.context, inner_mtu);
    }

    pub(crate) fn end(&self, end: &End) {
        self.context.clock.mark_ended();
        self.context.probes.end();
        self.context.history.end();
        let before = std::mem::replace(&mut *self.ending(), Ending::Ended(end.clone()));
        self.ended.notify_all();
        if let Ending::Running(listeners) = before {
            for listener in listeners {
                listener(end);
            }
        }
    }

    pub(crate) fn ending(&self) -> MutexGuard<'_, Ending> {
        lock(&self.ending)
    }
}

pub(crate) fn no_source(found: Source, device: &str, destination: IpAddr) -> Error {
    let (family, example) =
        if destination.is_ipv4() { ("IPv4", "10.0.2.1/24") } else { ("IPv6", "fd00:2::1/64") };
    if found == Source::Own {
        return own_address(destination);
    }
    let message = format!("{destination} cannot be probed: the device {device} has no {family} address");
    let hint = format!("probes start when it has one: ip addr add {example} dev {device}");
    Error::new(ErrorKind::AddressNotLocal, message).with_hint(hint)
}

/// This host itself would answer the probe.
pub(crate) fn own_address(destination: IpAddr) -> Error {
    let message = format!("{destination}, which is to be probed, is an address of this host");
    Error::new(ErrorKind::InvalidOptions, message).with_hint("give an address of the peer, inside the tunnel")
}
