//! The device as the pumps see it: attached, or deleted and awaited.
//!
//! If the tunnel is to wait for a deleted device, the pumps do not notice that it is gone: there is nothing to read, and for
//! packets from the peer the device is down. The pump that waits for packets to read waits for the device, and
//! attaches to it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use ttun_link::Notices;
use ttun_packet::{CoalesceOptions, MAX_TOO_BIG_LEN, TooBig, VirtioNetHeader};

use crate::answer::OwnPackets;
use crate::attach::DevicePlan;
use crate::connection::SharedSocket;
use crate::device::{self, TunDevice};
use crate::error::{Error, ErrorKind};
use crate::history::{Change, ChangeKind};
use crate::interface::Interface;
use crate::io::{DeviceRead, PacketDevice, Readiness};
use crate::pump::is_gone;
use crate::shared::{Context, Trouble};
use crate::upkeep::Upkeep;

/// Which device to attach to, and how to set it up.
pub(crate) struct Attaching {
    pub(crate) plan: DevicePlan,
    pub(crate) interface: Option<Interface>,
    /// Whether to wait for a deleted device to reappear.
    pub(crate) reattach: bool,
    pub(crate) upkeep: Upkeep,
}

impl Attaching {
    /// Attaches to the device and sets it up. When it fails, everything is as before.
    ///
    /// `name` is the last name of the device. `inner_mtu` is the largest packet that fits the route to the peer, before routes are
    /// added.
    pub(crate) fn attach(&self, name: &str, inner_mtu: Option<usize>) -> Result<TunDevice, Error> {
        let device = self.plan.attach(name)?;
        if let Some(interface) = &self.interface {
            interface.set_up(&device, inner_mtu)?;
        }
        self.plan.persist(&device).inspect_err(|_| self.put_back())?;
        Ok(device)
    }

    /// Compares the device with its configuration. Called by the watcher's thread, in the tunnel's network namespace, when the
    /// network may have changed.
    pub(crate) fn review(&self, context: &Context, socket: &SharedSocket) {
        self.upkeep.review(self.interface.as_ref(), context, socket);
    }

    /// Retries what failed in a review. Called once a second by the same thread.
    pub(crate) fn tick(&self, context: &Context, socket: &SharedSocket) {
        self.upkeep.tick(self.interface.as_ref(), context, socket);
    }

    /// Restores settings that the device has lost, on request.
    pub(crate) fn reconcile(&self, context: &Context, socket: &SharedSocket) -> Result<Vec<String>, Error> {
        self.upkeep.reconcile(self.interface.as_ref(), context, socket)
    }

    /// The largest packet that fits the route to the peer is `inner_mtu` now.
    pub(crate) fn follow_route(&self, context: &Context, inner_mtu: Option<usize>) {
        if let Some(interface) = &self.interface {
            self.upkeep.follow_route(interface, context, inner_mtu);
        }
    }

    pub(crate) fn put_back(&self) {
        if let Some(interface) = &self.interface {
            interface.put_back();
        }
    }
}

/// The device of a running tunnel, shared by its two pumps on their one thread. Dropping it restores the interface and detaches.
pub(crate) struct Attachment<'t> {
    attaching: &'t Attaching,
    socket: &'t SharedSocket,
    context: &'t Context,
    device: RefCell<Option<Rc<Readiness<Arc<TunDevice>>>>>,
    since: Cell<Instant>,
    own_packets: OwnPackets,
}

impl<'t> Attachment<'t> {
    /// Registers `device` for the pumps, within their runtime.
    pub(crate) fn new(
        device: TunDevice,
        attaching: &'t Attaching,
        socket: &'t SharedSocket,
        context: &'t Context,
    ) -> Result<Self, Error> {
        let since = Cell::new(Instant::now());
        let attachment = Self {
            attaching,
            socket,
            context,
            device: RefCell::default(),
            since,
            own_packets: OwnPackets::default(),
        };
        attachment.hold(device)?;
        Ok(attachment)
    }

