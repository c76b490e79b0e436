//! Invalid datagrams and packets between good ones, which must still arrive.

use ttun_packet::{SourceFilter, VirtioNetHeader};

use super::packet::{datagram, udp, udp_flow, udp_from, udp_super_packet};
use super::site::{Site, running};
use crate::{DecapDrop, EncapDrop};

/// Receives `datagrams` from the peer; returns what the device got.
fn delivered(site: &Site, datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let [ended] = running([site], async {
        site.socket.arrive(datagrams);
        site.settled().await;
    });
    assert!(ended.is_ok());
    site.device.taken()
}

/// Passes `packets` to the tunnel; returns what was sent.
fn sent(site: &Site, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let [ended] = running([site], async {
        site.device.hand_over(packets);
        site.settled().await;
    });
    assert!(ended.is_ok());
    site.socket.sent()
}

/// 100 bytes that are no packet, in many ways.
fn malformed() -> Vec<Vec<u8>> {
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = udp(0, 100);
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    let other_versions = (0..16).filter(|version| ![4, 6].contains(version));
    let lies = [
        with(2, &[0, 0]),                 // total length of nothing,
        with(2, &[0, 19]),                // of less than the header,
        with(2, &[0, 101]),               // of more than there is;
        with(0, &[0x44]),                 // header shorter than it may be,
        with(0, &[0x4F, 0, 0, 59]),       // longer than the packet;
        with(0, &[0x60, 0, 0, 0, 0, 61]), // IPv6 payload longer than there is
    ];
    other_versions.map(|version| with(0, &[version << 4 | 5])).chain(lies).collect()
}

#[test]
fn a_malformed_datagram_is_dropped_and_its_neighbours_arrive() {
    for bad in malformed() {
        let site = Site::alone();
        let good = udp_flow(4, 100);
        let datagrams = [good[..2].to_vec(), vec![bad.clone()], good[2..].to_vec()].concat();
        assert_eq!(delivered(&site, &datagrams), good, "{bad:?}");
        assert_eq!(site.context.decap.receives.get(), 1, "all came in one receive");
        assert_eq!(site.decap_drops(DecapDrop::Malformed), 1);
    }
}

#[test]
fn a_malformed_packet_from_the_device_is_dropped_and_its_neighbours_are_sent() {
    for bad in malformed() {
        let site = Site::alone();
        let good = udp_flow(4, 100);
        let packets = [good[..2].to_vec(), vec![bad.clone()], good[2..].to_vec()].concat();
        assert_eq!(sent(&site, &packets), good, "{bad:?}");
        assert_eq!(site.encap_drops(EncapDrop::Malformed), 1);
    }
}

#[test]
fn a_virtio_header_that_does_not_fit_its_packet_affects_only_that_packet() {
    let site = Site::alone();
    let nonsense = [
        VirtioNetHeader { gso_type: VirtioNetHeader::GSO_TCPV4, gso_size: 0, ..VirtioNetHeader::NONE },
        VirtioNetHeader { gso_type: VirtioNetHeader::GSO_TCPV4, gso_size: 100, ..VirtioNetHeader::NONE },
        VirtioNetHeader { gso_type: 0x55, gso_size: 100, ..VirtioNetHeader::NONE },
        VirtioNetHeader {
            flags: VirtioNetHeader::FLAG_NEEDS_CSUM,
            csum_start: 5000,
            ..VirtioNetHeader::NONE
        },
    ];
    let [ended] = running([&site], async {
        for header in nonsense {
            site.device.hand_over_reads([(header, udp(0, 200))]);
            site.device.hand_over(&[udp(1, 200)]);
        }
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), vec![udp(1, 200); 4]);
    assert_eq!(site.encap_drops(EncapDrop::Malformed), 4);
}

#[test]
fn an_empty_datagram_is_dropped_and_its_neighbours_arrive() {
    let site = Site::alone();
    assert_eq!(delivered(&site, &[udp(0, 100), vec![], udp(1, 100)]), [udp(0, 100), udp(1, 100)]);
    assert_eq!(site.decap_drops(DecapDrop::Empty), 1);
}

