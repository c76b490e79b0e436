//! The socket option that decides about fragmentation. It belongs to the socket, not to a send, so it is changed only when two sends
//! in a row differ in it.

use std::ffi::c_int;
use std::io;
use std::net::SocketAddrV6;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::Domain;
use ttun_packet::{MAX_TOO_BIG_LEN, TooBig, Version};

use crate::io::Fragmentation;
use crate::message::{IntOption, raw_socket};

/// The setting of one socket, from which only one thread sends.
pub(crate) struct FragmentationSetting {
    version: Version,
    allowed: AtomicBool,
}

impl FragmentationSetting {
    /// Allows fragmentation for `socket`, of the family `version`.
    ///
    /// The kernel's default for IPv4 is neither one nor the other: single datagrams that fit the route have the DF bit, longer and
    /// segmented ones have none (`__ip_make_skb` in net/ipv4/ip_output.c).
    pub(crate) fn new(socket: BorrowedFd<'_>, version: Version) -> io::Result<Self> {
        apply(socket, version, Fragmentation::Allowed)?;
        Ok(Self { version, allowed: AtomicBool::new(true) })
    }

    /// Makes `wanted` the setting of `socket`.
    pub(crate) fn set(&self, socket: BorrowedFd<'_>, wanted: Fragmentation) -> io::Result<()> {
        let allowed = wanted == Fragmentation::Allowed;
        if self.allowed.load(Ordering::Relaxed) != allowed {
            apply(socket, self.version, wanted)?;
            self.allowed.store(allowed, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Reports to the kernel that the MTU of the path from `local` to `remote` is `mtu` bytes, so that it fragments longer datagrams. For ten
/// minutes it remembers that, as if a router had reported it: nothing else makes it fragment a datagram that fits the route
/// (`__ip6_finish_output` in net/ipv6/ip6_output.c). Not needed over IPv4, where routers fragment.
pub(crate) fn report_path_mtu(local: SocketAddrV6, remote: SocketAddrV6, mtu: usize) -> io::Result<()> {
    const LEN: usize = 48;
    const HEADER: [u8; 8] = [0x60, 0, 0, 0, 0, 8, 17, 64];
    let ports = [local.port(), remote.port()].map(u16::to_be_bytes);
    let mut datagram = [0; LEN];
    datagram[..8].copy_from_slice(&HEADER);
    datagram[8..24].copy_from_slice(&local.ip().octets());
    datagram[24..40].copy_from_slice(&remote.ip().octets());
    datagram[40..44].copy_from_slice(ports.as_flattened());
    let mut buffer = [0; MAX_TOO_BIG_LEN];
    let report = TooBig::new(&[], &datagram, mtu);
    let report = report.as_ref().and_then(|report| report.write((*local.ip()).into(), &mut buffer));
    let to = SocketAddrV6::new(*local.ip(), 0, 0, local.scope_id());
    raw_socket(Domain::IPV6)?.send_to(report.ok_or(io::ErrorKind::InvalidInput)?, &to.into()).map(drop)
}

fn apply(socket: BorrowedFd<'_>, version: Version, wanted: Fragmentation) -> io::Result<()> {
    let (option, value) = setting(version, wanted);
    option.set(socket, value)
}

fn setting(version: Version, wanted: Fragmentation) -> (IntOption, c_int) {
    match (version, wanted) {
        (Version::V4, Fragmentation::Allowed) => (IntOption::IPV4_MTU_DISCOVER, libc::IP_PMTUDISC_DONT),
        (Version::V4, Fragmentation::Never) => (IntOption::IPV4_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
        // The socket then reports that the path MTU has become smaller, other than with IPV6_PMTUDISC_DONT (udpv6_err in
        // net/ipv6/udp.c), and fragments in the same way.
        (Version::V6, Fragmentation::Allowed) => (IntOption::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_WANT),
        (Version::V6, Fragmentation::Never) => (IntOption::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::os::fd::AsFd;

    use super::*;
    use crate::io::Outer;
    use crate::options::{Endpoint, TunnelOptions};
    use crate::socket;

    #[test]
    fn the_option_follows_what_each_send_asks_for() {
        for (version, host) in [(Version::V4, "127.0.0.1"), (Version::V6, "[::1]")] {
            let peer = std::net::UdpSocket::bind(format!("{host}:0")).unwrap();
            let local: std::net::SocketAddr = format!("{host}:0").parse().unwrap();
            let remote = Endpoint::from(peer.local_addr().unwrap());
            let options = TunnelOptions::plain("tun0", local.into(), remote.clone());
            let (socket, _) = socket::open(&options, &remote).unwrap();
            let is = |wanted| {
                let (option, value) = setting(version, wanted);
                option.get(socket.as_fd()).unwrap() == value
            };
            assert!(is(Fragmentation::Allowed));
            for fragmentation in [Fragmentation::Never, Fragmentation::Never, Fragmentation::Allowed] {
                let outer = Outer { fragmentation, ..Outer::default() };
                socket.send(&[IoSlice::new(b"Hello World")], outer).unwrap();
                assert!(is(fragmentation));
            }
        }
    }
}
