//! The type of an entry in the table of statistics, and the macros that generate structs and entries from its lines.

use super::{TunnelState, TunnelStats};

/// One value of [`TunnelStats`], with everything needed to pass, export or show it.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Where it is in [`TunnelStats`]: `encap.received`, `encap.drops.too-big`.
    pub path: &'static str,
    /// Its kind, and how to read it.
    pub kind: Kind,
    /// Its unit: `packets`, `bytes`, `ms`; empty for a number without a unit.
    pub unit: &'static str,
    /// A description in a sentence or two, without its unit.
    pub help: &'static str,
    /// A label for its own line in output for people; empty if its value is shown together with others.
    pub label: &'static str,
    /// Prometheus name, with labels besides `tunnel`: `ttun_syscalls_total{call="read"}`. Empty: made from path and unit by the
    /// rule in `src/http`; `-`: not exported, or exported with others.
    pub metric: &'static str,
}

/// The kind of a value, and how to read it from a snapshot.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Counts from 0 when the tunnel opens.
    Counter(fn(&TunnelStats) -> u64),
    /// Counts packets that were dropped for one reason.
    Drop(fn(&TunnelStats) -> u64),
    /// Counts the values of a distribution that are up to a bound.
    Bucket(fn(&TunnelStats) -> u64),
    /// A current value.
    Gauge(fn(&TunnelStats) -> f64),
    /// A current value that is sometimes unknown.
    GaugeIfKnown(fn(&TunnelStats) -> Option<f64>),
    /// The state of the tunnel.
    State(fn(&TunnelStats) -> TunnelState),
    /// Text that seldom changes.
    Text,
    /// Such text that is sometimes unknown.
    TextIfKnown,
    /// On or off; seldom changes.
    Flag,
    /// Counts by error number.
    Errors,
    /// Holds other values.
    Section,
}

/// A value that is a number.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// The value of a counter.
    Count(u64),
    /// A gauge; `NaN` while it is not known.
    Measure(f64),
}

impl Kind {
    /// Reads the value from a snapshot; `None` if it is not a number.
    #[must_use]
    pub fn read(self, stats: &TunnelStats) -> Option<Value> {
        match self {
            Self::Counter(read) | Self::Drop(read) | Self::Bucket(read) => Some(Value::Count(read(stats))),
            Self::Gauge(read) => Some(Value::Measure(read(stats))),
            Self::GaugeIfKnown(read) => Some(Value::Measure(read(stats).unwrap_or(f64::NAN))),
            Self::State(read) => Some(Value::Measure(f64::from(read(stats) as u8))),
            Self::Text | Self::TextIfKnown | Self::Flag | Self::Errors | Self::Section => None,
        }
    }
}

impl Stat {
    pub(super) const fn new(path: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { path, kind, unit: "", help: help.trim_ascii(), label: "", metric: "" }
    }
}

/// A struct of the snapshot and its part of the table, from lines of the form
///
/// ```text
/// /// Help.
/// field: Type => Kind(how to read it), unit: "bytes", …;
/// ```
macro_rules! values {
    (
        $(#[doc = $about:literal])+
        $(#[derive($($derive:path),+)])?
        $name:ident at $prefix:literal {
            $( $(#[doc = $help:literal])+ $field:ident: $type:ty => $kind:expr $(, $detail:ident: $value:expr)*; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        $(#[derive($($derive),+)])?
        pub struct $name {
            $( $(#[doc = $help])+ pub $field: $type, )+
        }

        impl $name {
            pub(in crate::stats) const TABLE: &[Stat] = &[$(Stat {
                $($detail: $value,)*
                ..Stat::new(concat!($prefix, stringify!($field)), $kind, concat!($($help),+))
            },)+];
        }
    };
}

/// One direction of the tunnel: its counters, the reasons why it drops packets, and its part of the table, from lines of the form
///
/// ```text
/// /// Help.
/// counter: "unit", label: "words", …;
/// /// Help.
/// Reason: "name", "words";
/// ```
///
/// The struct exists twice: with a [`Counter`](crate::stats::Counter) in each field for the packet path, and with a number in each
/// as the snapshot.
macro_rules! direction {
    (
        $(#[doc = $about:literal])+
        $direction:ident: $name:ident {
            $( $(#[doc = $help:literal])+ $field:ident: $unit:literal $(, $detail:ident: $value:expr)*; )+
        }
        $(#[doc = $sum_help:literal])+
        dropped;
        $(#[doc = $drop_help:literal])+
        drops: $drop:ident {
            $( $(#[doc = $reason_help:literal])+ $reason:ident: $reason_name:literal, $label:literal; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default)]
        pub struct $name<Value = u64> {
            $( $(#[doc = $help])+ pub $field: Value, )+
            #[doc = concat!("By reason, in the order of [`", stringify!($drop), "::ALL`].")]
            pub drops: [Value; $drop::ALL.len()],
        }

        $(#[doc = $drop_help])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $drop {
            $( $(#[doc = $reason_help])+ $reason, )+
        }

        impl $drop {
            /// All reasons, in the order in which they are counted.
            pub const ALL: [Self; [$(Self::$reason),+].len()] = [$(Self::$reason),+];

            /// The name under which users know it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $reason_name,)+
                }
            }
        }

        impl $name<Counter> {
            pub(crate) fn drop(&self, reason: $drop, packets: usize) {
                if let Some(counter) = self.drops.get(reason as usize) {
                    counter.add(packets);
                }
            }

            pub(crate) fn snapshot(&self) -> $name {
                $name { $($field: self.$field.get(),)+ drops: self.drops.each_ref().map(Counter::get) }
            }
        }

        impl $name {
            const TABLE: &[Stat] = &[
                $(Stat {
                    unit: $unit,
                    $($detail: $value,)*
                    ..Stat::new(
                        concat!(stringify!($direction), ".", stringify!($field)),
                        Kind::Counter(|stats| stats.$direction.$field),
                        concat!($($help),+),
                    )
                },)+
                Stat {
                    unit: "packets",
                    metric: "-",
                    ..Stat::new(
                        concat!(stringify!($direction), ".dropped"),
                        Kind::Counter(|stats| stats.$direction.dropped()),
                        concat!($($sum_help),+),
                    )
                },
                Stat::new(
                    concat!(stringify!($direction), ".drops"),
                    Kind::Section,
                    concat!($($drop_help),+),
                ),
                $(Stat {
                    unit: "packets",
                    label: $label,
                    ..Stat::new(
                        concat!(stringify!($direction), ".drops.", $reason_name),
                        Kind::Drop(|stats| stats.$direction.drops[$drop::$reason as usize]),
                        concat!($($reason_help),+),
                    )
                },)+
            ];

            $(#[doc = $sum_help])+
            #[must_use]
            pub fn dropped(&self) -> u64 {
                self.drops.iter().sum()
            }
        }
    };
}

pub(super) use {direction, values};
