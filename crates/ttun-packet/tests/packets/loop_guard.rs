//! The loop guard: which packets are, or carry, a tunnel's own datagrams.

use std::net::{IpAddr, SocketAddr};

use ttun_packet::{IpPacket, LoopGuard, Verdict};

const UDP: u8 = 17;
const TCP: u8 = 6;

/// The ends of a tunnel over each family.
const TUNNELS: [(&str, &str); 2] =
    [("192.0.2.1:8000", "192.0.2.2:8000"), ("[2001:db8::1]:8000", "[2001:db8::2]:8000")];

/// The ends of other tunnels of the same host.
const OTHERS: [(&str, &str); 2] =
    [("10.0.3.1:8001", "10.0.9.9:8001"), ("[fd00:3::1]:8001", "[fd00:9::9]:8001")];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn guard((local, remote): (&str, &str)) -> LoopGuard {
    LoopGuard::new(address(local), address(remote))
}

fn ip(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let len = (20 + payload.len()) as u16;
            let mut packet = [&[0x45, 0][..], &len.to_be_bytes(), &[0, 7, 0, 0, 64, protocol, 0, 0]].concat();
            packet.extend([source.octets(), destination.octets()].concat());
            packet
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let len = payload.len() as u16;
            let mut packet = [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[protocol, 64]].concat();
            packet.extend([source.octets(), destination.octets()].concat());
            packet
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            unreachable!("one family a packet")
        }
    };
    packet.extend(payload);
    packet
}

fn with_ports(protocol: u8, source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut transport = [source, destination].map(|end| end.port().to_be_bytes()).concat();
    transport.extend(((8 + payload.len()) as u16).to_be_bytes());
    transport.extend([0, 0]);
    transport.extend(payload);
    ip(source.ip(), destination.ip(), protocol, &transport)
}

/// A datagram of the tunnel between these ends.
fn datagram((local, remote): (&str, &str), payload: &[u8]) -> Vec<u8> {
    with_ports(UDP, address(local), address(remote), payload)
}

/// A packet as hosts send it through a tunnel.
fn ordinary() -> Vec<u8> {
    with_ports(TCP, address("10.0.2.1:40000"), address("10.0.2.2:80"), &[0; 1000])
}

/// The fragments of `packet`, with `len` bytes of payload in all but the last.
fn fragments(packet: &[u8], id: u16, len: usize) -> Vec<Vec<u8>> {
    let is_ipv4 = packet[0] >> 4 == 4;
    let (header, payload) = packet.split_at(if is_ipv4 { 20 } else { 40 });
    let last = payload.len().div_ceil(len) - 1;
    let fragment = |(index, piece): (usize, &[u8])| {
        let mut header = header.to_vec();
        let (offset, more) = ((index * len) as u16, index < last);
        if is_ipv4 {
            header[2..4].copy_from_slice(&((20 + piece.len()) as u16).to_be_bytes());
            header[4..6].copy_from_slice(&id.to_be_bytes());
            header[6..8].copy_from_slice(&((offset / 8) | (u16::from(more) << 13)).to_be_bytes());
        } else {
            header[4..6].copy_from_slice(&((8 + piece.len()) as u16).to_be_bytes());
            let protocol = std::mem::replace(&mut header[6], 44);
            header.extend([protocol, 0]);
            header.extend((offset | u16::from(more)).to_be_bytes());
            header.extend(u32::from(id).to_be_bytes());
        }
        [header, piece.to_vec()].concat()
    };
    payload.chunks(len).enumerate().map(fragment).collect()
}

fn loops(guard: &mut LoopGuard, packet: &[u8]) -> bool {
    let verdict = guard.examine(&IpPacket::parse(packet).unwrap(), false);
    assert!(matches!(verdict, Verdict::Loops | Verdict::Passes), "it is not a super-packet");
    verdict == Verdict::Loops
}

#[test]
fn the_tunnels_own_datagram_loops() {
    for tunnel in TUNNELS {
        assert!(loops(&mut guard(tunnel), &datagram(tunnel, &ordinary())));
        assert!(loops(&mut guard(tunnel), &datagram(tunnel, &[])));
    }
    let mapped = ("[::ffff:192.0.2.1]:8000", "[::ffff:192.0.2.2]:8000");
    assert!(loops(&mut guard(mapped), &datagram(TUNNELS[0], &ordinary())));
}

