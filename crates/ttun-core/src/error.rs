//! One error type for everything that can prevent a tunnel from opening or make it end.

use std::io;

/// The kinds of errors, which programs can match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// An option has an invalid value.
    InvalidOptions,
    /// No interface has this name.
    DeviceNotFound,
    /// The device is a TAP device: it carries Ethernet frames, not IP packets.
    DeviceIsTap,
    /// The interface is of another kind (Ethernet, bridge, …).
    DeviceNotTun,
    /// The device is already attached to, by another process or by this one.
    DeviceBusy,
    /// The device belongs to another user.
    DeviceNotOwner,
    /// The device was deleted while the tunnel ran.
    DeviceGone,
    /// The system has no `/dev/net/tun`.
    TunMissing,
    /// This user may not open `/dev/net/tun`.
    TunPermission,
    /// The local address is not configured on this host.
    AddressNotLocal,
    /// The local address and port are taken.
    PortInUse,
    /// This user may not bind the local port.
    PortPermission,
    /// The routing table has no route to the remote address.
    NoRoute,
    /// No interface has the name to which the socket is to be bound, or that the zone of a link-local address gives.
    BindDeviceNotFound,
    /// This user may not set an option that requires `CAP_NET_ADMIN`.
    Permission,
    /// The tunnel already has the maximum number of taps.
    TooManyTaps,
    /// The tunnel has ended.
    Closed,
    /// Another system call failed; [`Error::syscall`] and [`Error::errno`] identify it.
    System,
    /// The data path panicked: a bug in ttun.
    Internal,
}

impl ErrorKind {
    /// The code under which this error is known in JavaScript.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidOptions => "ERR_TTUN_INVALID_OPTIONS",
            Self::DeviceNotFound => "ERR_TTUN_DEVICE_NOT_FOUND",
            Self::DeviceIsTap => "ERR_TTUN_DEVICE_IS_TAP",
            Self::DeviceNotTun => "ERR_TTUN_DEVICE_NOT_TUN",
            Self::DeviceBusy => "ERR_TTUN_DEVICE_BUSY",
            Self::DeviceNotOwner => "ERR_TTUN_DEVICE_NOT_OWNER",
            Self::DeviceGone => "ERR_TTUN_DEVICE_GONE",
            Self::TunMissing => "ERR_TTUN_TUN_MISSING",
            Self::TunPermission => "ERR_TTUN_TUN_PERMISSION",
            Self::AddressNotLocal => "ERR_TTUN_ADDRESS_NOT_LOCAL",
            Self::PortInUse => "ERR_TTUN_PORT_IN_USE",
            Self::PortPermission => "ERR_TTUN_PORT_PERMISSION",
            Self::NoRoute => "ERR_TTUN_NO_ROUTE",
            Self::BindDeviceNotFound => "ERR_TTUN_BIND_DEVICE_NOT_FOUND",
            Self::Permission => "ERR_TTUN_PERMISSION",
            Self::TooManyTaps => "ERR_TTUN_TOO_MANY_WATCHES",
            Self::Closed => "ERR_TTUN_CLOSED",
            Self::System => "ERR_TTUN_SYSTEM",
            Self::Internal => "ERR_TTUN_INTERNAL",
        }
    }
}

/// Why a tunnel could not be opened, or why it ended.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    syscall: Option<&'static str>,
    errno: Option<i32>,
}

impl Error {
    /// An error without hint and system call.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, syscall: None, errno: None }
    }

    /// A system call failed in a way without its own kind. `doing` describes its purpose: "opening a UDP socket".
    #[must_use]
    pub fn system(syscall: &'static str, cause: &io::Error, doing: &str) -> Self {
        Self::new(ErrorKind::System, format!("{doing}: {cause}")).caused_by(syscall, cause)
    }

    /// This process may not do `what`, a phrase that follows "this user may not".
    pub(crate) fn permission(what: &str) -> Self {
        Self::new(ErrorKind::Permission, format!("this user may not {what}")).with_hint(
            "run as root, or with the capability: AmbientCapabilities=CAP_NET_ADMIN in a systemd unit, \
             or setcap cap_net_admin+ep on the program",
        )
    }

    /// Adds the system call that failed and its error; if a limit was reached and there is no hint yet, also how to raise it.
    #[must_use]
    pub fn caused_by(mut self, syscall: &'static str, cause: &io::Error) -> Self {
        self.syscall = Some(syscall);
        self.errno = cause.raw_os_error();
        if self.hint.is_none() {
            self.hint = limit_hint(syscall, self.errno).map(str::to_owned);
        }
        self
    }

    /// Adds how to fix it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The kind of error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// A one-line description for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How to fix it, if known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The system call that failed, if one did.
    #[must_use]
    pub const fn syscall(&self) -> Option<&'static str> {
        self.syscall
    }

    /// The (positive) error number of that system call.
    #[must_use]
    pub const fn errno(&self) -> Option<i32> {
        self.errno
    }
}

/// Whether the process or the system has no file descriptor left.
pub(crate) fn is_exhausted(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// How to raise the limit that was reached.
fn limit_hint(syscall: &str, errno: Option<i32>) -> Option<&'static str> {
    match (syscall, errno?) {
        (_, libc::EMFILE) => Some(
            "raise the limit of open files (each tunnel needs 6): ulimit -n, or LimitNOFILE= in a systemd unit",
        ),
        (_, libc::ENFILE) => Some("raise this system's limit of open files: sysctl fs.file-max"),
        // pthread_create(3).
        ("clone", libc::EAGAIN) => {
            Some("raise the limit of processes and threads: ulimit -u, or TasksMax= in a systemd unit")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_was_reached_is_named_with_how_to_raise_it() {
        for (syscall, errno, expected) in [
            ("open", libc::EMFILE, Some("ulimit -n")),
            ("socket", libc::ENFILE, Some("fs.file-max")),
            ("clone", libc::EAGAIN, Some("ulimit -u")),
            ("bind", libc::EAGAIN, None),
        ] {
            let error = Error::system(syscall, &io::Error::from_raw_os_error(errno), "opening");
            assert_eq!((error.kind(), error.errno()), (ErrorKind::System, Some(errno)));
            match expected {
                Some(words) => assert!(error.hint().unwrap().contains(words), "{error:?}"),
                None => assert_eq!(error.hint(), None),
            }
        }
    }
}
