//! The error of a step that failed while an interface was configured.

use std::io;
use std::net::IpAddr;

use crate::netlink::Refusal;
use crate::route::network_of;

/// A step of configuring an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Inspecting its current state.
    Inspect,
    /// Adding an address, with its prefix length.
    Address(IpAddr, u8),
    /// Setting its MTU, bytes.
    Mtu(u32),
    /// Bringing it up.
    Up,
    /// Bringing it down.
    Down,
    /// Routing a network into it.
    Route(IpAddr, u8),
    /// Routing the network of its own address into it, as the kernel does when the address is added.
    Connected(IpAddr, u8),
}

impl Step {
    pub(crate) const fn up(up: bool) -> Self {
        if up { Self::Up } else { Self::Down }
    }

    /// The setting that it makes, as `route 10.9.0.0/16`.
    #[must_use]
    pub fn setting(self) -> String {
        match self {
            Self::Inspect => "state".to_owned(),
            Self::Address(ip, len) => format!("address {ip}/{len}"),
            Self::Mtu(bytes) => format!("MTU {bytes}"),
            Self::Up => "up".to_owned(),
            Self::Down => "down".to_owned(),
            Self::Route(ip, len) => format!("route {ip}/{len}"),
            Self::Connected(ip, len) => format!("route {}/{len}", network_of(ip, len)),
        }
    }

    fn describe(self, interface: &str) -> String {
        match self {
            Self::Inspect => format!("inspecting {interface}"),
            Self::Address(ip, len) => format!("adding the address {ip}/{len} to {interface}"),
            Self::Mtu(bytes) => format!("setting the MTU of {interface} to {bytes}"),
            Self::Up => format!("bringing {interface} up"),
            Self::Down => format!("bringing {interface} down"),
            Self::Route(ip, len) => format!("routing {ip}/{len} into {interface}"),
            Self::Connected(ip, len) => format!("routing {}/{len} into {interface}", network_of(ip, len)),
        }
    }
}

/// A step that failed. The steps before it have been undone.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}{}", step.describe(interface), without_number(cause), in_brackets(reason.as_deref()))]
pub struct Error {
    interface: String,
    step: Step,
    #[source]
    cause: io::Error,
    reason: Option<String>,
}

impl Error {
    pub(crate) fn new(interface: &str, step: Step, refusal: Refusal) -> Self {
        Self { interface: interface.to_owned(), step, cause: refusal.cause, reason: refusal.reason }
    }

    /// The name of the interface, or its index if the name is not known.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The step.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Why it failed.
    #[must_use]
    pub const fn cause(&self) -> &io::Error {
        &self.cause
    }
}

/// The text of the error; [`Error::cause`] has the number.
fn without_number(cause: &io::Error) -> String {
    let text = cause.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}

fn in_brackets(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" ({})", reason.trim_end_matches('.'))).unwrap_or_default()
}
