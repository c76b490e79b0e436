//! The queue of ttun: FQ-CoDel (RFC 8290), which keeps the delay of a saturated link low and shares it fairly between flows.
//!
//! It differs from the usual implementations in one respect: a [`Parcel`] may stand for many packets. Such a super-packet is stored
//! whole, and its packets are taken out one by one, so that a flow of super-packets gets no more than its share, and its packets are
//! dropped or marked one by one.
//!
//! There is no clock in here: each call gets the time, in microseconds of any monotonic clock.

#![forbid(unsafe_code)]

mod codel;
mod drain;
mod entries;
mod flows;
mod in_flight;
mod pacer;
mod standing;

pub use codel::{INTERVAL_US, TARGET_US};
pub use drain::DrainMeter;
pub use flows::{FlowQueue, Limits, Parcel, Taken, Totals};
pub use in_flight::InFlightLimit;
pub use pacer::Pacer;
pub use standing::StandingQueue;
