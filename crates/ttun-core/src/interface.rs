//! The device as an interface: applies the configured addresses, routes, MTU and state, applies them again when they are lost, and
//! puts back the previous ones at the end.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use ttun_link::{Changes, IPV6_MIN_MTU, Restored, Settings, Step};

use crate::device::TunDevice;
use crate::error::{Error, ErrorKind};
use crate::lock::lock;
use crate::options::{InterfaceOptions, MtuChoice};

/// The configured settings, and those that are applied.
pub(crate) struct Interface {
    addresses: Vec<(IpAddr, u8)>,
    routes: Vec<(IpAddr, u8)>,
    mtu: MtuChoice,
    up: Option<bool>,
    restore: bool,
    applied: Mutex<Option<Applied>>,
}

/// Settings applied to an interface. Dropping them restores the previous ones, the last change first, unless the device was created
/// here: then it disappears, or stays as it is.
struct Applied {
    settings: Settings,
    changes: Changes,
    /// Whether the device is in another network namespace, where nothing is changed.
    away: bool,
}

/// Which of the settings are applied again when they are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Addresses, routes and the MTU, if the device is up: if it is down, it was brought down on purpose.
    WhileUp,
    /// All of them.
    All,
}

/// MTUs that a tunnel's device may be given, bytes: the least of IPv4 (RFC 791), and the longest packet that fits a datagram, which is
/// an IPv4 total length of 16 bits less the IP and UDP headers.
const MTUS: std::ops::RangeInclusive<u32> = 68..=65_507;

impl Interface {
    pub(crate) fn new(options: &InterfaceOptions) -> Result<Self, Error> {
        let InterfaceOptions { addresses, routes, mtu, up, restore, .. } = options;
        check_prefixes(addresses)?;
        check_prefixes(routes)?;
        if let MtuChoice::Bytes(bytes) = mtu {
            check_mtu(*bytes)?;
        }
        let (addresses, routes) = (addresses.clone(), routes.clone());
        let (mtu, up, restore) = (*mtu, *up, *restore);
        Ok(Self { addresses, routes, mtu, up, restore, applied: Mutex::default() })
    }

    /// Applies the settings to `device`. `inner_mtu` is the largest packet that fits the route to the peer, before
    /// routes are changed.
    pub(crate) fn set_up(&self, device: &TunDevice, inner_mtu: Option<usize>) -> Result<(), Error> {
        let settings = Settings {
            addresses: self.addresses.clone(),
            routes: self.routes.clone(),
            mtu: self.mtu_for(inner_mtu),
            up: self.up.or(device.was_created().then_some(true)),
        };
        let mut changes = ttun_link::configure(device.index(), &settings).map_err(|error| refused(&error))?;
        if device.was_created() {
            changes.keep();
        }
        *self.applied() = Some(Applied { settings, changes, away: false });
        Ok(())
    }

    /// Whether the MTU of the device depends on the route to the peer.
    pub(crate) fn follows_route(&self) -> bool {
        self.mtu == MtuChoice::Auto
    }

    /// Sets an automatic MTU again if the largest packet that fits the route to the peer has changed; returns the new one.
    pub(crate) fn follow_route(&self, inner_mtu: Option<usize>) -> Result<Option<u32>, Error> {
        let mut applied = self.applied();
        let Some(applied) = applied.as_mut().filter(|applied| self.follows_route() && !applied.away) else {
            return Ok(None);
        };
        match self.mtu_for(inner_mtu) {
            Some(mtu) if applied.settings.mtu != Some(mtu) => {
                applied.changes.set_mtu(mtu).map_err(|error| refused(&error))?;
                applied.settings.mtu = Some(mtu);
                Ok(Some(mtu))
            }
            _ => Ok(None),
        }
    }

    /// Whether lost settings are to be applied again without a request.
    pub(crate) fn restores(&self) -> bool {
        self.restore
    }

    /// Applies lost settings again. Returns them, in words, and why others could not be applied.
    pub(crate) fn restore(&self, extent: Extent) -> (Vec<String>, Option<Error>) {
        let applied = self.applied();
        let Some(Applied { settings, changes, away: false }) = &*applied else { return (Vec::new(), None) };
        let restored = match extent {
            Extent::All => changes.restore(settings),
            Extent::WhileUp => changes.restore(&Settings { up: None, ..settings.clone() }),
        };
        match restored {
            Ok(Some(Restored { steps, failed })) => {
                (steps.into_iter().map(Step::setting).collect(), failed.map(|error| refused(&error)))
            }
            // Deleted, or in another network namespace.
            Ok(None) => (Vec::new(), None),
            Err(error) => (Vec::new(), Some(refused(&error))),
        }
    }

    /// Called when the device has this index in the network namespace; `None` if it is in another namespace.
    pub(crate) fn located(&self, index: Option<u32>) {
        if let Some(applied) = &mut *self.applied() {
            applied.away = index.is_none();
            if let Some(index) = index {
                applied.changes.renumber(index);
            }
        }
    }

    /// Undoes the changes; there is nothing to do on a device that is gone.
    pub(crate) fn put_back(&self) {
        if let Some(mut applied) = self.applied().take()
            && applied.away
        {
            applied.changes.keep();
        }
    }

