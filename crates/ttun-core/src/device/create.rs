//! Making a TUN device. It belongs to this process, and vanishes with it however it ends, until it is made to persist.

use std::io;
use std::os::fd::AsFd;

use tun_rs::SyncDevice;

use super::TunDevice;
use super::attach;
use super::plan::{Creation, DevicePlan};
use crate::error::Error;
use crate::options::Offload;
use crate::system;

/// Makes the device called `name`; says whether it was really made, and not by somebody else at the same moment.
pub(super) fn create(name: &str, creation: &Creation, allowed: Offload) -> Result<(SyncDevice, bool), Error> {
    let made = attach::open(name, creation.multi_queue, allowed).map_err(|cause| refused(name, &cause))?;
    let give = |ioctl: fn(_, u32) -> io::Result<()>, to: Option<u32>, whom: &str| match to {
        Some(number) => ioctl(made.as_fd(), number)
            .map_err(|cause| Error::system("ioctl", &cause, &format!("giving {name} to {whom} {number}"))),
        None => Ok(()),
    };
    let flags = system::tun::flags(made.as_fd())
        .map_err(|cause| Error::system("ioctl", &cause, &format!("looking at device {name}")))?;
    if flags & libc::IFF_PERSIST != 0 {
        return Ok((made, false));
    }
    give(system::tun::set_owner, creation.owner, "user id")?;
    give(system::tun::set_group, creation.group, "group id")?;
    Ok((made, true))
}

impl DevicePlan {
    /// Lets a device that was made stay, where that was asked for: the last step of setting it up, and given up with the rest
    /// if the tunnel does not come to [run](TunDevice::settle).
    pub(crate) fn persist(&self, device: &mut TunDevice) -> Result<(), Error> {
        let wanted = self.creation.as_ref().is_some_and(|creation| creation.persist);
        if !wanted || !device.was_made() {
            return Ok(());
        }
        system::tun::set_persistent(device.as_fd(), true)
            .map_err(|cause| Error::system("ioctl", &cause, &format!("letting {} stay", self.name)))?;
        device.provisional = true;
        Ok(())
    }
}

fn refused(name: &str, cause: &io::Error) -> Error {
    let error = match cause.raw_os_error() {
        Some(libc::EPERM) => Error::permission(&format!("make the device {name}")).with_hint(format!(
            "run as root or with CAP_NET_ADMIN, or let root make it once for this user: \
             ip tuntap add dev {name} mode tun user {}",
            system::tun::effective_user()
        )),
        // Somebody else has made it since it was looked up.
        Some(libc::EBUSY) => attach::busy(name),
        _ => return Error::system("ioctl", cause, &format!("making the device {name}")),
    };
    error.caused_by("ioctl", cause)
}
