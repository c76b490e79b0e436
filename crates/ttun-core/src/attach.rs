//! Attaching to a TUN device, or creating it, and the errors that say why that is not possible.
//!
//! Of an existing device only the length of its queue is changed, for as long as it is attached. A device created here belongs to this process, and disappears with it, however it
//! ends, unless it is made persistent.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use ttun_link::{Holder, Link, LinkKind};
use ttun_packet::VIRTIO_NET_HEADER_LEN;
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::device::{self, TunDevice};
use crate::device_queue;
use crate::error::{Error, ErrorKind, is_exhausted};
use crate::options::{InterfaceOptions, Offload, TunnelOptions};
use crate::stats::OffloadStats;

/// Which device to attach to, and how to create it if it does not exist; the options are checked as far as possible without it.
pub(crate) struct DevicePlan {
    name: String,
    offload: Offload,
    /// `None` where a missing device is an error.
    creation: Option<Creation>,
    /// Whether the device gets a [longer queue](crate::device_queue).
    lengthens_queue: bool,
}

/// Properties of a device that is created.
struct Creation {
    owner: Option<u32>,
    group: Option<u32>,
    multi_queue: bool,
    persist: bool,
}

/// Longest name of an interface, bytes (IFNAMSIZ without the closing zero).
const MAX_NAME_LEN: usize = libc::IFNAMSIZ - 1;

impl DevicePlan {
    pub(crate) fn new(options: &TunnelOptions) -> Result<Self, Error> {
        check_name(&options.device)?;
        let wanted = options.interface.as_ref().filter(|interface| interface.create);
        let creation = wanted.map(|&InterfaceOptions { owner, group, multi_queue, persist, .. }| Creation {
            owner,
            group,
            multi_queue,
            persist,
        });
        Ok(Self {
            name: options.device.clone(),
            offload: options.offload,
            creation,
            // Without the tunnel's own queue, what waits for the network waits there.
            lengthens_queue: options.queue.fair,
        })
    }

    /// Whether a missing device is created.
    pub(crate) fn creates(&self) -> bool {
        self.creation.is_some()
    }

    /// Checks that there is a device to attach to, without changing it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_driver()?;
        match find_tun(&self.name)? {
            None if self.creation.is_none() => Err(not_found(&self.name)),
            _ => Ok(()),
        }
    }

    /// The configured name of the device.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Attaches to the device, or creates it, using the offloads that the kernel supports. The device may have been renamed: if there
    /// is one with the last known name, that one is used.
    pub(crate) fn attach(&self, last_name: &str) -> Result<TunDevice, Error> {
        check_driver()?;
        let renamed = if last_name == self.name { None } else { find_tun(last_name).ok().flatten() };
        let (name, found) = match renamed {
            Some(link) => (last_name, Some(link)),
            None => (&*self.name, find_tun(&self.name)?),
        };
        let may_be_shared = found.as_ref().is_some_and(|link| link.multi_queue);
        let (inner, created) = match (found, &self.creation) {
            (Some(link), _) => (attach_to(name, &link, self.offload)?, false),
            (None, Some(creation)) => create(name, creation, self.offload)?,
            (None, None) => return Err(not_found(name)),
        };
        let index = index_of(name, &inner)?;
        let virtio_header = self.offload.virtio_header;
        if virtio_header {
            settle_framing(&inner)
                .map_err(|cause| Error::system("ioctl", &cause, "setting up packet headers"))?;
        }
        let offload = if virtio_header { negotiate(&inner, self.offload) } else { OffloadStats::default() };
        inner
            .set_nonblocking(true)
            .map_err(|cause| Error::system("fcntl", &cause, "making the device non-blocking"))?;
        // The queues of a device that has several may belong to several programs.
        let lengthened = self.lengthens_queue && !may_be_shared && device_queue::lengthen(&inner);
        // A created device disappears, or stays as it is.
        let restores_queue = lengthened && !created;
        Ok(TunDevice::new(inner, index, virtio_header, offload, created, restores_queue))
    }

    /// Makes a created device persistent if requested: the last step of setting it up, undone with the rest
    /// unless the tunnel starts to [run](TunDevice::settle).
    pub(crate) fn persist(&self, device: &TunDevice) -> Result<(), Error> {
        let wanted = self.creation.as_ref().is_some_and(|creation| creation.persist);
        if !wanted || !device.was_created() {
            return Ok(());
        }
        device
            .persist()
            .map_err(|cause| Error::system("ioctl", &cause, &format!("making {} persistent", self.name)))
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=MAX_NAME_LEN).contains(&name.len());
    // The kernel replaces %d in a name by a number (`dev_alloc_name`).
    if fits && !name.contains(['/', '\0', ':', '%']) && !name.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidOptions,
        format!("\"{}\" is not a valid device name", name.escape_debug()),
    )
    .with_hint(format!(
        "use 1 to {MAX_NAME_LEN} bytes without spaces, slashes, colons or percent signs, for example tun0"
    )))
}