    /// The kinds of packets to coalesce for the device. One that replaces it has the same offloads, which depend on the kernel and the
    /// options.
    pub(crate) fn coalesce(&self) -> CoalesceOptions {
        let (_, offload) = self.context.device_facts.get().unwrap_or_default();
        CoalesceOptions { tcp: offload.tso, udp: offload.uso }
    }

    fn hold(&self, device: TunDevice) -> Result<(), Error> {
        let (index, offload) = (device.index(), device.offload());
        let device = Arc::new(device);
        let readiness = Readiness::new(Arc::clone(&device)).map_err(|cause| {
            self.attaching.put_back();
            Error::system("epoll_ctl", &cause, "waiting for the device")
        })?;
        device.settle();
        self.context.device_facts.attached(index, offload);
        self.attaching.upkeep.attached(&device);
        self.since.set(Instant::now());
        *self.device.borrow_mut() = Some(Rc::new(readiness));
        Ok(())
    }

    /// Runs `call` on the device; if there is none, or it is gone, fails with `absent`.
    fn with_device<R>(
        &self,
        absent: impl Fn() -> io::Error,
        syscall: &'static str,
        call: impl FnOnce(&Readiness<Arc<TunDevice>>) -> io::Result<R>,
    ) -> io::Result<R> {
        let device = self.device.borrow();
        let Some(readiness) = &*device else { return Err(absent()) };
        match call(readiness) {
            Err(error) if self.attaching.reattach && is_gone(&error) => {
                drop(device);
                self.lose(self.context.device_gone(syscall, &error));
                Err(absent())
            }
            done => done,
        }
    }

    fn lose(&self, gone: Error) {
        let hint = if self.attaching.plan.creates() {
            "the tunnel creates it again".to_owned()
        } else {
            format!(
                "create it again, and the tunnel continues: ip tuntap add dev {} mode tun",
                self.attaching.plan.name()
            )
        };
        let lost = Change {
            device: Some(self.context.device_facts.name()),
            ..Change::new(ChangeKind::DeviceLost, gone.message().to_owned())
        };
        self.context.device_facts.gone();
        // Before the change, whose listeners may ask for the problem.
        self.context.problems.set(Trouble::Device, gone.with_hint(hint));
        self.context.history.record(lost);
        self.context.problems.clear(Trouble::Settings);
        self.attaching.put_back();
        *self.device.borrow_mut() = None;
    }

    /// Sends `message` from an address of the device; `None` if that is not possible.
    fn answer_from_own_address(
        &self,
        message: &TooBig<'_>,
        buffer: &mut [u8; MAX_TOO_BIG_LEN],
    ) -> Option<()> {
        let device = self.device.borrow();
        let device = device.as_ref()?.get();
        let packet = message.write(self.own_packets.source(device, message.sender())?, buffer)?;
        self.own_packets.send(packet, message.sender(), device.index()).ok()
    }

