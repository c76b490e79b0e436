//! The tunnel bound to Node: data-transfer objects and handles, no logic.
//!
//! Every type is named `Binding…` so that nobody takes it for the public one of the TypeScript layer. Loading
//! this library starts no thread. Opening happens on a thread of its own, and no call waits for packets.

#![allow(unreachable_pub, reason = "items are exported to JavaScript by the macros, not to other crates")]
#![cfg_attr(test, allow(dead_code, reason = "napi exports nothing to JavaScript in unit tests"))]

mod build;
mod description;
mod error;
mod inspect;
mod open;
mod process;
mod registry;
mod stats;
mod tunnel;
mod watch;