/// tun-rs, run as root, creates a missing `/dev/net/tun`; this program leaves the system as it is.
fn check_driver() -> Result<(), Error> {
    const PATH: &str = "/dev/net/tun";
    let Err(cause) = File::options().read(true).write(true).open(PATH) else { return Ok(()) };
    let error = match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::TunPermission, format!("this user may not open {PATH}")).with_hint(format!(
                "run as root, or let all users open it, as most systems do: chmod 0666 {PATH}"
            ))
        }
        io::ErrorKind::NotFound => Error::new(ErrorKind::TunMissing, format!("this system has no {PATH}"))
            .with_hint("load the driver: modprobe tun (in a container: start it with --device /dev/net/tun)"),
        _ if is_exhausted(&cause) => return Err(Error::system("open", &cause, &format!("opening {PATH}"))),
        // ENODEV, ENXIO: the node exists, but the driver is not loaded.
        _ => Error::new(ErrorKind::TunMissing, format!("cannot open {PATH}: {cause}"))
            .with_hint("load the driver: modprobe tun"),
    };
    Err(error.caused_by("open", &cause))
}

/// A device of the TUN driver, as it was found.
struct TunLink {
    index: u32,
    multi_queue: bool,
    owner: Option<u32>,
    group: Option<u32>,
}

/// Attaching to a device that does not exist, as root, would silently create it, so it is looked up first.
fn find_tun(name: &str) -> Result<Option<TunLink>, Error> {
    let found = ttun_link::find(name)
        .map_err(|cause| Error::system("recvmsg", &cause, &format!("looking up device {name}")))?;
    match found {
        None => Ok(None),
        Some(Link { index, kind: LinkKind::Tun { multi_queue, owner, group } }) => {
            Ok(Some(TunLink { index, multi_queue, owner, group }))
        }
        Some(Link { kind: LinkKind::Tap, .. }) => Err(Error::new(
            ErrorKind::DeviceIsTap,
            format!("{name} is a TAP device: it carries Ethernet frames, not IP packets"),
        )
        .with_hint(format!("replace it: ip tuntap del dev {name} mode tap && {}", creation(name)))),
        Some(Link { kind: LinkKind::Other, .. }) => {
            Err(Error::new(ErrorKind::DeviceNotTun, format!("{name} is not a TUN device"))
                .with_hint("choose another name; ip tuntap lists the TUN devices"))
        }
    }
}

fn attach_to(name: &str, link: &TunLink, allowed: Offload) -> Result<SyncDevice, Error> {
    let inner = open(name, link.multi_queue, allowed).map_err(|cause| attach_refused(name, link, &cause))?;
    // The device may have disappeared since it was looked up; then attaching has created another one, which disappears with the
    // descriptor.
    if index_of(name, &inner)? == link.index { Ok(inner) } else { Err(not_found(name)) }
}

/// Without if_nametoindex(3), which reports ENOENT when there is no descriptor left for its socket.
fn index_of(name: &str, attached: &SyncDevice) -> Result<u32, Error> {
    let failed = |syscall| {
        move |cause: io::Error| Error::system(syscall, &cause, &format!("looking up device {name}"))
    };
    let name_now = attached.name().map_err(failed("ioctl"))?;
    let link = ttun_link::find(&name_now).map_err(failed("recvmsg"))?;
    link.map(|link| link.index).ok_or_else(|| not_found(name))
}

/// Creates the device; the second value is `false` if another program has done so at the same moment.
fn create(name: &str, creation: &Creation, allowed: Offload) -> Result<(SyncDevice, bool), Error> {
    let created =
        open(name, creation.multi_queue, allowed).map_err(|cause| creation_refused(name, &cause))?;
    let give = |ioctl: fn(_, u32) -> io::Result<()>, to: Option<u32>, whom: &str| match to {
        Some(number) => ioctl(created.as_fd(), number)
            .map_err(|cause| Error::system("ioctl", &cause, &format!("assigning {name} to {whom} {number}"))),
        None => Ok(()),
    };
    let flags = device::flags(created.as_fd())
        .map_err(|cause| Error::system("ioctl", &cause, &format!("inspecting device {name}")))?;
    if flags & libc::IFF_PERSIST != 0 {
        return Ok((created, false));
    }
    give(device::set_owner, creation.owner, "user id")?;
    give(device::set_group, creation.group, "group id")?;
    Ok((created, true))
}

