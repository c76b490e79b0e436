//! Every rule that keeps packets apart, one by one: each pair would merge without the one change that the test makes.
//! Here the rules of IP and of all protocols; those of TCP and UDP are in `transport`.

mod transport;

use crate::device::{BOTH, runs, write};
use crate::model::{
    DF, Ip, Packet, Transport, all_kinds, payload, tcp_over_v4, tcp_over_v6, udp_over_v4, udp_over_v6,
};

fn neighbours(first: &Packet) -> [Packet; 2] {
    [first.clone(), first.followed_by(payload(100))]
}

/// Applies `change` to the second of two neighbours: they must not merge, and only because of the change.
fn apart_if_second(first: &Packet, change: impl Fn(&mut Packet)) {
    let [head, mut next] = neighbours(first);
    assert_eq!(runs(&[head.clone(), next.clone()]), [2], "must merge without the change");
    change(&mut next);
    assert_eq!(runs(&[head, next]), [1, 1]);
}

/// Applies `change` to both neighbours: they must not merge, although both have it.
fn apart_if_both(first: &Packet, change: impl Fn(&mut Packet)) {
    assert_eq!(runs(&neighbours(first)), [2], "must merge without the change");
    let mut first = first.clone();
    change(&mut first);
    assert_eq!(runs(&neighbours(&first)), [1, 1]);
}

macro_rules! change_v4 {
    ($field:ident => $change:expr) => {
        |packet: &mut Packet| {
            let Ip::V4 { $field, .. } = &mut packet.ip else { unreachable!() };
            $change
        }
    };
}

macro_rules! change_v6 {
    ($field:ident => $change:expr) => {
        |packet: &mut Packet| {
            let Ip::V6 { $field, .. } = &mut packet.ip else { unreachable!() };
            $change
        }
    };
}

const V4: fn() -> [Packet; 2] = || [tcp_over_v4(), udp_over_v4()];
const V6: fn() -> [Packet; 2] = || [tcp_over_v6(), udp_over_v6()];

#[test]
fn another_address() {
    for first in V4() {
        for byte in 0..4 {
            apart_if_second(&first, change_v4!(source => source[byte] ^= 1));
            apart_if_second(&first, change_v4!(destination => destination[byte] ^= 1));
        }
    }
    for first in V6() {
        for byte in 0..16 {
            apart_if_second(&first, change_v6!(source => source[byte] ^= 1));
            apart_if_second(&first, change_v6!(destination => destination[byte] ^= 1));
        }
    }
}

#[test]
fn swapped_addresses() {
    for first in V4() {
        apart_if_second(&first, |packet| {
            let Ip::V4 { source, destination, .. } = &mut packet.ip else { unreachable!() };
            std::mem::swap(source, destination);
        });
    }
}

#[test]
fn another_port() {
    for first in all_kinds() {
        for port in 0..2 {
            for bit in [1, 0x0100] {
                apart_if_second(&first, |packet| match &mut packet.transport {
                    Transport::Tcp { ports, .. } | Transport::Udp { ports, .. } => ports[port] ^= bit,
                });
            }
        }
    }
}

#[test]
fn another_family_or_protocol() {
    let kinds = all_kinds();
    for first in &kinds {
        for second in kinds.iter().filter(|second| *second != first) {
            apart_if_second(first, |packet| *packet = second.followed_by(payload(100)));
        }
    }
}

#[test]
fn another_tos_or_traffic_class() {
    for bit in [0x04, 0x80] {
        for first in V4() {
            apart_if_second(&first, change_v4!(tos => *tos ^= bit));
        }
        for first in V6() {
            apart_if_second(&first, change_v6!(traffic_class => *traffic_class ^= bit));
        }
    }
}

#[test]
fn another_ecn_mark() {
    for mark in [1, 2, 3] {
        for first in V4() {
            apart_if_second(&first, change_v4!(tos => *tos |= mark));
        }
        for first in V6() {
            apart_if_second(&first, change_v6!(traffic_class => *traffic_class |= mark));
        }
    }
}

#[test]
fn another_ttl_or_hop_limit() {
    for first in V4() {
        apart_if_second(&first, change_v4!(ttl => *ttl -= 1));
    }
    for first in V6() {
        apart_if_second(&first, change_v6!(hop_limit => *hop_limit -= 1));
    }
}

