//! The device as the pumps have it: attached to, or awaited.
//!
//! The pumps read and write what is there and never hear of a deleted device where the tunnel is to wait for it: to them it is one
//! that has nothing to read, and that is down for what comes from the peer. While the pump that reads waits for something to
//! read, it waits for the device, and attaches to it.

mod patience;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ttun_packet::CoalesceOptions;

use crate::backoff::is_gone;
use crate::device::{DeviceHandle, DevicePlan, TunDevice};
use crate::error::{Error, ErrorKind};
use crate::interface::Interface;
use crate::pumps::Context;
use crate::seam::{DeviceRead, PacketDevice};
use crate::socket::PeerSocket;
use crate::stats::OffloadStats;

use patience::Patience;

/// What device is to be attached to, and what is to be set up of it.
pub(crate) struct Attaching {
    pub(crate) plan: DevicePlan,
    pub(crate) interface: Option<Interface>,
    /// Whether to wait for a deleted device to come back.
    pub(crate) reattach: bool,
}

impl Attaching {
    /// Attaches to the device and sets it up. Nothing of that is left when it fails.
    pub(crate) fn attach(&self, socket: &PeerSocket) -> Result<TunDevice, Error> {
        // The route to the peer, before there are others.
        let path_mtu = socket.path_mtu();
        let mut device = self.plan.attach()?;
        if let Some(interface) = &self.interface {
            interface.set_up(&device, path_mtu)?;
        }
        self.plan.persist(&mut device).inspect_err(|_| self.put_back())?;
        Ok(device)
    }

    fn put_back(&self) {
        if let Some(interface) = &self.interface {
            interface.put_back();
        }
    }
}

/// What is told of the device; another may take its place.
#[derive(Default)]
pub(crate) struct DeviceFacts(AtomicU64);

impl DeviceFacts {
    const ATTACHED: u64 = 1 << 32;
    const CHECKSUM: u64 = 1 << 33;
    const TSO: u64 = 1 << 34;
    const USO: u64 = 1 << 35;

    pub(crate) fn of(device: &TunDevice) -> Self {
        let facts = Self::default();
        facts.attached(device);
        facts
    }

    /// Index and offloads; `None` while there is no device.
    pub(crate) fn get(&self) -> Option<(u32, OffloadStats)> {
        let word = self.0.load(Ordering::Relaxed);
        let has = |bit| word & bit != 0;
        let offload =
            OffloadStats { checksum: has(Self::CHECKSUM), tso: has(Self::TSO), uso: has(Self::USO) };
        has(Self::ATTACHED).then_some((word as u32, offload))
    }

    fn attached(&self, device: &TunDevice) {
        let offload = device.offload();
        let bit = |on, bit| if on { bit } else { 0 };
        let word = u64::from(device.index())
            | Self::ATTACHED
            | bit(offload.checksum, Self::CHECKSUM)
            | bit(offload.tso, Self::TSO)
            | bit(offload.uso, Self::USO);
        self.0.store(word, Ordering::Relaxed);
    }

    fn gone(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The device of a running tunnel, shared by its two pumps on their one thread. Dropping it puts the interface back and detaches.
pub(crate) struct Attachment<'t> {
    attaching: &'t Attaching,
    socket: &'t PeerSocket,
    context: &'t Context,
    device: RefCell<Option<Rc<DeviceHandle>>>,
    since: Cell<Instant>,
}

impl<'t> Attachment<'t> {
    pub(crate) fn new(
        mut device: TunDevice,
        attaching: &'t Attaching,
        socket: &'t PeerSocket,
        context: &'t Context,
    ) -> Self {
        device.settle();
        let device = RefCell::new(Some(Rc::new(DeviceHandle::new(device))));
        Self { attaching, socket, context, device, since: Cell::new(Instant::now()) }
    }

    /// What the device takes joined. A device that takes its place takes the same, as that is up to the kernel and to the options.
    pub(crate) fn coalesce(&self) -> CoalesceOptions {
        let offload =
            self.context.device_facts.get().map_or_else(OffloadStats::default, |(_, offload)| offload);
        CoalesceOptions { tcp: offload.tso, udp: offload.uso }
    }

    /// Runs `call` on the device; in its place answers `absent` where there is none, or none any more.
    fn with_device<R>(
        &self,
        absent: impl Fn() -> io::Error,
        syscall: &'static str,
        call: impl FnOnce(&DeviceHandle) -> io::Result<R>,
    ) -> io::Result<R> {
        let device = self.device.borrow();
        let Some(handle) = &*device else { return Err(absent()) };
        match call(handle) {
            Err(error) if self.attaching.reattach && is_gone(&error) => {
                drop(device);
                self.lose(self.context.device_gone(syscall, &error));
                Err(absent())
            }
            done => done,
        }
    }

    fn lose(&self, gone: Error) {
        let what_next = if self.attaching.plan.creates() {
            "the tunnel makes it again".to_owned()
        } else {
            format!(
                "make it again, and the tunnel goes on: ip tuntap add dev {} mode tun",
                self.context.device
            )
        };
        self.context.device_facts.gone();
        self.context.problem.set(gone.with_hint(what_next));
        self.attaching.put_back();
        *self.device.borrow_mut() = None;
    }

    /// Resolves when there is a device again.
    async fn reattached(&self) {
        let gone = self.context.problem.get();
        let mut patience = Patience::new(self.attaching.plan.creates(), self.since.get());
        loop {
            patience.wait().await;
            match self.attaching.attach(self.socket) {
                Ok(mut device) => {
                    device.settle();
                    self.context.device_facts.attached(&device);
                    self.context.problem.clear();
                    self.since.set(Instant::now());
                    *self.device.borrow_mut() = Some(Rc::new(DeviceHandle::new(device)));
                    return;
                }
                Err(error) => {
                    let known = gone.clone().filter(|_| error.kind() == ErrorKind::DeviceNotFound);
                    self.context.problem.set(known.unwrap_or(error));
                }
            }
        }
    }
}

impl Drop for Attachment<'_> {
    fn drop(&mut self) {
        self.attaching.put_back();
    }
}

impl PacketDevice for &Attachment<'_> {
    fn try_recv(&self, packet: &mut [u8]) -> io::Result<DeviceRead> {
        let nothing = || io::ErrorKind::WouldBlock.into();
        self.with_device(nothing, "readv", |device| device.try_recv(packet))
    }

    fn try_send(&self, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        // As a device that is down answers.
        let down = || io::Error::from_raw_os_error(libc::EIO);
        self.with_device(down, "writev", |device| device.try_send(pieces))
    }

    async fn readable(&self) -> io::Result<()> {
        let device = self.device.borrow().clone();
        if let Some(device) = device {
            return device.readable().await;
        }
        self.reattached().await;
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        let device = self.device.borrow().clone();
        match device {
            Some(device) => device.writable().await,
            // The next write says that there is none.
            None => Ok(()),
        }
    }
}