/// Attaches without changing whether the device is up.
fn open(name: &str, multi_queue: bool, allowed: Offload) -> io::Result<SyncDevice> {
    DeviceBuilder::new()
        .name(name)
        .inherit_enable_state()
        .offload(allowed.virtio_header)
        .multi_queue(multi_queue)
        .build_sync()
}

/// The presence and size of the header belong to the device: another program may have left other settings.
fn settle_framing(tun: &SyncDevice) -> io::Result<()> {
    let wanted = libc::c_int::from(VIRTIO_NET_HEADER_LEN as u8);
    if device::flags(tun.as_fd())? & libc::IFF_VNET_HDR == 0 {
        return Err(io::Error::other("the kernel did not accept IFF_VNET_HDR"));
    }
    if device::virtio_header_len(tun.as_fd())? != wanted {
        device::set_virtio_header_len(tun.as_fd(), wanted)?;
    }
    Ok(())
}

/// Requests the allowed offloads and, if the kernel refuses, fewer, step by step: USO needs kernel 6.2.
fn negotiate(tun: &SyncDevice, allowed: Offload) -> OffloadStats {
    let most = OffloadStats {
        checksum: allowed.checksum,
        tso: allowed.checksum && allowed.tso,
        uso: allowed.checksum && allowed.uso,
    };
    let steps = [most, OffloadStats { uso: false, ..most }, OffloadStats { uso: false, tso: false, ..most }];
    let granted = |step: &OffloadStats| device::set_offload(tun.as_fd(), mask(*step)).is_ok();
    steps.into_iter().find(granted).unwrap_or_default()
}

fn mask(offload: OffloadStats) -> libc::c_uint {
    let part = |on: bool, bits| if on { bits } else { 0 };
    part(offload.checksum, libc::TUN_F_CSUM)
        | part(offload.tso, libc::TUN_F_TSO4 | libc::TUN_F_TSO6)
        | part(offload.uso, libc::TUN_F_USO4 | libc::TUN_F_USO6)
}

fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::DeviceNotFound, format!("there is no device {name}"))
        .with_hint(format!("create it: {}", creation(name)))
}

/// The command line that creates the device.
fn creation(name: &str) -> String {
    format!("ip tuntap add dev {name} mode tun")
}

fn attach_refused(name: &str, link: &TunLink, cause: &io::Error) -> Error {
    let error = match cause.raw_os_error() {
        Some(libc::EBUSY) => busy(name),
        Some(libc::EPERM) => not_owner(name, link),
        _ => return Error::system("ioctl", cause, &format!("attaching to {name}")),
    };
    error.caused_by("ioctl", cause)
}

fn creation_refused(name: &str, cause: &io::Error) -> Error {
    let error = match cause.raw_os_error() {
        Some(libc::EPERM) => Error::permission(&format!("create the device {name}")).with_hint(format!(
            "run as root or with CAP_NET_ADMIN, or let root create it once for this user: \
             ip tuntap add dev {name} mode tun user {}",
            device::effective_user()
        )),
        // Another program has created it since it was looked up.
        Some(libc::EBUSY) => busy(name),
        _ => return Error::system("ioctl", cause, &format!("creating the device {name}")),
    };
    error.caused_by("ioctl", cause)
}

fn busy(name: &str) -> Error {
    let (message, hint) = match ttun_link::holder_of(name) {
        Some(holder) if holder.is_this_process() => (
            format!("this process is already attached to {name}"),
            "another tunnel of this process uses it: close that one, or choose another device".to_owned(),
        ),
        holder => (
            format!("another process is attached to {name}"),
            match holder {
                Some(Holder { pid, program }) => {
                    format!("it is process {pid} ({program}): end it, or choose another device")
                }
                // Another device of this name may be open in another network namespace.
                None => format!(
                    "find it, as root: for f in $(grep -ls 'iff:.{name}$' /proc/[0-9]*/fdinfo/*); \
                     do [ ${{f%/fdinfo*}}/ns/net -ef /proc/self/ns/net ] && echo $f; done"
                ),
            },
        ),
    };
    Error::new(ErrorKind::DeviceBusy, message).with_hint(hint)
}

/// Without `CAP_NET_ADMIN` only the owner, or a member of the group, may attach (`tun_not_capable`).
fn not_owner(name: &str, link: &TunLink) -> Error {
    let user = device::effective_user();
    let whose = match (link.owner, link.group) {
        (Some(owner), _) => format!("user id {owner}"),
        (None, Some(group)) => format!("group id {group}"),
        (None, None) => "root".to_owned(),
    };
    Error::new(
        ErrorKind::DeviceNotOwner,
        format!("{name} belongs to {whose}, but this process runs as user id {user}"),
    )
    .with_hint(format!(
        "run as its owner or as root, or recreate it for this user: ip tuntap del dev {name} mode tun && \
         ip tuntap add dev {name} mode tun user {user}"
    ))
}
