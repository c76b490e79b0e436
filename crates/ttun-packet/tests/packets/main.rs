//! The crate's public API, against packets built field by field and against slow, obvious reference code.
#![expect(clippy::unwrap_used, reason = "a helper that panics fails its test")]

mod clamp;
mod coalesce;
mod device;
mod hostile;
mod loop_guard;
mod model;
mod never_merge;
mod packet;
mod round_trip;
mod segment;
mod strategy;
mod too_big;
mod zero_checksum;