#[test]
fn datagrams_of_others_pass_even_if_they_share_three_of_four_addresses_and_ports() {
    for (tunnel, others) in [
        (
            TUNNELS[0],
            [
                ("192.0.2.9:8000", "192.0.2.2:8000"),
                ("192.0.2.1:8009", "192.0.2.2:8000"),
                ("192.0.2.1:8000", "192.0.2.9:8000"),
                ("192.0.2.1:8000", "192.0.2.2:8009"),
                ("192.0.2.2:8000", "192.0.2.1:8000"),
            ],
        ),
        (
            TUNNELS[1],
            [
                ("[2001:db8::9]:8000", "[2001:db8::2]:8000"),
                ("[2001:db8::1]:8009", "[2001:db8::2]:8000"),
                ("[2001:db8::1]:8000", "[2001:db8::9]:8000"),
                ("[2001:db8::1]:8000", "[2001:db8::2]:8009"),
                ("[2001:db8::2]:8000", "[2001:db8::1]:8000"),
            ],
        ),
    ] {
        for other in others {
            for payload in [ordinary(), vec![0; 1000], vec![]] {
                assert!(!loops(&mut guard(tunnel), &datagram(other, &payload)), "{other:?}");
            }
        }
        let (local, remote) = tunnel;
        let tcp = with_ports(TCP, address(local), address(remote), &[0; 100]);
        assert!(!loops(&mut guard(tunnel), &tcp));
    }
}

#[test]
fn its_datagram_inside_datagrams_of_other_tunnels_loops() {
    for tunnel in TUNNELS {
        let mut packet = datagram(tunnel, &ordinary());
        for depth in 1..=5 {
            packet = datagram(OTHERS[depth % 2], &packet);
            assert!(loops(&mut guard(tunnel), &packet), "inside {depth}");
            assert!(!loops(&mut guard(("192.0.2.1:8003", "192.0.2.2:8000")), &packet));
        }
    }
}

#[test]
fn a_tunnel_through_another_passes() {
    for outer in TUNNELS {
        for inner in OTHERS {
            assert!(!loops(&mut guard(outer), &datagram(inner, &ordinary())));
            assert!(!loops(&mut guard(outer), &datagram(inner, &datagram(inner, &ordinary()))));
        }
    }
}

#[test]
fn endless_nesting_is_not_followed_forever() {
    let mut packet = datagram(OTHERS[0], &[]);
    while packet.len() < 60_000 {
        packet = datagram(OTHERS[0], &packet);
    }
    assert!(!loops(&mut guard(TUNNELS[0]), &packet));
}

#[test]
fn its_datagram_with_a_translated_source_loops_when_it_comes_back_inside_another() {
    for (tunnel, translated) in [
        (TUNNELS[0], ("10.0.2.1:1024", "192.0.2.2:8000")),
        (TUNNELS[1], ("[fd00::1]:1024", "[2001:db8::2]:8000")),
    ] {
        let once = datagram(translated, &ordinary());
        assert!(!loops(&mut guard(tunnel), &once), "may be of another host");
        assert!(loops(&mut guard(tunnel), &datagram(translated, &once)));
        assert!(loops(&mut guard(tunnel), &datagram(translated, &datagram(OTHERS[0], &once))));
    }
}

#[test]
fn its_datagram_inside_the_kernels_tunnels_loops() {
    let ends = || ["10.0.3.1", "10.0.3.2"].map(|text| text.parse().unwrap());
    let carried = |protocol, header: &[u8], own: &[u8]| {
        let [source, destination] = ends();
        ip(source, destination, protocol, &[header, own].concat())
    };
    let vxlan = |port: &str, ether_type: u16, own: &[u8]| {
        let mut frame = vec![8, 0, 0, 0, 0, 0, 7, 0];
        frame.extend([0; 12]);
        frame.extend(ether_type.to_be_bytes());
        frame.extend(own);
        with_ports(UDP, address("10.0.3.1:50000"), address(&format!("10.0.3.2:{port}")), &frame)
    };
    for (tunnel, ether_type, in_ip) in [(TUNNELS[0], 0x0800_u16, 4), (TUNNELS[1], 0x86DD, 41)] {
        let own = datagram(tunnel, &ordinary());
        let [high, low] = ether_type.to_be_bytes();
        for packet in [
            carried(in_ip, &[], &own),
            carried(47, &[0, 0, high, low], &own),
            carried(47, &[0xB0, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2], &own),
            vxlan("4789", ether_type, &own),
            vxlan("8472", ether_type, &own),
        ] {
            assert!(loops(&mut guard(tunnel), &packet));
            assert!(!loops(&mut guard(OTHERS[0]), &packet));
        }
        assert!(!loops(&mut guard(tunnel), &vxlan("4789", 0x0806, &own)), "ARP");
        assert!(!loops(&mut guard(tunnel), &carried(50, &[], &own)), "encrypted");
    }
}

#[test]
fn later_fragments_of_its_datagrams_loop_and_those_of_others_pass() {
    for (tunnel, sibling) in [
        (TUNNELS[0], ("192.0.2.1:9000", "192.0.2.2:9999")),
        (TUNNELS[1], ("[2001:db8::1]:9000", "[2001:db8::2]:9999")),
    ] {
        let mut guard = guard(tunnel);
        for id in 0..100 {
            let own = fragments(&datagram(tunnel, &[0xA0; 3000]), id, 1480);
            let other = fragments(&datagram(sibling, &[0xA0; 3000]), id + 1000, 1480);
            assert!(own.len() == 3 && own.iter().all(|fragment| loops(&mut guard, fragment)));
            assert!(other.iter().all(|fragment| !loops(&mut guard, fragment)));
        }
    }
}

