//! The TUN device: attached by tun-rs, checked by us, read and written packet by packet.

mod attach;
mod create;
mod plan;

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use ttun_packet::{VIRTIO_NET_HEADER_LEN, VirtioNetHeader};
use tun_rs::SyncDevice;

use crate::readiness::Readiness;
use crate::seam::{DeviceRead, PacketDevice};
use crate::stats::OffloadStats;
use crate::system;

pub(crate) use plan::DevicePlan;

/// An attached TUN device. Dropping it detaches.
pub(crate) struct TunDevice {
    inner: SyncDevice,
    index: u32,
    virtio_header: bool,
    offload: OffloadStats,
    made: bool,
    /// It is to stay, but only if the tunnel comes to run.
    provisional: bool,
}

impl TunDevice {
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// What the device really does, after the kernel was asked.
    pub(crate) fn offload(&self) -> OffloadStats {
        self.offload
    }

    /// Whether it was made here. Then it vanishes with this descriptor, unless it was [to stay](DevicePlan::persist).
    pub(crate) fn was_made(&self) -> bool {
        self.made
    }

    /// The tunnel runs: what is to stay stays from now on, whatever ends it.
    pub(crate) fn settle(&mut self) {
        self.provisional = false;
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
        // program that reads it without virtio-net headers would get super-packets it can't make sense of.
        // A device that is gone has nothing to reset.
        let _ = system::tun::set_offload(self.as_fd(), 0);
        if self.provisional {
            let _ = system::tun::set_persistent(self.as_fd(), false);
        }
    }
}

/// The tunnel's thread's way to the device.
pub(crate) struct DeviceHandle(Readiness<TunDevice>);

impl DeviceHandle {
    pub(crate) fn new(device: TunDevice) -> Self {
        Self(Readiness::new(Arc::new(device)))
    }
}

impl PacketDevice for DeviceHandle {
    fn try_recv(&self, packet: &mut [u8]) -> io::Result<DeviceRead> {
        self.0.try_read(|device| {
            if !device.virtio_header {
                let len = device.inner.recv(packet)?;
                return Ok(DeviceRead { virtio: VirtioNetHeader::NONE, len });
            }
            let mut header = [0; VIRTIO_NET_HEADER_LEN];
            let pieces = &mut [IoSliceMut::new(&mut header), IoSliceMut::new(packet)];
            let read = device.inner.recv_vectored(pieces)?;
            let len = read.saturating_sub(VIRTIO_NET_HEADER_LEN);
            Ok(DeviceRead { virtio: VirtioNetHeader::decode(&header), len })
        })
    }

    fn try_send(&self, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        let device = self.0.get();
        // Without virtio-net headers nothing is merged, so the first piece is that header and no more.
        let pieces = if device.virtio_header { pieces } else { pieces.get(1..).unwrap_or(&[]) };
        device.inner.send_vectored(pieces).map(drop)
    }

    async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }
}
