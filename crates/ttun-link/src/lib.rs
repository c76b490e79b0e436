//! Interfaces, addresses and routes of a network namespace, inspected and changed by netlink.
//!
//! [`configure`] applies settings to an interface and records the actual changes; dropping the [`Changes`] undoes
//! them. [`find`], [`describe`], [`interfaces`], [`route_to`] and [`holder_of`] only inspect.
//!
//! A netlink socket belongs to the network namespace in which it was opened: the answers are about the namespace of
//! the calling thread, and changes are undone where they were made, whichever thread drops them.

mod configure;
mod error;
mod inspect;
mod link;
mod netlink;
mod route;

pub use configure::{Changes, IPV6_MIN_MTU, Settings, configure};
pub use error::{Error, Step};
pub use inspect::{Holder, Interface, describe, holder_of, interfaces};
pub use link::{Link, LinkKind, find};
pub use netlink::LinkNotices;
pub use route::{Route, RouteQuery, route_to};