    /// Resolves when there is a device again.
    async fn reattached(&self) {
        let gone = self.context.problems.get();
        let mut delay = ReattachDelay::new(self.attaching.plan.creates(), self.since.get());
        loop {
            delay.wait().await;
            // The current one, which is closed only after the pumps have ended.
            let path_mtu =
                self.socket.get().and_then(|socket| socket.fresh_path_mtu(&self.context.endpoints));
            let inner_mtu = self.context.path_mtu(path_mtu).map(|mtu| self.context.inner_mtu(mtu));
            let facts = &self.context.device_facts;
            let attached = self.attaching.attach(&facts.name(), inner_mtu).and_then(|device| {
                let name = device::name(device.as_fd()).unwrap_or_else(|_| facts.name());
                self.hold(device).map(|()| name)
            });
            match attached {
                Ok(name) => {
                    self.context.problems.clear(Trouble::Device);
                    facts.rename(&name);
                    let message = format!("attached to {name} again");
                    self.context.history.record(Change {
                        device: Some(name),
                        ..Change::new(ChangeKind::DeviceBack, message)
                    });
                    // Setting up the device has adapted its MTU.
                    return self.context.problems.clear(Trouble::Mtu);
                }
                Err(error) => {
                    let known = gone.clone().filter(|_| error.kind() == ErrorKind::DeviceNotFound);
                    self.context.problems.set(Trouble::Device, known.unwrap_or(error));
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

impl PacketDevice for Attachment<'_> {
    fn try_recv(&self, packet: &mut [u8]) -> io::Result<DeviceRead> {
        let nothing = || io::ErrorKind::WouldBlock.into();
        self.with_device(nothing, "readv", |readiness| readiness.try_read(|device| device.read(packet)))
    }

    fn try_send(&self, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        // The error of a device that is down.
        let down = || io::Error::from_raw_os_error(libc::EIO);
        self.with_device(down, "writev", |readiness| readiness.get().write(pieces))
    }

    fn try_answer(&self, message: &TooBig<'_>) -> io::Result<()> {
        let mut buffer = [0; MAX_TOO_BIG_LEN];
        if self.answer_from_own_address(message, &mut buffer).is_some() {
            return Ok(());
        }
        // As if a router behind the peer had sent it, or the destination itself (`iptunnel_pmtud_build_icmp` in
        // net/ipv4/ip_tunnel_core.c).
        let packet = message.write(message.destination(), &mut buffer).ok_or(io::ErrorKind::InvalidInput)?;
        self.try_send(&[IoSlice::new(&VirtioNetHeader::NONE.encode()), IoSlice::new(packet)])
    }

    fn mtu(&self) -> Option<usize> {
        let (index, _) = self.context.device_facts.get()?;
        let socket = self.socket.get()?;
        device::interface(socket.as_fd(), index).ok().map(|(_, mtu)| mtu as usize)
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
            // The next write fails as on a device that is down.
            None => Ok(()),
        }
    }
}

/// Least delay between two attempts, regardless of netlink notices.
const LEAST_DELAY: Duration = Duration::from_millis(20);

/// Least delay between creating the device and creating it again.
const LEAST_DELAY_TO_CREATE: Duration = Duration::from_secs(1);

const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The delay before the next attempt to attach: until netlink reports a change of an interface, and without one longer and
/// longer, as not everything that keeps a tunnel from attaching is reported.
struct ReattachDelay {
    least: Duration,
    next: Duration,
    /// `None` where the device is created rather than waited for, which would be reported itself, or where netlink is missing.
    notices: Option<Readiness<Notices>>,
}

impl ReattachDelay {
    /// There is no delay before the first attempt, unless it `creates` the device, which was last done at `since`.
    fn new(creates: bool, since: Instant) -> Self {
        if creates {
            let next = LEAST_DELAY_TO_CREATE.saturating_sub(since.elapsed());
            return Self { least: LEAST_DELAY_TO_CREATE, next, notices: None };
        }
        let notices = Notices::of_links().and_then(Readiness::new).ok();
        Self { least: LEAST_DELAY, next: Duration::ZERO, notices }
    }

    /// Resolves when it is time for an attempt.
    async fn wait(&mut self) {
        let at_least = self.next.min(self.least);
        sleep(at_least).await;
        let rest = self.next.saturating_sub(at_least);
        let reported = match &self.notices {
            Some(notices) if !rest.is_zero() => tokio::select! {
                biased;
                taken = take_all(notices) => taken.map(|()| true),
                () = sleep(rest) => Ok(false),
            },
            _ => {
                sleep(rest).await;
                Ok(false)
            }
        };
        match reported {
            Ok(true) => self.next = self.least,
            Ok(false) => self.next = (self.next * 2).clamp(self.least, LONGEST_DELAY),
            Err(_) => self.notices = None,
        }
    }
}

/// Resolves when there were notices, and takes all of them.
async fn take_all(notices: &Readiness<Notices>) -> io::Result<()> {
    let mut taken = false;
    loop {
        match notices.try_read(Notices::take) {
            Ok(()) => taken = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && taken => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => notices.readable().await?,
            Err(error) => return Err(error),
        }
    }
}
