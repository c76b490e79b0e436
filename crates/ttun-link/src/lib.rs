//! Interfaces, addresses and routes of this process's network namespace, asked and changed by netlink.

mod link;

pub use link::{Link, LinkKind, find};
