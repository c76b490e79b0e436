//! Which step on which interface failed.

use std::fmt;
use std::io;
use std::net::IpAddr;

use crate::netlink::Refusal;

/// What was being done to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asking what it is like.
    Inspect,
    /// Giving it an address, with its prefix length.
    Address(IpAddr, u8),
    /// Setting its MTU, bytes.
    Mtu(u32),
    /// Bringing it up.
    Up,
    /// Taking it down.
    Down,
    /// Routing a network into it.
    Route(IpAddr, u8),
}

/// A step that failed. What was done before it has been undone.
#[derive(Debug)]
pub struct Error {
    interface: String,
    step: Step,
    cause: io::Error,
    reason: Option<String>,
}

impl Error {
    pub(crate) fn new(interface: &str, step: Step, refusal: Refusal) -> Self {
        Self { interface: interface.to_owned(), step, cause: refusal.cause, reason: refusal.reason }
    }

    /// The interface, by its name, or by its number where the name could not be asked.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The step.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// How it failed.
    #[must_use]
    pub const fn cause(&self) -> &io::Error {
        &self.cause
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interface = &self.interface;
        match self.step {
            Step::Inspect => write!(formatter, "looking at {interface}")?,
            Step::Address(ip, len) => write!(formatter, "giving {interface} the address {ip}/{len}")?,
            Step::Mtu(bytes) => write!(formatter, "setting the MTU of {interface} to {bytes}")?,
            Step::Up => write!(formatter, "bringing {interface} up")?,
            Step::Down => write!(formatter, "taking {interface} down")?,
            Step::Route(ip, len) => write!(formatter, "routing {ip}/{len} into {interface}")?,
        }
        write!(formatter, ": {}", in_words(&self.cause))?;
        match &self.reason {
            Some(reason) => write!(formatter, " ({})", reason.trim_end_matches('.')),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// The error without its number, which [`Error::cause`] has for programs.
fn in_words(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
