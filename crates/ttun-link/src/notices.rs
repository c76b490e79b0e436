//! Notices of the kernel that something has changed in this network namespace (rtnetlink(7)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// A subscription to notices. Readable when there is one to [take](Self::take).
#[derive(Debug)]
pub struct Notices {
    socket: Socket,
}

/// Everything that determines the path of a packet: interfaces, addresses, routes and rules of both families.
const NETWORK: u32 = (libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV4_RULE
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV6_ROUTE)
    .cast_unsigned();

/// Groups of linux/rtnetlink.h without a constant in that form: rules of IPv6, and next hops (kernel 5.3).
const FURTHER_GROUPS: [u32; 2] = [19, 32];

impl Notices {
    /// Subscribes to changes of interfaces from now on.
    ///
    /// # Errors
    /// When no socket can be opened for it.
    pub fn of_links() -> io::Result<Self> {
        Self::subscribe(libc::RTMGRP_LINK.cast_unsigned())
    }

    /// Subscribes to changes of interfaces, addresses, routes, rules and next hops from now on.
    ///
    /// # Errors
    /// When no socket can be opened for it.
    pub fn of_network() -> io::Result<Self> {
        let notices = Self::subscribe(NETWORK)?;
        for group in FURTHER_GROUPS {
            // Old kernels do not have all groups; notices of the others still arrive.
            let _ = notices.socket.add_membership(group);
        }
        Ok(notices)
    }

    fn subscribe(groups: u32) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, groups))?;
        Ok(Self { socket })
    }

    /// Takes the next notice, without its content: asking for the current state is right even when notices were lost.
    ///
    /// # Errors
    /// `WouldBlock` when there is none. Lost notices (`ENOBUFS`) count as one.
    pub fn take(&self) -> io::Result<()> {
        // The kernel discards what does not fit.
        let mut beginning = [0_u8; 16];
        match self.socket.recv(&mut &mut beginning[..], 0) {
            Ok(_) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl AsRawFd for Notices {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