#[test]
fn a_later_fragment_alone_passes() {
    for tunnel in TUNNELS {
        for fragment in &fragments(&datagram(tunnel, &[0; 3000]), 1, 1480)[1..] {
            assert!(!loops(&mut guard(tunnel), fragment));
        }
    }
}

#[test]
fn an_id_that_is_used_again_belongs_to_the_packet_that_uses_it() {
    for (tunnel, sibling) in [
        (TUNNELS[0], ("192.0.2.1:9000", "192.0.2.2:9999")),
        (TUNNELS[1], ("[2001:db8::1]:9000", "[2001:db8::2]:9999")),
    ] {
        let mut guard = guard(tunnel);
        for _ in 0..3 {
            let own = fragments(&datagram(tunnel, &[0xA0; 3000]), 5, 1480);
            let other = fragments(&datagram(sibling, &[0xA0; 3000]), 5, 1480);
            assert!(own.iter().all(|fragment| loops(&mut guard, fragment)));
            assert!(other.iter().all(|fragment| !loops(&mut guard, fragment)));
        }
    }
}

#[test]
fn fragments_of_several_datagrams_may_be_mixed() {
    for tunnel in TUNNELS {
        let mut guard = guard(tunnel);
        let own: Vec<_> = (0..8).map(|id| fragments(&datagram(tunnel, &[0xA0; 3000]), id, 1480)).collect();
        for index in 0..3 {
            assert!(own.iter().all(|fragments| loops(&mut guard, &fragments[index])));
        }
    }
}

#[test]
fn fragments_inside_datagrams_of_another_tunnel_loop() {
    for tunnel in TUNNELS {
        for other in OTHERS {
            let mut guard = guard(tunnel);
            // Fragmented on the way into the other tunnel, and again on the way back.
            for inner in fragments(&datagram(tunnel, &[0xA0; 1400]), 1, 1280) {
                let carried = datagram(other, &inner);
                assert!(loops(&mut guard, &carried));
                for outer in fragments(&carried, 2, 600) {
                    assert!(loops(&mut guard, &outer));
                }
            }
        }
    }
}

#[test]
fn each_datagram_of_a_super_packet_is_judged_by_its_payload() {
    for tunnel in TUNNELS {
        for other in OTHERS {
            let mut guard = guard(tunnel);
            let own = datagram(tunnel, &ordinary());
            let super_packet = datagram(other, &[ordinary(), own.clone()].concat());
            let verdict = guard.examine(&IpPacket::parse(&super_packet).unwrap(), true);
            let Verdict::EachPayload(outside) = verdict else { panic!("{verdict:?}") };
            assert!(!guard.loops_inside(outside, &ordinary()));
            assert!(guard.loops_inside(outside, &own));
        }
    }
}

#[test]
fn a_super_packet_of_the_tunnels_own_datagrams_loops_and_one_of_ordinary_data_passes() {
    for tunnel in TUNNELS {
        let judged = |packet: &[u8]| guard(tunnel).examine(&IpPacket::parse(packet).unwrap(), true);
        assert_eq!(judged(&datagram(tunnel, &ordinary())), Verdict::Loops);
        assert_eq!(judged(&datagram(OTHERS[0], &[0xA0; 3000])), Verdict::Passes);
        assert_eq!(judged(&ordinary()), Verdict::Passes);
    }
}

#[test]
fn truncated_packets_do_not_count_as_loops() {
    for tunnel in TUNNELS {
        let whole = datagram(tunnel, &[]);
        let header_len = whole.len() - 8;
        for len in header_len..header_len + 4 {
            let mut short = whole[..len].to_vec();
            let (at, stated) = if header_len == 20 { (3, len) } else { (5, len - 40) };
            short[at] = stated as u8;
            assert!(!loops(&mut guard(tunnel), &short), "{len} bytes");
        }
        let nested = datagram(OTHERS[0], &datagram(tunnel, &[]));
        for len in 29..nested.len() {
            let mut short = nested[..len].to_vec();
            short[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            assert_eq!(loops(&mut guard(tunnel), &short), len >= nested.len() - 4, "{len} bytes");
        }
    }
}

#[test]
fn ipv4_options_and_ipv6_extension_headers_hide_nothing() {
    let mut with_options = datagram(TUNNELS[0], &[]);
    with_options[0] = 0x46;
    with_options[3] += 4;
    with_options.splice(20..20, [1, 1, 1, 1]);
    assert!(loops(&mut guard(TUNNELS[0]), &with_options));

    let mut extended = datagram(TUNNELS[1], &[]);
    let protocol = std::mem::replace(&mut extended[6], 60);
    extended[5] += 8;
    extended.splice(40..40, [protocol, 0, 1, 4, 0, 0, 0, 0]);
    assert!(loops(&mut guard(TUNNELS[1]), &extended));
}
