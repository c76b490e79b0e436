//! Rules of TCP and UDP.

use super::{apart_if_both, apart_if_second, neighbours};
use crate::device::{BOTH, runs, write};
use crate::model::{
    ACK, CWR, ECE, FIN, PSH, Packet, RST, SYN, Transport, URG, all_kinds, tcp_over_v4, tcp_over_v6,
    udp_over_v4, udp_over_v6,
};

macro_rules! change_tcp {
    ($field:ident => $change:expr) => {
        |packet: &mut Packet| {
            let Transport::Tcp { $field, .. } = &mut packet.transport else { unreachable!() };
            $change
        }
    };
}

const TCP: fn() -> [Packet; 2] = || [tcp_over_v4(), tcp_over_v6()];
const UDP: fn() -> [Packet; 2] = || [udp_over_v4(), udp_over_v6()];

#[test]
fn a_gap_a_repetition_or_an_overlap_in_the_sequence() {
    for first in TCP() {
        for step in [-100, -99, -1, 1, 100, 0x1_0000] {
            apart_if_second(&first, change_tcp!(sequence => *sequence = sequence.wrapping_add_signed(step)));
        }
    }
}

#[test]
fn another_acknowledgement_number() {
    for first in TCP() {
        for bit in [1, 0x8000_0000] {
            apart_if_second(&first, change_tcp!(acknowledgement => *acknowledgement ^= bit));
        }
    }
}

#[test]
fn another_window() {
    for first in TCP() {
        for bit in [1, 0x8000] {
            apart_if_second(&first, change_tcp!(window => *window ^= bit));
        }
    }
}

#[test]
fn another_urgent_pointer() {
    for first in TCP() {
        for bit in [1, 0x8000] {
            apart_if_second(&first, change_tcp!(urgent => *urgent ^= bit));
        }
    }
}

#[test]
fn other_tcp_options() {
    for first in TCP() {
        for byte in 0..12 {
            apart_if_second(&first, change_tcp!(options => options[byte] ^= 1));
        }
    }
}

#[test]
fn more_or_fewer_tcp_options() {
    for first in TCP() {
        apart_if_second(&first, change_tcp!(options => options.extend([1; 4])));
        apart_if_second(&first, change_tcp!(options => options.truncate(8)));
        apart_if_second(&first, change_tcp!(options => options.clear()));
    }
}

#[test]
fn every_flag_but_ack_and_psh() {
    for first in TCP() {
        for flag in [SYN, FIN, RST, URG, ECE, CWR] {
            apart_if_both(&first, change_tcp!(flags => *flags |= flag));
            apart_if_second(&first, change_tcp!(flags => *flags |= flag));
            apart_if_second(&first, change_tcp!(flags => *flags = PSH | ACK | flag));
        }
    }
}

#[test]
fn no_ack() {
    for first in TCP() {
        apart_if_both(&first, change_tcp!(flags => *flags = 0));
        apart_if_second(&first, change_tcp!(flags => *flags = PSH));
    }
}

/// AE was NS (RFC 3540) before RFC 9768.
#[test]
fn ae_and_the_reserved_tcp_bits() {
    for first in TCP() {
        for bit in [1, 2, 4, 8] {
            apart_if_both(&first, change_tcp!(reserved => *reserved = bit));
            apart_if_second(&first, change_tcp!(reserved => *reserved = bit));
        }
    }
}

#[test]
fn psh_on_the_first() {
    for first in TCP() {
        let [mut head, next] = neighbours(&first);
        change_tcp!(flags => *flags = ACK | PSH)(&mut head);
        assert_eq!(runs(&[head, next]), [1, 1]);
    }
}

#[test]
fn pure_acks() {
    for first in TCP() {
        let ack = Packet { payload: vec![], ..first };
        assert_eq!(runs(&[ack.clone(), ack.followed_by(vec![])]), [1, 1]);
    }
}

#[test]
fn udp_without_checksum() {
    for first in UDP() {
        let without = |packet: &mut Packet| {
            packet.transport = Transport::Udp { ports: [40_000, 5201], checksum: false }
        };
        apart_if_both(&first, without);
        apart_if_second(&first, without);
    }
}

#[test]
fn udp_that_is_shorter_than_its_packet() {
    for first in UDP() {
        let shorter = neighbours(&first).map(|packet| {
            let mut bytes = packet.bytes();
            // The sum over all of it stays the same, so only the length differs.
            bytes[first.transport_start() + 5] -= 2;
            *bytes.last_mut().unwrap() += 2;
            bytes
        });
        assert_eq!(write(BOTH, &shorter).len(), 2);
    }
}

#[test]
fn udp_of_known_tunnels_in_either_direction() {
    for first in UDP() {
        for tunnel in [1701, 2152, 3544, 4341, 4754, 4789, 4790, 4791, 5247, 6080, 6081, 6635, 8472] {
            for tunnel_ports in [[40_000, tunnel], [tunnel, 40_000], [tunnel, tunnel]] {
                apart_if_both(&first, |packet| {
                    packet.transport = Transport::Udp { ports: tunnel_ports, checksum: true };
                });
            }
        }
    }
}

#[test]
fn udp_that_carries_ip_packets_on_any_port() {
    for first in UDP() {
        for inner in all_kinds() {
            apart_if_both(&first, |packet| packet.payload = inner.bytes());
            let outer = Packet { payload: inner.bytes(), ..first.clone() };
            assert_eq!(runs(&[outer.clone(), outer.followed_by(inner.bytes())]), [1, 1]);
        }
    }
}
