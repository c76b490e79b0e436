//! The snapshot of a tunnel, as data: names, order and units are those of `TunnelStats` in TypeScript.

use napi_derive::napi;
use ttun_core::{DecapStats, EncapStats, OffloadStats, SocketStats, TunnelState, TunnelStats};

/// Everything that a tunnel counts and knows about itself.
#[napi(object, object_from_js = false)]
pub struct BindingTunnelStats {
    /// ms since the epoch.
    pub timestamp: f64,
    /// ms.
    pub uptime_ms: f64,
    /// up, waiting or closed.
    #[napi(ts_type = "'up' | 'waiting' | 'closed'")]
    pub state: &'static str,
    /// The TUN device.
    pub device: BindingDeviceStats,
    /// The UDP socket.
    pub socket: BindingSocketStats,
    /// Device to network.
    pub encap: BindingEncapStats,
    /// Network to device.
    pub decap: BindingDecapStats,
}

/// The TUN device.
#[napi(object, object_from_js = false)]
pub struct BindingDeviceStats {
    /// Its name.
    pub name: String,
    /// Its interface index.
    pub index: u32,
    /// Bytes.
    pub mtu: u32,
    /// Offloads in use.
    pub offload: BindingOffloadStats,
}

/// Offloads between the device and this program.
#[napi(object, object_from_js = false)]
pub struct BindingOffloadStats {
    /// Checksums.
    pub checksum: bool,
    /// TCP super-packets.
    pub tso: bool,
    /// UDP super-packets.
    pub uso: bool,
}

/// The UDP socket.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingSocketStats {
    /// Bound to.
    pub local: String,
    /// Connected to.
    pub remote: String,
    /// Datagrams that one send may carry.
    pub segments_per_send: u32,
    /// Whether one receive may bring several datagrams.
    pub gro: bool,
    /// Bytes.
    pub receive_buffer: f64,
    /// Bytes.
    pub send_buffer: f64,
    /// Datagrams.
    pub receive_overflow: f64,
    /// Bytes.
    pub path_mtu: Option<u32>,
    /// By error number.
    pub errors: Vec<BindingErrorCount>,
}

/// How often a send or receive failed in one way.
#[napi(object, object_from_js = false)]
pub struct BindingErrorCount {
    /// The (positive) error number.
    pub errno: i32,
    /// How often.
    pub count: f64,
}

/// Device to network.
#[napi(object, object_from_js = false)]
pub struct BindingEncapStats {
    /// Packets.
    pub received: f64,
    /// Packets.
    pub packets: f64,
    /// Bytes.
    pub bytes: f64,
    /// Calls.
    pub reads: f64,
    /// Calls.
    pub sends: f64,
    /// Packets.
    pub fragmented: f64,
    /// Packets, all reasons together.
    pub dropped: f64,
    /// Packets by reason.
    pub drops: BindingEncapDrops,
}

/// Packets by reason.
#[napi(object, object_from_js = false)]
pub struct BindingEncapDrops {
    /// The peer can't be reached or refuses.
    #[napi(js_name = "peer-unreachable")]
    pub peer_unreachable: f64,
    /// Too long for a datagram or the route.
    #[napi(js_name = "too-big")]
    pub too_big: f64,
    /// No memory or queue in the kernel.
    #[napi(js_name = "no-buffer-space")]
    pub no_buffer_space: f64,
    /// The send failed in another way.
    #[napi(js_name = "send-error")]
    pub send_error: f64,
    /// The tunnel's own datagrams.
    #[napi(js_name = "routing-loop")]
    pub routing_loop: f64,
    /// No IP packet.
    pub malformed: f64,
    /// The tunnel was closed.
    pub closed: f64,
}

/// Network to device.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingDecapStats {
    /// Packets.
    pub received: f64,
    /// Packets.
    pub packets: f64,
    /// Bytes.
    pub bytes: f64,
    /// Calls.
    pub receives: f64,
    /// Calls.
    pub writes: f64,
    /// Packets, all reasons together.
    pub dropped: f64,
    /// Packets by reason.
    pub drops: BindingDecapDrops,
    /// ms since the epoch.
    pub last_at: Option<f64>,
}

