//! The statistics of a tunnel as numbers in the caller's buffer, so that reading them creates no objects.

use napi_derive::napi;
use ttun_core::{ERROR_NUMBERS, Kind, OffloadStats, Stat, TunnelState, TunnelStats, Value, table};

/// One value of `TunnelStats`, as the core's table declares it.
#[napi(object, object_from_js = false)]
pub struct BindingStat {
    /// Where it is in `TunnelStats`.
    pub path: String,
    /// Only `counter`, `drop`, `bucket`, `gauge`, `gauge-if-known` and `state` are numbers, and thus in the buffer.
    #[napi(
        ts_type = "'counter' | 'drop' | 'bucket' | 'gauge' | 'gauge-if-known' | 'state' | 'text' | 'text-if-known' | 'flag' | 'errors' | 'section'"
    )]
    pub kind: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// A description in a sentence.
    pub help: &'static str,
    /// A short label.
    pub label: &'static str,
    /// Its name in Prometheus.
    pub metric: &'static str,
}

/// The table, and how the buffer is laid out.
#[napi(object, object_from_js = false)]
pub struct BindingStatsLayout {
    /// All values; those that are numbers are in the buffer in this order.
    pub table: Vec<BindingStat>,
    /// The names of the states, in the order of their numbers.
    pub states: Vec<&'static str>,
    /// The size of the buffer, in values of 8 bytes. After the values come pairs of an error number and its count, until a
    /// pair whose count is 0, or the end.
    pub length: u32,
}

/// The layout of the buffer that `readStats` and `readExactStats` fill.
#[napi(catch_unwind)]
#[must_use]
pub fn stats_layout() -> BindingStatsLayout {
    let table: Vec<BindingStat> = table().map(Into::into).collect();
    let length = (table.len() + 2 * ERROR_NUMBERS) as u32;
    BindingStatsLayout { table, states: TunnelState::ALL.map(TunnelState::name).to_vec(), length }
}

impl From<&Stat> for BindingStat {
    fn from(&Stat { path, kind, unit, help, label, metric }: &Stat) -> Self {
        let kind = match kind {
            Kind::Counter(_) => "counter",
            Kind::Drop(_) => "drop",
            Kind::Bucket(_) => "bucket",
            Kind::Gauge(_) => "gauge",
            Kind::GaugeIfKnown(_) => "gauge-if-known",
            Kind::State(_) => "state",
            Kind::Text => "text",
            Kind::TextIfKnown => "text-if-known",
            Kind::Flag => "flag",
            Kind::Errors => "errors",
            Kind::Section => "section",
        };
        Self { path: camel_case(path), kind, unit, help, label, metric }
    }
}

/// Fills the buffer with numbers.
pub(crate) fn write_numbers(stats: &TunnelStats, buffer: &mut [f64]) {
    let values = table().filter_map(|stat| stat.kind.read(stats)).map(|value| match value {
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
    let values = table().filter_map(|stat| stat.kind.read(stats)).map(|value| match value {
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

/// The statistics that are not in the buffer. They rarely change, so they are passed only when they did.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingDescription {
    /// The TUN device.
    pub device: BindingDeviceDescription,
    /// The UDP socket.
    pub socket: BindingSocketDescription,
    /// The probe.
    pub probe: BindingProbeDescription,
}

/// The TUN device.
#[napi(object, object_from_js = false)]
pub struct BindingDeviceDescription {
    /// Its name.
    pub name: String,
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
pub struct BindingSocketDescription {
    /// Bound to.
    pub local: String,
    /// Connected to; null until the peer is learned.
    pub remote: Option<String>,
    /// Whether one receive may bring several datagrams.
    pub gro: bool,
}

/// The probe.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingProbeDescription {
    /// The address that is probed.
    pub address: Option<String>,
    /// The source of the probes.
    pub source: Option<String>,
}

impl From<&TunnelStats> for BindingDescription {
    fn from(TunnelStats { device, socket, probe, .. }: &TunnelStats) -> Self {
        let OffloadStats { checksum, tso, uso } = device.offload;
        Self {
            device: BindingDeviceDescription {
                name: device.name.clone(),
                offload: BindingOffloadStats { checksum, tso, uso },
            },
            socket: BindingSocketDescription {
                local: socket.local.to_string(),
                remote: socket.remote.map(|remote| remote.to_string()),
                gro: socket.gro,
            },
            probe: BindingProbeDescription {
                address: probe.address.map(|ip| ip.to_string()),
                source: probe.source.map(|ip| ip.to_string()),
            },
        }
    }
}

/// The values in the description, to detect changes.
pub(crate) fn described(TunnelStats { device, socket, probe, .. }: &TunnelStats) -> impl PartialEq {
    (&device.name, device.offload, socket.local, socket.remote, socket.gro, probe.address, probe.source)
}
