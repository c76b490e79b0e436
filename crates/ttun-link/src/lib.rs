//! Interfaces, addresses and routes of a network namespace, asked and changed by netlink.
//!
//! [`configure`] gives an interface what is wished and remembers what that really changed; the [`Changes`] put
//! it back when they are dropped. [`find`], [`describe`], [`interfaces`] and [`route_to`] only look.
//!
//! A netlink socket belongs to the network namespace in which it was opened: questions are about the namespace of
//! the calling thread, and changes are put back where they were made, whichever thread drops them.

mod address;
mod changes;
mod configure;
mod error;
mod holder;
mod interface;
mod link;
mod lookup;
mod netlink;
mod notices;
mod route;

pub use changes::Changes;
pub use configure::{IPV6_MIN_MTU, Wishes, configure};
pub use error::{Error, Step};
pub use holder::{Holder, holder_of};
pub use interface::{Interface, describe, interfaces};
pub use link::{Link, LinkKind, find};
pub use lookup::{Route, RouteQuery, route_to};
pub use notices::LinkNotices;
