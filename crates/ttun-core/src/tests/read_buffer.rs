//! The read buffer goes round: what waits to be sent must not be overwritten by what is read next.
//!
//! The fake device writes to all of the room that a read is offered, as the longest packet would.

use proptest::prelude::*;
use ttun_packet::VirtioNetHeader;

use super::packet::{Read, by_flow, tcp_super_packet, udp};
use super::site::{Site, running};

/// One or several reads, and the packets that they represent.
#[derive(Clone, Debug)]
enum Step {
    /// Equal packets, which wait for each other.
    Run { count: u16, len: usize },
    /// Equal packets, each with so many bytes behind it that belong to no packet.
    Padded { count: u16, len: usize, padding: usize },
    /// A packet that is dropped, of this many bytes.
    Malformed { len: usize },
    /// A super-packet, the end of which may wait for what comes next.
    Super { payload_len: usize, segment_len: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..80_u16, prop_oneof![40..200_usize, 1000..1473_usize]).prop_map(|(count, len)| Step::Run { count, len }),
        1 => (1..4_u16, 1473..65_507_usize).prop_map(|(count, len)| Step::Run { count, len }),
        2 => (1..9_u16, 40..1000_usize, prop_oneof![0..100_usize, 50_000..64_000_usize])
            .prop_map(|(count, len, padding)| Step::Padded { count, len, padding }),
        1 => (0..65_535_usize).prop_map(|len| Step::Malformed { len }),
        3 => (1..65_000_usize, 500..1432_usize)
            .prop_map(|(payload_len, segment_len)| Step::Super { payload_len, segment_len }),
    ]
}

fn reads(steps: &[Step]) -> (Vec<Read>, Vec<Vec<u8>>) {
    let (mut reads, mut packets) = (vec![], vec![]);
    for (index, step) in steps.iter().enumerate() {
        match *step {
            Step::Run { count, len } => {
                for number in 0..count {
                    let packet = udp(number.wrapping_add(index as u16 * 101), len);
                    reads.push((VirtioNetHeader::NONE, packet.clone()));
                    packets.push(packet);
                }
            }
            Step::Padded { count, len, padding } => {
                for number in 0..count {
                    let packet = udp(number.wrapping_add(index as u16 * 103), len);
                    reads.push((VirtioNetHeader::NONE, [&packet[..], &vec![0x77; padding]].concat()));
                    packets.push(packet);
                }
            }
            Step::Malformed { len } => reads.push((VirtioNetHeader::NONE, vec![0x15; len])),
            Step::Super { payload_len, segment_len } => {
                let (read, cut) = tcp_super_packet(payload_len, segment_len);
                reads.push(read);
                packets.extend(cut);
            }
        }
    }
    (reads, packets)
}

/// The packets that are sent when the socket accepts `room` datagrams at a time and then blocks.
fn sent(reads: Vec<Read>, room: Option<usize>) -> Vec<Vec<u8>> {
    let site = Site::alone();
    let mut sent = vec![];
    let [ended] = running([&site], async {
        site.socket.limit(room);
        site.device.hand_over_reads(reads);
        loop {
            site.settled().await;
            match site.socket.sent() {
                more if more.is_empty() => break,
                more => sent.extend(more),
            }
        }
    });
    assert!(ended.is_ok());
    sent
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_waits_is_overwritten(steps in prop::collection::vec(step(), 1..40)) {
        let (reads, packets) = reads(&steps);
        prop_assert!(sent(reads, None) == packets);
    }

    #[test]
    fn nothing_that_waits_for_room_is_overwritten(steps in prop::collection::vec(step(), 1..20)) {
        let (reads, packets) = reads(&steps);
        prop_assert!(by_flow(&sent(reads, Some(1))) == by_flow(&packets));
    }
}