#[test]
fn a_datagram_longer_than_the_buffer_is_dropped_as_truncated() {
    let site = Site::alone();
    assert_eq!(delivered(&site, &[udp(0, 100), vec![0x45; 70_000], udp(1, 100)]), [udp(0, 100), udp(1, 100)]);
    assert_eq!(site.decap_drops(DecapDrop::Truncated), 1);
}

#[test]
fn bytes_after_a_packet_are_cut_off() {
    let site = Site::alone();
    let mut padded = udp(0, 100);
    padded.extend([0xAA; 20]);
    assert_eq!(
        delivered(&site, &[padded.clone(), padded, udp(1, 100)]),
        [udp(0, 100), udp(0, 100), udp(1, 100)]
    );
}

#[test]
fn every_first_byte_with_every_short_length_does_not_affect_good_packets() {
    let site = Site::alone();
    let mut datagrams = vec![];
    for first in 0..=255 {
        for len in (1..=100_usize).step_by(9) {
            datagrams.push([&[first][..], &vec![first; len - 1]].concat());
        }
        datagrams.push(udp(first.into(), 100));
    }
    let taken = delivered(&site, &datagrams);
    let good = (0..=255).map(|number| udp(number, 100)).collect::<Vec<_>>();
    let arrived: Vec<_> = taken.iter().filter(|packet| good.contains(packet)).collect();
    assert_eq!(arrived, good.iter().collect::<Vec<_>>());
}

#[test]
fn inner_sources_that_are_not_allowed_are_dropped() {
    let mut site = Site::alone();
    let prefixes = [("10.0.2.0".parse().unwrap(), 24), ("fd00::".parse().unwrap(), 8)];
    site.context.allowed_sources = Some(SourceFilter::new(&prefixes).unwrap());
    let [good, bad] = [["10.0.2.1", "10.0.2.255", "fd00::1"], ["10.0.3.1", "192.0.2.1", "2001:db8::1"]]
        .map(|addresses| addresses.map(udp_from));
    let mixed: Vec<_> = good.iter().zip(&bad).flat_map(|(good, bad)| [good.clone(), bad.clone()]).collect();
    assert_eq!(delivered(&site, &mixed), good);
    assert_eq!(site.decap_drops(DecapDrop::SourceNotAllowed), 3);
}

#[test]
fn the_tunnels_own_datagrams_are_not_forwarded_again_even_inside_others() {
    let site = Site::alone();
    let ordinary = udp(0, 100);
    let own = datagram("192.0.2.1:8000", "192.0.2.2:8000", &ordinary);
    let of_other = |payload: &[u8]| datagram("192.0.2.1:8001", "192.0.2.3:8001", payload);
    let packets = [ordinary.clone(), own.clone(), of_other(&ordinary), of_other(&of_other(&own))];
    assert_eq!(sent(&site, &packets), [ordinary.clone(), of_other(&ordinary)]);
    assert_eq!(site.encap_drops(EncapDrop::RoutingLoop), 2);
}

#[test]
fn only_the_looping_datagrams_of_a_super_packet_are_dropped() {
    let site = Site::alone();
    let own = datagram("192.0.2.1:8000", "192.0.2.2:8000", &udp(0, 100));
    let ordinary = |number| udp(number, own.len());
    let payloads = [ordinary(1), own.clone(), ordinary(2), own.clone(), own.clone()];
    let ends = ("192.0.2.1:8001", "192.0.2.3:8001");
    let [ended] = running([&site], async {
        site.device.hand_over_reads([udp_super_packet(ends.0, ends.1, &payloads)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    let sent: Vec<_> = site.socket.sent().iter().map(|packet| packet[28..].to_vec()).collect();
    assert_eq!(sent, [ordinary(1), ordinary(2)]);
    assert_eq!(site.encap_drops(EncapDrop::RoutingLoop), 3);
}
