//! The ioctls of the TUN driver (drivers/net/tun.c) that tun-rs does not have, and two questions
//! about an interface and about this process.

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

// With musl, requests are of another type than these two numbers are declared with.
const SIOCGIFNAME: libc::Ioctl = libc::SIOCGIFNAME as libc::Ioctl;
const SIOCGIFMTU: libc::Ioctl = libc::SIOCGIFMTU as libc::Ioctl;

/// `IFF_*` flags that the attached device really has.
pub(crate) fn flags(tun: BorrowedFd<'_>) -> io::Result<c_int> {
    let mut request = empty_request();
    // SAFETY: TUNGETIFF fills in a `struct ifreq`, which `request` is; the descriptor is open for the call.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNGETIFF, &raw mut request) };
    checked(result)?;
    // SAFETY: the kernel has written the flags member of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    // The flags are 16 bits without a sign (IFF_VNET_HDR 0x4000, IFF_MULTI_QUEUE 0x0100).
    Ok(c_int::from(flags.cast_unsigned()))
}

/// Size in bytes of the virtio-net header that stands before each packet.
pub(crate) fn virtio_header_len(tun: BorrowedFd<'_>) -> io::Result<c_int> {
    let mut len: c_int = 0;
    // SAFETY: TUNGETVNETHDRSZ writes one int through the pointer.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNGETVNETHDRSZ, &raw mut len) };
    checked(result)?;
    Ok(len)
}

pub(crate) fn set_virtio_header_len(tun: BorrowedFd<'_>, len: c_int) -> io::Result<()> {
    // SAFETY: TUNSETVNETHDRSZ reads one int through the pointer.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const len) };
    checked(result)
}

/// Tells the driver which offloads (`TUN_F_*`) this program takes care of.
pub(crate) fn set_offload(tun: BorrowedFd<'_>, offload: c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value, as an unsigned long, and no pointer.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(offload)) };
    checked(result)
}

/// Lets `user` attach to the device.
pub(crate) fn set_owner(tun: BorrowedFd<'_>, user: u32) -> io::Result<()> {
    // SAFETY: TUNSETOWNER takes its argument by value, as an unsigned long, and no pointer.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOWNER, libc::c_ulong::from(user)) };
    checked(result)
}

/// Lets the members of `group` attach to the device.
pub(crate) fn set_group(tun: BorrowedFd<'_>, group: u32) -> io::Result<()> {
    // SAFETY: TUNSETGROUP takes its argument by value, as an unsigned long, and no pointer.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETGROUP, libc::c_ulong::from(group)) };
    checked(result)
}

/// Whether the device stays when nobody is attached any more.
pub(crate) fn set_persistent(tun: BorrowedFd<'_>, persistent: bool) -> io::Result<()> {
    // SAFETY: TUNSETPERSIST takes its argument by value, as an unsigned long, and no pointer.
    let result =
        unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETPERSIST, libc::c_ulong::from(persistent)) };
    checked(result)
}

/// The MTU in bytes of the interface with this number, asked through any socket of its network namespace.
pub(crate) fn interface_mtu(socket: BorrowedFd<'_>, index: u32) -> io::Result<u32> {
    let mut request = empty_request();
    request.ifr_ifru.ifru_ifindex = index.cast_signed();
    // SAFETY: SIOCGIFNAME reads the number from and writes the name to a `struct ifreq`, which `request` is.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGIFNAME, &raw mut request) };
    checked(result)?;
    // SAFETY: SIOCGIFMTU reads that name from and writes the MTU to the same structure.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGIFMTU, &raw mut request) };
    checked(result)?;
    // SAFETY: the kernel has written the MTU member of the union.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    u32::try_from(mtu).map_err(io::Error::other)
}

/// The user this process acts as.
pub(crate) fn effective_user() -> u32 {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

fn empty_request() -> libc::ifreq {
    // SAFETY: `struct ifreq` is plain bytes for which all zeros are a valid value.
    unsafe { std::mem::zeroed() }
}

fn checked(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