/// Packets by reason.
#[napi(object, object_from_js = false)]
pub struct BindingDecapDrops {
    /// No IP packet.
    pub malformed: f64,
    /// No payload.
    pub empty: f64,
    /// Longer than the receive buffer.
    pub truncated: f64,
    /// The inner source is not accepted.
    #[napi(js_name = "source-not-allowed")]
    pub source_not_allowed: f64,
    /// The device is down.
    #[napi(js_name = "device-down")]
    pub device_down: f64,
    /// The device refused.
    #[napi(js_name = "device-error")]
    pub device_error: f64,
    /// The tunnel was closed.
    pub closed: f64,
}

impl From<&TunnelStats> for BindingTunnelStats {
    fn from(stats: &TunnelStats) -> Self {
        let OffloadStats { checksum, tso, uso } = stats.device.offload;
        Self {
            timestamp: stats.timestamp,
            uptime_ms: stats.uptime_ms,
            state: match stats.state {
                TunnelState::Up => "up",
                TunnelState::Waiting => "waiting",
                TunnelState::Closed => "closed",
            },
            device: BindingDeviceStats {
                name: stats.device.name.clone(),
                index: stats.device.index,
                mtu: stats.device.mtu,
                offload: BindingOffloadStats { checksum, tso, uso },
            },
            socket: (&stats.socket).into(),
            encap: (&stats.encap).into(),
            decap: (&stats.decap).into(),
        }
    }
}

impl From<&SocketStats> for BindingSocketStats {
    fn from(stats: &SocketStats) -> Self {
        let errors =
            stats.errors.iter().map(|&(errno, count)| BindingErrorCount { errno, count: number(count) });
        Self {
            local: stats.local.to_string(),
            remote: stats.remote.to_string(),
            segments_per_send: stats.segments_per_send as u32,
            gro: stats.gro,
            receive_buffer: number(stats.receive_buffer as u64),
            send_buffer: number(stats.send_buffer as u64),
            receive_overflow: f64::from(stats.receive_overflow),
            path_mtu: stats.path_mtu.map(|mtu| mtu as u32),
            errors: errors.collect(),
        }
    }
}

impl From<&EncapStats> for BindingEncapStats {
    fn from(stats: &EncapStats) -> Self {
        // In the order of `EncapDrop::ALL`.
        let [peer_unreachable, too_big, no_buffer_space, send_error, routing_loop, malformed, closed] =
            stats.drops.map(number);
        Self {
            received: number(stats.received),
            packets: number(stats.packets),
            bytes: number(stats.bytes),
            reads: number(stats.reads),
            sends: number(stats.sends),
            fragmented: number(stats.fragmented),
            dropped: number(stats.drops.iter().sum()),
            drops: BindingEncapDrops {
                peer_unreachable,
                too_big,
                no_buffer_space,
                send_error,
                routing_loop,
                malformed,
                closed,
            },
        }
    }
}

impl From<&DecapStats> for BindingDecapStats {
    fn from(stats: &DecapStats) -> Self {
        // In the order of `DecapDrop::ALL`.
        let [malformed, empty, truncated, source_not_allowed, device_down, device_error, closed] =
            stats.drops.map(number);
        Self {
            received: number(stats.received),
            packets: number(stats.packets),
            bytes: number(stats.bytes),
            receives: number(stats.receives),
            writes: number(stats.writes),
            dropped: number(stats.drops.iter().sum()),
            drops: BindingDecapDrops {
                malformed,
                empty,
                truncated,
                source_not_allowed,
                device_down,
                device_error,
                closed,
            },
            last_at: stats.last_at,
        }
    }
}

/// A count as a JavaScript number: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "documented: numbers are exact up to 2^53")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}
