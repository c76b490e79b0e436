//! Another peer while packets flow: what follows it, and what is still from the one before.

use super::packet::{datagram, udp, udp_flow};
use super::site::{Site, running};
use crate::endpoints::Endpoints;
use crate::{EncapDrop, TunnelState};

fn change_peer(site: &Site, remote: &str) {
    let remote = remote.parse().unwrap();
    site.context.endpoints.change(|now| Ok::<_, ()>(Endpoints { remote, ..now })).unwrap();
}

fn state(site: &Site) -> TunnelState {
    site.context.clock.state(site.context.endpoints.with_peer_since().0)
}

#[test]
fn the_route_into_the_tunnel_is_recognised_by_the_new_peers_address() {
    let site = Site::alone();
    let to_peer = |host: &str| datagram("192.0.2.1:8000", &format!("{host}:8000"), &udp(0, 100));
    let [ended] = running([&site], async {
        change_peer(&site, "192.0.2.3:8000");
        site.device.hand_over(&[to_peer("192.0.2.3"), to_peer("192.0.2.2")]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), [to_peer("192.0.2.2")]);
    assert_eq!(site.encap_drops(EncapDrop::RoutingLoop), 1);
}

#[test]
fn packets_are_cut_to_the_new_peers_route_without_learning_it_from_an_error() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(10, 1400));
        site.settled().await;
        site.socket.set_path_mtu(Some(1280));
        change_peer(&site, "192.0.2.3:8000");
        site.device.hand_over(&udp_flow(3, 1400));
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sends(), [10, 1, 1, 1]);
    assert!(site.context.errors.occurred().is_empty());
}

#[test]
fn segmentation_that_one_interface_lacks_is_tried_again_with_the_next_peer() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.lose_segmentation();
        site.device.hand_over(&udp_flow(3, 100));
        site.settled().await;
        change_peer(&site, "192.0.2.3:8000");
        site.device.hand_over(&udp_flow(3, 100));
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.context.errors.occurred(), [(libc::EIO, 2)], "once for each peer");
    assert_eq!(site.socket.sends(), [1; 6]);
}

#[test]
fn buffered_datagrams_of_the_old_peer_are_carried_but_do_not_count_as_the_new_ones() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.speak_as("192.0.2.2:8000");
        site.socket.arrive(&[udp(0, 100)]);
        site.settled().await;
        assert_eq!(state(&site), TunnelState::Up);
        change_peer(&site, "192.0.2.3:8000");
        assert_eq!(state(&site), TunnelState::Waiting);
        site.socket.arrive(&udp_flow(5, 100));
        site.settled().await;
        assert_eq!((site.device.taken().len(), state(&site)), (6, TunnelState::Waiting));
        site.socket.speak_as("192.0.2.3:8000");
        site.socket.arrive(&[udp(0, 100)]);
        site.settled().await;
        assert_eq!(state(&site), TunnelState::Up);
    });
    assert!(ended.is_ok());
}
