//! The statistics of a tunnel as numbers in a buffer of the caller's, so that reading them creates no objects.

use napi_derive::napi;
use ttun_core::{ERROR_NUMBERS, Kind, OffloadStats, Stat, TunnelState, TunnelStats, Value, table};

/// How the buffer is laid out.
#[napi(object, object_from_js = false)]
pub struct BindingStatsLayout {
    /// The paths of the values in `TunnelStats`, in their order in the buffer.
    pub figures: Vec<String>,
    /// The names of the states, in the order of their numbers.
    pub states: Vec<&'static str>,
    /// How many values of 8 bytes the buffer has to hold. After the values come pairs of an error number and its count, until a
    /// pair whose count is 0, or the end.
    pub length: u32,
}

/// The layout of the buffer that `readStats` and `readExactStats` fill.
#[napi(catch_unwind)]
#[must_use]
pub fn stats_layout() -> BindingStatsLayout {
    let figures: Vec<_> = numbers().map(|stat| camel_case(stat.path)).collect();
    let length = (figures.len() + 2 * ERROR_NUMBERS) as u32;
    BindingStatsLayout { figures, states: TunnelState::ALL.map(TunnelState::name).to_vec(), length }
}

fn numbers() -> impl Iterator<Item = &'static Stat> {
    table().filter(|Stat { kind, path, .. }| {
        !matches!(kind, Kind::Text | Kind::Flag | Kind::Errors | Kind::Section) && !DESCRIBED.contains(path)
    })
}

/// Handed over with the description, or found out by JavaScript itself.
const DESCRIBED: [&str; 4] = ["opened_at", "device.index", "socket.receive_buffer", "socket.send_buffer"];

/// Fills the buffer with numbers.
pub(crate) fn write_numbers(stats: &TunnelStats, buffer: &mut [f64]) {
    let values = numbers().filter_map(|stat| stat.kind.read(stats)).map(|value| match value {
        Value::Count(count) => number(count),
        Value::Measure(measure) => measure,
    });
    let errors = errors(stats).map(number);
    for (place, value) in buffer.iter_mut().zip(values.chain(errors)) {
        *place = value;
    }
}

/// Fills the buffer with integers for counts; gauges are in it as the bits of their numbers.
pub(crate) fn write_exact(stats: &TunnelStats, buffer: &mut [u64]) {
    let values = numbers().filter_map(|stat| stat.kind.read(stats)).map(|value| match value {
        Value::Count(count) => count,
        Value::Measure(measure) => measure.to_bits(),
    });
    for (place, value) in buffer.iter_mut().zip(values.chain(errors(stats))) {
        *place = value;
    }
}

/// Pairs, and one more that ends them.
fn errors(stats: &TunnelStats) -> impl Iterator<Item = u64> {
    let pairs = stats.socket.errors.iter().flat_map(|&(errno, count)| [errno.unsigned_abs().into(), count]);
    pairs.chain([0, 0])
}

/// `socket.path_mtu` as JavaScript writes it: `socket.pathMtu`.
fn camel_case(path: &str) -> String {
    let mut words = path.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |path, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        path + &initial.to_ascii_uppercase() + rest
    })
}

/// A count as a JavaScript number: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "documented: numbers are exact up to 2^53")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

/// The statistics that are not in the buffer. They seldom change, so they are handed over only when they did.
#[napi(object, object_from_js = false)]
pub struct BindingDescription {
    /// The TUN device.
    pub device: BindingDeviceDescription,
    /// The UDP socket.
    pub socket: BindingSocketDescription,
}

/// The TUN device.
#[napi(object, object_from_js = false)]
pub struct BindingDeviceDescription {
    /// Its name.
    pub name: String,
    /// Its interface index.
    pub index: u32,
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
#[napi(object, object_from_js = false)]
pub struct BindingSocketDescription {
    /// Bound to.
    pub local: String,
    /// Connected to.
    pub remote: String,
    /// Whether one receive may bring several datagrams.
    pub gro: bool,
    /// Bytes.
    pub receive_buffer: f64,
    /// Bytes.
    pub send_buffer: f64,
}

impl From<&TunnelStats> for BindingDescription {
    fn from(TunnelStats { device, socket, .. }: &TunnelStats) -> Self {
        let OffloadStats { checksum, tso, uso } = device.offload;
        Self {
            device: BindingDeviceDescription {
                name: device.name.clone(),
                index: device.index,
                offload: BindingOffloadStats { checksum, tso, uso },
            },
            socket: BindingSocketDescription {
                local: socket.local.to_string(),
                remote: socket.remote.to_string(),
                gro: socket.gro,
                receive_buffer: number(socket.receive_buffer as u64),
                send_buffer: number(socket.send_buffer as u64),
            },
        }
    }
}

/// What the description is made from, to see whether it changed.
pub(crate) fn described(TunnelStats { device, socket, .. }: &TunnelStats) -> impl PartialEq {
    let ends = (socket.local, socket.remote);
    (&device.name, device.index, device.offload, ends, socket.gro, socket.receive_buffer, socket.send_buffer)
}
