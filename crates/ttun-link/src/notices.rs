//! Hearing of interfaces that come, go or change, without asking again and again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// Tells when an interface of this network namespace has appeared, vanished or changed. Readable when there is something to
/// [take](Self::take).
#[derive(Debug)]
pub struct LinkNotices {
    socket: Socket,
}

impl LinkNotices {
    /// Hears from now on.
    ///
    /// # Errors
    /// When the kernel gives no socket for it.
    pub fn subscribe() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, libc::RTMGRP_LINK.cast_unsigned()))?;
        Ok(Self { socket })
    }

    /// Takes the next notice. What it says of the interface is left to [`find`](crate::find), which knows better by then.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has happened since. That some notices were lost (`ENOBUFS`) is news as well, not an error.
    pub fn take(&self) -> io::Result<()> {
        match self.socket.recv_from_full() {
            Ok(_) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl AsRawFd for LinkNotices {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for LinkNotices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
