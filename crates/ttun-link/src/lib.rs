//! Interfaces, addresses and routes of a network namespace, inspected and changed by netlink.
//!
//! [`configure`] applies settings to an interface and records the actual changes; dropping the [`Changes`] undoes
//! them, and [`Changes::restore`] applies again what the interface has lost of them. [`find`], [`describe`], [`interfaces`],
//! [`place_of`], [`route_to`], [`networks_into`] and [`holder_of`] only inspect; [`Notices`] report changes.
//!
//! A netlink socket belongs to the network namespace in which it was opened: the answers are about the namespace of
//! the calling thread, and changes are undone where they were made, whichever thread drops them.

mod configure;
mod error;
mod inspect;
mod link;
mod netlink;
mod notices;
mod present;
mod restore;
mod route;

pub use configure::{Changes, Settings, configure};
pub use error::{Error, Step};
pub use inspect::{Holder, Interface, Place, describe, holder_of, interfaces, place_of};
pub use link::{IPV6_MIN_MTU, Link, LinkKind, find};
pub use notices::Notices;
pub use restore::Restored;
pub use route::{Flow, Route, RouteQuery, configured_source, networks_into, route_to, source_of_flow};
