//! The figures of a tunnel as numbers in a buffer of the caller's, so that reading them makes no objects.

use napi_derive::napi;
use ttun_core::{DecapDrop, EncapDrop, TunnelState, TunnelStats};

/// How one figure is got.
enum Figure {
    /// A measure that may have a fraction. What there is not is `NaN`.
    Measure(fn(&TunnelStats) -> f64),
    /// What was counted.
    Count(fn(&TunnelStats) -> u64),
}

use Figure::{Count, Measure};

/// Every figure at its place in the buffer, by the path of its name in `TunnelStats` of TypeScript, which finds
/// the places by the names and so can't mistake one for another.
const FIGURES: [(&str, Figure); 35] = [
    ("timestamp", Measure(|stats| stats.timestamp)),
    ("uptimeMs", Measure(|stats| stats.uptime_ms)),
    ("state", Measure(|stats| f64::from(state_number(stats.state)))),
    ("device.mtu", Measure(|stats| f64::from(stats.device.mtu))),
    ("socket.pathMtu", Measure(|stats| stats.socket.path_mtu.map_or(f64::NAN, |mtu| number(mtu as u64)))),
    ("socket.segmentsPerSend", Measure(|stats| number(stats.socket.segments_per_send as u64))),
    ("decap.lastAt", Measure(|stats| stats.decap.last_at.unwrap_or(f64::NAN))),
    ("socket.receiveOverflow", Count(|stats| stats.socket.receive_overflow.into())),
    ("encap.received", Count(|stats| stats.encap.received)),
    ("encap.packets", Count(|stats| stats.encap.packets)),
    ("encap.bytes", Count(|stats| stats.encap.bytes)),
    ("encap.reads", Count(|stats| stats.encap.reads)),
    ("encap.sends", Count(|stats| stats.encap.sends)),
    ("encap.fragmented", Count(|stats| stats.encap.fragmented)),
    ("encap.dropped", Count(|stats| stats.encap.drops.iter().sum())),
    ("encap.drops.peer-unreachable", Count(|stats| stats.encap.drops[EncapDrop::PeerUnreachable as usize])),
    ("encap.drops.too-big", Count(|stats| stats.encap.drops[EncapDrop::TooBig as usize])),
    ("encap.drops.no-buffer-space", Count(|stats| stats.encap.drops[EncapDrop::NoBufferSpace as usize])),
    ("encap.drops.send-error", Count(|stats| stats.encap.drops[EncapDrop::SendError as usize])),
    ("encap.drops.routing-loop", Count(|stats| stats.encap.drops[EncapDrop::RoutingLoop as usize])),
    ("encap.drops.malformed", Count(|stats| stats.encap.drops[EncapDrop::Malformed as usize])),
    ("encap.drops.closed", Count(|stats| stats.encap.drops[EncapDrop::Closed as usize])),
    ("decap.received", Count(|stats| stats.decap.received)),
    ("decap.packets", Count(|stats| stats.decap.packets)),
    ("decap.bytes", Count(|stats| stats.decap.bytes)),
    ("decap.receives", Count(|stats| stats.decap.receives)),
    ("decap.writes", Count(|stats| stats.decap.writes)),
    ("decap.dropped", Count(|stats| stats.decap.drops.iter().sum())),
    ("decap.drops.malformed", Count(|stats| stats.decap.drops[DecapDrop::Malformed as usize])),
    ("decap.drops.empty", Count(|stats| stats.decap.drops[DecapDrop::Empty as usize])),
    ("decap.drops.truncated", Count(|stats| stats.decap.drops[DecapDrop::Truncated as usize])),
    (
        "decap.drops.source-not-allowed",
        Count(|stats| stats.decap.drops[DecapDrop::SourceNotAllowed as usize]),
    ),
    ("decap.drops.device-down", Count(|stats| stats.decap.drops[DecapDrop::DeviceDown as usize])),
    ("decap.drops.device-error", Count(|stats| stats.decap.drops[DecapDrop::DeviceError as usize])),
    ("decap.drops.closed", Count(|stats| stats.decap.drops[DecapDrop::Closed as usize])),
];

/// Error numbers that may have occurred, each with how often, follow the figures: those of Linux go up to 133,
/// and 0 stands for all others.
const ERRORS: usize = 134;

/// How the buffer is laid out.
#[napi(object, object_from_js = false)]
pub struct BindingStatsLayout {
    /// The names of the figures, in their order.
    pub figures: Vec<&'static str>,
    /// The names of the states, in the order of their numbers.
    pub states: Vec<&'static str>,
    /// How many values of 8 bytes the buffer has to hold. After the figures come pairs of an error number and
    /// how often it occurred, until a pair whose second is 0, or the end.
    pub length: u32,
}

/// The layout of the buffer that `readStats` and `readExactStats` fill.
#[napi(catch_unwind)]
#[must_use]
pub fn stats_layout() -> BindingStatsLayout {
    BindingStatsLayout {
        figures: FIGURES.iter().map(|(name, _)| *name).collect(),
        states: STATES.to_vec(),
        length: (FIGURES.len() + 2 * ERRORS) as u32,
    }
}

/// Fills the buffer with numbers.
pub(crate) fn write_numbers(stats: &TunnelStats, buffer: &mut [f64]) {
    let figures = FIGURES.iter().map(|(_, figure)| match figure {
        Measure(read) => read(stats),
        Count(read) => number(read(stats)),
    });
    let errors = errors(stats).map(number);
    for (place, value) in buffer.iter_mut().zip(figures.chain(errors)) {
        *place = value;
    }
}

/// Fills the buffer with integers for what is counted; measures stand in it as the bits of their numbers.
pub(crate) fn write_exact(stats: &TunnelStats, buffer: &mut [u64]) {
    let figures = FIGURES.iter().map(|(_, figure)| match figure {
        Measure(read) => read(stats).to_bits(),
        Count(read) => read(stats),
    });
    for (place, value) in buffer.iter_mut().zip(figures.chain(errors(stats))) {
        *place = value;
    }
}

/// Pairs, and one more that ends them.
fn errors(stats: &TunnelStats) -> impl Iterator<Item = u64> {
    let pairs = stats.socket.errors.iter().flat_map(|&(errno, count)| [errno.unsigned_abs().into(), count]);
    pairs.chain([0, 0])
}

const STATES: [&str; 3] = ["up", "waiting", "closed"];

fn state_number(state: TunnelState) -> u8 {
    match state {
        TunnelState::Up => 0,
        TunnelState::Waiting => 1,
        TunnelState::Closed => 2,
    }
}

/// The name of a state.
pub(crate) fn state_name(state: TunnelState) -> &'static str {
    STATES[usize::from(state_number(state))]
}

/// A count as a JavaScript number: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "documented: numbers are exact up to 2^53")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}
