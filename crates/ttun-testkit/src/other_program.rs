//! Another program at a TUN device: while it is attached, and what it leaves set on a persistent one.

use std::ffi::{c_int, c_uint, c_ulong};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// All that drivers/net/tun.c can offload.
const OFFLOADS: c_uint = libc::TUN_F_CSUM
    | libc::TUN_F_TSO4
    | libc::TUN_F_TSO6
    | libc::TUN_F_TSO_ECN
    | libc::TUN_F_USO4
    | libc::TUN_F_USO6;

/// Attaches to the device `name` with virtio-net headers of `header_len` bytes and all offloads, and goes away.
pub(crate) fn leave_device(name: &str, header_len: c_int) -> io::Result<()> {
    let tun = attach(name, libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR)?;
    // SAFETY: TUNSETVNETHDRSZ reads one int through the pointer.
    checked(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const header_len) })?;
    // SAFETY: TUNSETOFFLOAD takes its argument by value, as an unsigned long, and no pointer.
    checked(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, c_ulong::from(OFFLOADS)) })
}

/// Attaches to the device `name`, with one queue where it has several.
pub(crate) fn hold_device(name: &str) -> io::Result<File> {
    let plain = libc::IFF_TUN | libc::IFF_NO_PI;
    // A device of several queues refuses who does not ask for one of them (`tun_set_iff`).
    attach(name, plain).or_else(|_| attach(name, plain | libc::IFF_MULTI_QUEUE))
}

fn attach(name: &str, flags: c_int) -> io::Result<File> {
    let tun = File::options().read(true).write(true).open("/dev/net/tun")?;
    let request = request(name, flags);
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, which `request` is.
    checked(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw const request) })?;
    Ok(tun)
}

fn request(name: &str, flags: c_int) -> libc::ifreq {
    // SAFETY: `struct ifreq` is plain bytes for which all zeros are a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero: names have at most IFNAMSIZ - 1 bytes.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    request
}

fn checked(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
