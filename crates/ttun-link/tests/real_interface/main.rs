//! Real interfaces, each test in a network namespace of its own, looked at with iproute2.
//!
//! Needs root, `/dev/net/tun` and iproute2; without them the tests fail and say so.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests are tests too")]

mod configure;
mod inspect;
mod namespace;
mod notices;
mod undo;
