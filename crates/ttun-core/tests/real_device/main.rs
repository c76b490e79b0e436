//! Tunnels over real TUN devices, each test in a network namespace of its own.
//!
//! Needs root, `/dev/net/tun` and iproute2; without them the tests fail and say so.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod attach;
mod learn;
mod lifecycle;
mod peer;
mod place;
mod reattach;
mod set_up;
mod site;
mod traffic;
mod tun;
mod upkeep;
