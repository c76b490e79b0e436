//! The statistics of a tunnel as numbers in a buffer of the caller's, so that reading them creates no objects.

use napi_derive::napi;
use ttun_core::{ERROR_NUMBERS, Kind, Stat, TunnelState, TunnelStats, Value, table};

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
