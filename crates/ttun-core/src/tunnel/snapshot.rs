//! The snapshot of a tunnel's statistics, while it runs and after.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::Shared;
use crate::clock::epoch_ms;
use crate::device::interface_mtu;
use crate::stats::{DeviceStats, SocketStats, TunnelState, TunnelStats};

/// Read from the kernel for each snapshot, and kept when the tunnel ends.
#[derive(Clone, Copy, Default)]
pub(super) struct Mtus {
    device: u32,
    path: Option<usize>,
}

impl Shared {
    pub(super) fn mtus(&self) -> Mtus {
        let Some(socket) = self.socket.upgrade() else {
            return self.last_mtus.get().copied().unwrap_or_default();
        };
        // A device that was deleted has none, nor can it be asked of one in another network namespace. It goes by its number: it
        // may have been given another name, and its own to something else.
        let device = match self.context.device_facts.get() {
            Some((index, _)) => interface_mtu(socket.as_fd(), index).unwrap_or(0),
            None => 0,
        };
        Mtus { device, path: socket.path_mtu() }
    }

    pub(super) fn state(&self) -> TunnelState {
        let (peer, _) = self.context.endpoints.versioned();
        match self.context.clock.state(peer) {
            TunnelState::Up if self.context.device_facts.get().is_none() => TunnelState::Waiting,
            state => state,
        }
    }

    pub(super) fn stats(&self) -> TunnelStats {
        let Self { context, facts, .. } = self;
        let mtus = self.mtus();
        let (index, offload) = context.device_facts.get().unwrap_or_default();
        let (peer, endpoints) = context.endpoints.versioned();
        let timestamp = epoch_ms(SystemTime::now());
        TunnelStats {
            timestamp,
            opened_at: context.clock.opened_at(),
            uptime_ms: context.clock.uptime().as_secs_f64() * 1e3,
            state: self.state(),
            device: DeviceStats { name: context.device.clone(), index, mtu: mtus.device, offload },
            socket: SocketStats {
                local: endpoints.local,
                remote: endpoints.remote,
                segments_per_send: context.segments_per_send.load(Ordering::Relaxed),
                gro: facts.gro,
                receive_buffer: facts.receive_buffer,
                send_buffer: facts.send_buffer,
                receive_overflow: context.receive_overflow.load(Ordering::Relaxed),
                path_mtu: mtus.path,
                errors: context.errors.occurred(),
            },
            encap: context.encap.snapshot(),
            decap: context.decap.snapshot(),
            last_at: context.clock.received_at(timestamp, peer),
        }
    }
}
