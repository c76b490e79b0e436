//! The tunnel bound to Node: data-transfer objects and handles, no logic.
//!
//! Every type is named `Binding…` so that nobody takes it for the public one of the TypeScript layer. Loading
//! this library starts no thread. Opening happens on a thread of its own, and no call waits for packets.

#![allow(unreachable_pub, reason = "items are exported to JavaScript by the macros, not to other crates")]

mod build;
mod description;
mod error;
mod exit;
mod inspect;
mod notify;
mod open;
mod registry;
mod stats;
mod tunnel;
mod watch;
