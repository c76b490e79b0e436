//! The flow label of IPv6 datagrams (RFC 6437), which stays the same for as long as a socket is open.
//!
//! The kernel chooses a label for each socket, and another one whenever the socket is connected again (`__ip6_datagram_connect` in
//! net/ipv6/datagram.c: `sk_set_txhash`), which a tunnel does to look up its route. Routers that spread load by the label would
//! then move its datagrams to another path, and reorder them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use crate::message::{self, IntOption};

/// The label of a socket's datagrams.
#[derive(Clone, Copy)]
pub(crate) struct FlowLabel(u32);

impl FlowLabel {
    /// No label. IPv4 has none, and without one IPv6 routers use the ports (RFC 6438, section 3).
    pub(crate) const NONE: Self = Self(0);

    /// Chooses the label of `socket`, before it is connected to `remote`: another one for another tunnel, the same after a restart.
    pub(crate) fn choose(socket: BorrowedFd<'_>, local_port: u16, remote: SocketAddr) -> Self {
        // Where the system does without automatic labels (net.ipv6.auto_flowlabels), there is none.
        let SocketAddr::V6(peer) = remote else { return Self::NONE };
        if !IntOption::AUTO_FLOW_LABEL.get(socket).is_ok_and(|automatic| automatic != 0) {
            return Self::NONE;
        }
        let label = of_flow(local_port, remote);
        // Other programs may have reserved labels, and a system may refuse more: then there is none, as that stays the same too.
        let leased = message::lease_flow_label(socket, *peer.ip(), label)
            .and_then(|()| IntOption::SEND_FLOW_LABEL.set(socket, 1));
        if leased.is_ok() {
            return Self(label);
        }
        let _ = IntOption::AUTO_FLOW_LABEL.set(socket, 0);
        Self::NONE
    }

    /// `remote`, as connect(2) takes it to set the label.
    pub(crate) fn to(self, mut remote: SocketAddr) -> SocketAddr {
        if let SocketAddr::V6(remote) = &mut remote {
            // In network order, unlike the scope.
            remote.set_flowinfo(self.0.to_be());
        }
        remote
    }
}

/// 1 to 2^19 - 1: the upper half may be set aside for labels that the kernel chooses (net.ipv6.flowlabel_state_ranges).
fn of_flow(local_port: u16, remote: SocketAddr) -> u32 {
    const LARGEST: u64 = (1 << 19) - 1;
    // Its keys are constants.
    let mut hasher = DefaultHasher::new();
    (local_port, remote.ip(), remote.port()).hash(&mut hasher);
    (hasher.finish() % LARGEST) as u32 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flow_has_a_label_of_its_own_and_always_the_same() {
        let remote = "[2001:db8::2]:8000".parse().unwrap();
        let labels: Vec<_> = (1..100).map(|port| of_flow(port, remote)).collect();
        assert_eq!(labels, (1..100).map(|port| of_flow(port, remote)).collect::<Vec<_>>());
        assert!(labels.iter().all(|label| (1..1 << 19).contains(label)));
        let mut distinct = labels.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), labels.len());
    }
}