#[test]
fn another_flow_label() {
    for first in V6() {
        for bit in [1, 0x8_0000] {
            apart_if_second(&first, change_v6!(flow_label => *flow_label ^= bit));
        }
    }
}

#[test]
fn df_on_one_only() {
    for first in V4() {
        apart_if_second(&first, change_v4!(flags_and_offset => *flags_and_offset = DF));
        let mut with_df = first.clone();
        change_v4!(flags_and_offset => *flags_and_offset = DF)(&mut with_df);
        apart_if_second(&with_df, change_v4!(flags_and_offset => *flags_and_offset = 0));
    }
}

#[test]
fn the_reserved_ip_flag() {
    for first in V4() {
        apart_if_both(&first, change_v4!(flags_and_offset => *flags_and_offset = 0x8000));
        apart_if_both(&first, change_v4!(flags_and_offset => *flags_and_offset = 0x8000 | DF));
    }
}

#[test]
fn ids_that_do_not_count_up_without_df() {
    for first in V4() {
        for step in [-2, -1, 1, 255, 256] {
            apart_if_second(&first, change_v4!(id => *id = id.wrapping_add_signed(step)));
        }
    }
}

#[test]
fn fragments() {
    for first in V4() {
        for fragment in [0x2000, 0x0001, 0x2001, 0x1FFF, DF | 0x2000] {
            apart_if_both(&first, change_v4!(flags_and_offset => *flags_and_offset = fragment));
        }
    }
    for first in V6() {
        apart_if_both(&first, change_v6!(extensions => *extensions = vec![(44, vec![0; 8])]));
    }
}

#[test]
fn ipv4_options() {
    for first in V4() {
        apart_if_both(&first, change_v4!(options => *options = vec![1; 4]));
        apart_if_both(&first, change_v4!(options => *options = vec![1; 40]));
    }
}

#[test]
fn ipv6_extension_headers() {
    for first in V6() {
        for number in [0, 43, 60, 51, 135] {
            apart_if_both(&first, change_v6!(extensions => *extensions = vec![(number, vec![0; 8])]));
        }
    }
}

#[test]
fn no_payload() {
    for first in all_kinds() {
        apart_if_second(&first, |packet| packet.payload.clear());
        apart_if_both(
            &Packet { payload: vec![], ..first.followed_by(payload(100)) }.followed_by(payload(100)),
            |packet| {
                packet.payload.clear();
            },
        );
    }
}

#[test]
fn a_longer_payload_than_the_first() {
    for first in all_kinds() {
        apart_if_second(&first, |packet| packet.payload.push(0));
    }
}

#[test]
fn a_wrong_transport_checksum() {
    for first in all_kinds() {
        for error in [0x0001, 0x8000] {
            apart_if_second(&first, |packet| packet.checksum_error = error);
            let [mut head, next] = neighbours(&first);
            head.checksum_error = error;
            assert_eq!(runs(&[head, next]), [1, 1]);
        }
    }
}

#[test]
fn a_wrong_ipv4_header_checksum() {
    for first in V4() {
        for error in [0x0001, 0x8000] {
            apart_if_second(&first, change_v4!(checksum_error => *checksum_error = error));
            let [mut head, next] = neighbours(&first);
            change_v4!(checksum_error => *checksum_error = error)(&mut head);
            assert_eq!(runs(&[head, next]), [1, 1]);
        }
    }
}

#[test]
fn a_wrong_checksum_late_in_a_run() {
    for first in all_kinds() {
        let mut packets = vec![first];
        for i in 0..5 {
            packets.push(packets[i].followed_by(payload(100)));
        }
        packets[4].checksum_error = 0x0400;
        assert_eq!(runs(&packets), [4, 1, 1]);
    }
}

#[test]
fn other_protocols() {
    for first in all_kinds() {
        for protocol in [1, 2, 33, 47, 50, 58, 132, 136] {
            let at = if matches!(first.ip, Ip::V4 { .. }) { 9 } else { 6 };
            let packets = neighbours(&first).map(|packet| {
                let mut bytes = packet.bytes();
                bytes[at] = protocol;
                bytes
            });
            assert_eq!(write(BOTH, &packets).len(), 2);
        }
    }
}
