//! The TUN device: attached by tun-rs, checked here, read and written packet by packet; and the ioctls of its driver that
//! tun-rs does not have (drivers/net/tun.c).

use std::ffi::{c_int, c_uint};
use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

use ttun_packet::{VIRTIO_NET_HEADER_LEN, VirtioNetHeader};
use tun_rs::SyncDevice;

use crate::device_queue;
use crate::io::DeviceRead;
use crate::stats::OffloadStats;

/// An attached TUN device. Dropping it detaches.
pub(crate) struct TunDevice {
    inner: SyncDevice,
    index: u32,
    virtio_header: bool,
    offload: OffloadStats,
    created: bool,
    /// It was made persistent, to be undone unless the tunnel starts to run.
    provisional: AtomicBool,
    /// Whether its queue was lengthened, to be undone.
    restores_queue: bool,
}

impl TunDevice {
    /// `created`: whether it was created for this tunnel. `restores_queue`: whether its queue was [lengthened](device_queue::lengthen),
    /// which is undone when this descriptor is closed.
    pub(crate) fn new(
        inner: SyncDevice,
        index: u32,
        virtio_header: bool,
        offload: OffloadStats,
        created: bool,
        restores_queue: bool,
    ) -> Self {
        Self {
            inner,
            index,
            virtio_header,
            offload,
            created,
            provisional: AtomicBool::new(false),
            restores_queue,
        }
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The offloads that the kernel granted.
    pub(crate) fn offload(&self) -> OffloadStats {
        self.offload
    }

    /// Whether it was created for this tunnel. Then it disappears with this descriptor, unless it is [persistent](Self::persist).
    pub(crate) fn was_created(&self) -> bool {
        self.created
    }

    /// Keeps the device beyond this descriptor, from the moment that the tunnel [runs](Self::settle).
    pub(crate) fn persist(&self) -> io::Result<()> {
        set_persistent(self.as_fd(), true)?;
        self.provisional.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The tunnel runs: a persistent device stays from now on, however the tunnel ends.
    pub(crate) fn settle(&self) {
        self.provisional.store(false, Ordering::Relaxed);
    }

    /// Reads one packet or super-packet into `packet`.
    pub(crate) fn read(&self, packet: &mut [u8]) -> io::Result<DeviceRead> {
        if !self.virtio_header {
            let len = self.inner.recv(packet)?;
            return Ok(DeviceRead { virtio: VirtioNetHeader::NONE, len });
        }
        let mut header = [0; VIRTIO_NET_HEADER_LEN];
        let pieces = &mut [IoSliceMut::new(&mut header), IoSliceMut::new(packet)];
        let read = self.inner.recv_vectored(pieces)?;
        let len = read.saturating_sub(VIRTIO_NET_HEADER_LEN);
        Ok(DeviceRead { virtio: VirtioNetHeader::decode(&header), len })
    }

    /// Writes one packet or super-packet, of which the first piece begins with a virtio-net header.
    pub(crate) fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        // On a device without such headers nothing is merged, so the first piece is that header and no more.
        let pieces = match pieces {
            [_, packet @ ..] if !self.virtio_header => packet,
            pieces => pieces,
        };
        self.inner.send_vectored(pieces).map(drop)
    }
}

impl AsRawFd for TunDevice {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl AsFd for TunDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl Drop for TunDevice {
    fn drop(&mut self) {
        // The offload mask belongs to the device and outlives the descriptor on a persistent one: the next
        // program that reads it without virtio-net headers would get super-packets that it does not understand.
        // A device that is gone has nothing to reset.
        let _ = set_offload(self.as_fd(), 0);
        if self.provisional.load(Ordering::Relaxed) {
            let _ = set_persistent(self.as_fd(), false);
        }
        if self.restores_queue && name_here(self).is_some() {
            device_queue::restore(&self.inner);
        }
    }
}

// With musl, requests have a different type from that of these two constants.
const SIOCGIFNAME: libc::Ioctl = libc::SIOCGIFNAME as libc::Ioctl;
const SIOCGIFMTU: libc::Ioctl = libc::SIOCGIFMTU as libc::Ioctl;

/// The actual `IFF_*` flags of the attached device.
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

/// The current name of the attached device, in whichever network namespace it is. `EBADFD` if it was deleted.
pub(crate) fn name(tun: BorrowedFd<'_>) -> io::Result<String> {
    let mut request = empty_request();
    // SAFETY: TUNGETIFF fills in a `struct ifreq`, which `request` is; the descriptor is open for the call.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNGETIFF, &raw mut request) };
    checked(result)?;
    Ok(name_in(&request))
}

/// The current name of `device` if it is in this thread's network namespace.
pub(crate) fn name_here(device: &TunDevice) -> Option<String> {
    let here = fs::metadata("/proc/thread-self/ns/net").ok()?;
    let is_here = namespace(device.as_fd()).ok()? == (here.dev(), here.ino());
    is_here.then(|| name(device.as_fd()).ok()).flatten()
}

/// Device and inode of the network namespace of the attached device (kernel 5.2; needs `CAP_NET_ADMIN` in it).
fn namespace(tun: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    // SAFETY: TUNGETDEVNETNS takes no argument; the descriptor is open for the call.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNGETDEVNETNS) };
    checked(result)?;
    // SAFETY: the kernel has returned a new descriptor, which nothing else knows of.
    let namespace = File::from(unsafe { OwnedFd::from_raw_fd(result) });
    let metadata = namespace.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Size in bytes of the virtio-net header before each packet.
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

/// Sets the offloads (`TUN_F_*`) that this program handles.
pub(crate) fn set_offload(tun: BorrowedFd<'_>, offload: c_uint) -> io::Result<()> {
    set_value(tun, libc::TUNSETOFFLOAD, offload)
}

/// Lets `user` attach to the device.
pub(crate) fn set_owner(tun: BorrowedFd<'_>, user: u32) -> io::Result<()> {
    set_value(tun, libc::TUNSETOWNER, user)
}

/// Lets the members of `group` attach to the device.
pub(crate) fn set_group(tun: BorrowedFd<'_>, group: u32) -> io::Result<()> {
    set_value(tun, libc::TUNSETGROUP, group)
}

/// Whether the device remains when no program is attached.
fn set_persistent(tun: BorrowedFd<'_>, persistent: bool) -> io::Result<()> {
    set_value(tun, libc::TUNSETPERSIST, u32::from(persistent))
}

fn set_value(tun: BorrowedFd<'_>, request: libc::Ioctl, value: u32) -> io::Result<()> {
    // SAFETY: the requests above take their argument by value, as an unsigned long, and no pointer.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), request, libc::c_ulong::from(value)) };
    checked(result)
}

/// Name, and MTU in bytes, of the interface with this number, queried through any socket of its network namespace.
pub(crate) fn interface(socket: BorrowedFd<'_>, index: u32) -> io::Result<(String, u32)> {
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
    Ok((name_in(&request), u32::try_from(mtu).map_err(io::Error::other)?))
}

fn name_in(request: &libc::ifreq) -> String {
    let bytes = request.ifr_name.iter().map(|byte| byte.to_ne_bytes()[0]).take_while(|byte| *byte != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

/// The effective user ID of this process.
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
