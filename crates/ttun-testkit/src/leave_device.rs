//! A persistent TUN device as another program may leave it: what it had set stays with the device.

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
    let tun = File::options().read(true).write(true).open("/dev/net/tun")?;
    let request = request(name);
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, which `request` is.
    checked(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw const request) })?;
    // SAFETY: TUNSETVNETHDRSZ reads one int through the pointer.
    checked(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const header_len) })?;
    // SAFETY: TUNSETOFFLOAD takes its argument by value, as an unsigned long, and no pointer.
    checked(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, c_ulong::from(OFFLOADS)) })
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: `struct ifreq` is plain bytes for which all zeros are a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero: names have at most IFNAMSIZ - 1 bytes.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    request
}

fn checked(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