    fn mtu_for(&self, inner_mtu: Option<usize>) -> Option<u32> {
        match self.mtu {
            MtuChoice::Unchanged => None,
            MtuChoice::Bytes(bytes) => Some(bytes),
            MtuChoice::Auto => {
                let fits = u32::try_from(inner_mtu?).ok()?;
                let least = if self.has_ipv6() { IPV6_MIN_MTU } else { *MTUS.start() };
                Some(fits.clamp(least, *MTUS.end()))
            }
        }
    }

    fn has_ipv6(&self) -> bool {
        self.addresses.iter().chain(&self.routes).any(|(ip, _)| ip.is_ipv6())
    }

    fn applied(&self) -> MutexGuard<'_, Option<Applied>> {
        lock(&self.applied)
    }
}

fn refused(error: &ttun_link::Error) -> Error {
    let refused = match error.cause().raw_os_error() {
        Some(libc::EPERM) => Error::permission(&format!("set up {}: {error}", error.interface())),
        errno => {
            let refused = Error::new(ErrorKind::System, error.to_string());
            match remedy(error, errno) {
                Some(hint) => refused.with_hint(hint),
                None => refused,
            }
        }
    };
    refused.caused_by("sendmsg", error.cause())
}

/// The remedy for a step that the kernel refuses because of the state of the system.
fn remedy(error: &ttun_link::Error, errno: Option<i32>) -> Option<String> {
    let device = error.interface();
    let family = |ip: IpAddr| if ip.is_ipv4() { "-4" } else { "-6" };
    match (error.step(), errno?) {
        // `addrconf_add_dev` in net/ipv6/addrconf.c.
        (Step::Address(..) | Step::Route(..), libc::EACCES) => {
            Some(format!("sysctl -w net.ipv6.conf.{device}.disable_ipv6=0"))
        }
        (Step::Address(ip, _), libc::EEXIST) => Some(format!(
            "use that prefix length, or remove the address; check: ip {} address show dev {device}",
            family(ip)
        )),
        (Step::Route(..), libc::ENETDOWN) => {
            Some(format!("bring it up with up = true, or with: ip link set {device} up"))
        }
        (Step::Route(ip, len), libc::EEXIST) => Some(format!(
            "omit the network, or remove the other route; check: ip {} route show {ip}/{len}",
            family(ip)
        )),
        _ => None,
    }
}

fn check_prefixes(prefixes: &[(IpAddr, u8)]) -> Result<(), Error> {
    let impossible = prefixes.iter().find(|(ip, len)| *len > if ip.is_ipv4() { 32 } else { 128 });
    impossible.map_or(Ok(()), |(ip, len)| {
        Err(Error::new(ErrorKind::InvalidOptions, format!("the prefix of {ip}/{len} is too long"))
            .with_hint("a prefix has up to 32 bits in IPv4 and 128 in IPv6"))
    })
}

fn check_mtu(bytes: u32) -> Result<(), Error> {
    if MTUS.contains(&bytes) {
        return Ok(());
    }
    let message = format!("{bytes} bytes is not a valid MTU for a device");
    Err(Error::new(ErrorKind::InvalidOptions, message).with_hint(format!(
        "choose {} to {} bytes, or auto",
        MTUS.start(),
        MTUS.end()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn automatic(addresses: &[&str], routes: &[&str]) -> Interface {
        let parsed = |networks: &[&str]| networks.iter().map(|ip| (ip.parse().unwrap(), 24)).collect();
        let options = InterfaceOptions {
            addresses: parsed(addresses),
            routes: parsed(routes),
            mtu: MtuChoice::Auto,
            ..InterfaceOptions::default()
        };
        Interface::new(&options).unwrap()
    }

    #[test]
    fn the_automatic_mtu_is_what_fits_the_route() {
        assert_eq!(automatic(&["10.0.2.1"], &[]).mtu_for(Some(1472)), Some(1472));
        assert_eq!(automatic(&[], &[]).mtu_for(Some(572)), Some(572));
    }

    #[test]
    fn with_ipv6_in_the_tunnel_it_is_at_least_1280() {
        assert_eq!(automatic(&["fd00::1"], &[]).mtu_for(Some(1272)), Some(1280));
        assert_eq!(automatic(&["10.0.2.1"], &["fd00::"]).mtu_for(Some(1232)), Some(1280));
        assert_eq!(automatic(&["fd00::1"], &[]).mtu_for(Some(1352)), Some(1352));
    }

    #[test]
    fn it_stays_within_the_limits_of_a_device() {
        assert_eq!(automatic(&[], &[]).mtu_for(Some(65_508)), Some(65_507));
        assert_eq!(automatic(&[], &[]).mtu_for(Some(100_000)), Some(65_507));
        assert_eq!(automatic(&[], &[]).mtu_for(Some(20)), Some(68));
        assert_eq!(automatic(&[], &[]).mtu_for(None), None, "without a route it stays as it is");
    }

    #[test]
    fn invalid_settings_are_refused() {
        let refused = |options| Interface::new(&options).err().map(|error| error.kind());
        let impossible = || vec![("10.0.2.1".parse().unwrap(), 33)];
        for options in [
            InterfaceOptions { addresses: impossible(), ..InterfaceOptions::default() },
            InterfaceOptions { routes: impossible(), ..InterfaceOptions::default() },
            InterfaceOptions { mtu: MtuChoice::Bytes(67), ..InterfaceOptions::default() },
            InterfaceOptions { mtu: MtuChoice::Bytes(65_508), ..InterfaceOptions::default() },
        ] {
            assert_eq!(refused(options), Some(ErrorKind::InvalidOptions));
        }
    }
}
