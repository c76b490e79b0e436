//! Packets as plain fields, serialized byte by byte. Shares no code with the crate.

pub(crate) const ACK: u8 = 0x10;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const URG: u8 = 0x20;
pub(crate) const ECE: u8 = 0x40;
pub(crate) const CWR: u8 = 0x80;

pub(crate) const DF: u16 = 0x4000;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) ip: Ip,
    pub(crate) transport: Transport,
    pub(crate) payload: Vec<u8>,
    /// XORed into the right transport checksum.
    pub(crate) checksum_error: u16,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ip {
    V4 {
        tos: u8,
        id: u16,
        flags_and_offset: u16,
        ttl: u8,
        source: [u8; 4],
        destination: [u8; 4],
        /// A multiple of four bytes.
        options: Vec<u8>,
        /// XORed into the right header checksum.
        checksum_error: u16,
        /// The destination in the pseudo header, where a source route makes it another.
        final_destination: Option<[u8; 4]>,
    },
    V6 {
        traffic_class: u8,
        flow_label: u32,
        hop_limit: u8,
        source: [u8; 16],
        destination: [u8; 16],
        /// Number and bytes of each extension header; the first byte of each is filled in.
        extensions: Vec<(u8, Vec<u8>)>,
        /// The destination in the pseudo header, where a routing header makes it another.
        final_destination: Option<[u8; 16]>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Transport {
    Tcp {
        ports: [u16; 2],
        sequence: u32,
        acknowledgement: u32,
        /// The four bits after the data offset.
        reserved: u8,
        flags: u8,
        window: u16,
        urgent: u16,
        /// A multiple of four bytes.
        options: Vec<u8>,
    },
    Udp {
        ports: [u16; 2],
        checksum: bool,
    },
}

pub(crate) fn tcp_over_v4() -> Packet {
    Packet { ip: v4(), transport: tcp(), payload: payload(100), checksum_error: 0 }
}

pub(crate) fn tcp_over_v6() -> Packet {
    Packet { ip: v6(), ..tcp_over_v4() }
}

pub(crate) fn udp_over_v4() -> Packet {
    Packet { transport: udp(), ..tcp_over_v4() }
}

pub(crate) fn udp_over_v6() -> Packet {
    Packet { transport: udp(), ..tcp_over_v6() }
}

/// One packet of each kind that can be cut and merged.
pub(crate) fn all_kinds() -> [Packet; 4] {
    [tcp_over_v4(), tcp_over_v6(), udp_over_v4(), udp_over_v6()]
}

fn v4() -> Ip {
    Ip::V4 {
        tos: 0,
        id: 0xABCD,
        flags_and_offset: 0,
        ttl: 64,
        source: [10, 0, 2, 1],
        destination: [10, 0, 2, 2],
        options: vec![],
        checksum_error: 0,
        final_destination: None,
    }
}

fn v6() -> Ip {
    let mut source = [0; 16];
    source[0] = 0xFD;
    source[15] = 1;
    let mut destination = source;
    destination[15] = 2;
    Ip::V6 {
        traffic_class: 0,
        flow_label: 0x1_2345,
        hop_limit: 64,
        source,
        destination,
        extensions: vec![],
        final_destination: None,
    }
}

fn tcp() -> Transport {
    Transport::Tcp {
        ports: [40_000, 5201],
        sequence: 0x0102_0304,
        acknowledgement: 0x0506_0708,
        reserved: 0,
        flags: ACK,
        window: 501,
        urgent: 0,
        // two NOPs and a timestamp, as Linux sends them
        options: vec![1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4],
    }
}

fn udp() -> Transport {
    Transport::Udp { ports: [40_000, 5201], checksum: true }
}

/// Bytes that depend on their position, and are not an IP packet.
pub(crate) fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| 0xA0 ^ (i * 7 + i / 251) as u8).collect()
}

/// RFC 1071, word by word.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|word| u64::from(word[0]) * 256 + word.get(1).map_or(0, |low| u64::from(*low))).sum()
}

pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum > 0xFFFF {
        sum = sum % 0x1_0000 + sum / 0x1_0000;
    }
    sum as u16
}

impl Ip {
    /// All IP headers of a packet with `len` bytes after them.
    fn bytes(&self, protocol: u8, len: usize) -> Vec<u8> {
        match self {
            Self::V4 {
                tos, id, flags_and_offset, ttl, source, destination, options, checksum_error, ..
            } => {
                let header_len = 20 + options.len();
                let mut bytes = vec![0x40 | (header_len / 4) as u8, *tos];
                bytes.extend(((header_len + len) as u16).to_be_bytes());
                bytes.extend(id.to_be_bytes());
                bytes.extend(flags_and_offset.to_be_bytes());
                bytes.extend([*ttl, protocol, 0, 0]);
                bytes.extend(source);
                bytes.extend(destination);
                bytes.extend(options);
                let checksum = !fold(sum(&bytes)) ^ checksum_error;
                bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
                bytes
            }
            Self::V6 { traffic_class, flow_label, hop_limit, source, destination, extensions, .. } => {
                let extensions_len: usize = extensions.iter().map(|(_, bytes)| bytes.len()).sum();
                let mut bytes =
                    (0x6000_0000 | u32::from(*traffic_class) << 20 | flow_label).to_be_bytes().to_vec();
                bytes.extend(((extensions_len + len) as u16).to_be_bytes());
                bytes.push(extensions.first().map_or(protocol, |(number, _)| *number));
                bytes.push(*hop_limit);
                bytes.extend(source);
                bytes.extend(destination);
                for (i, (_, extension)) in extensions.iter().enumerate() {
                    bytes.push(extensions.get(i + 1).map_or(protocol, |(number, _)| *number));
                    bytes.extend(&extension[1..]);
                }
                bytes
            }
        }
    }

    pub(crate) fn pseudo_header_sum(&self, protocol: u8, len: usize) -> u64 {
        let addresses = match self {
            Self::V4 { source, destination, final_destination, .. } => {
                sum(source) + sum(&final_destination.unwrap_or(*destination))
            }
            Self::V6 { source, destination, final_destination, .. } => {
                sum(source) + sum(&final_destination.unwrap_or(*destination))
            }
        };
        addresses + u64::from(protocol) + len as u64
    }
}

impl Packet {
    pub(crate) fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Tcp { .. } => 6,
            Transport::Udp { .. } => 17,
        }
    }

    /// The packet as on the wire, with all lengths and checksums.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut segment = self.transport_header();
        segment.extend(&self.payload);
        let total = sum(&segment) + self.ip.pseudo_header_sum(self.protocol(), segment.len());
        let checksum = match (&self.transport, !fold(total)) {
            (Transport::Udp { checksum: false, .. }, _) => 0,
            (Transport::Udp { .. }, 0) => 0xFFFF,
            (Transport::Tcp { .. } | Transport::Udp { .. }, checksum) => checksum,
        };
        let at = self.checksum_offset();
        segment[at..at + 2].copy_from_slice(&(checksum ^ self.checksum_error).to_be_bytes());
        let mut bytes = self.ip.bytes(self.protocol(), segment.len());
        bytes.extend(segment);
        bytes
    }

    /// With a checksum of 0.
    fn transport_header(&self) -> Vec<u8> {
        match &self.transport {
            Transport::Tcp { ports, sequence, acknowledgement, reserved, flags, window, urgent, options } => {
                let mut bytes = vec![];
                bytes.extend(ports[0].to_be_bytes());
                bytes.extend(ports[1].to_be_bytes());
                bytes.extend(sequence.to_be_bytes());
                bytes.extend(acknowledgement.to_be_bytes());
                bytes.push(((20 + options.len()) / 4 * 16) as u8 | reserved);
                bytes.push(*flags);
                bytes.extend(window.to_be_bytes());
                bytes.extend([0, 0]);
                bytes.extend(urgent.to_be_bytes());
                bytes.extend(options);
                bytes
            }
            Transport::Udp { ports, .. } => {
                let mut bytes = vec![];
                bytes.extend(ports[0].to_be_bytes());
                bytes.extend(ports[1].to_be_bytes());
                bytes.extend(((8 + self.payload.len()) as u16).to_be_bytes());
                bytes.extend([0, 0]);
                bytes
            }
        }
    }

    /// Where the checksum is in the transport header.
    pub(crate) fn checksum_offset(&self) -> usize {
        match self.transport {
            Transport::Tcp { .. } => 16,
            Transport::Udp { .. } => 6,
        }
    }

    /// Where the transport header begins.
    pub(crate) fn transport_start(&self) -> usize {
        self.ip.bytes(0, 0).len()
    }

    /// All headers.
    pub(crate) fn header_len(&self) -> usize {
        self.transport_start() + self.transport_header().len()
    }

    /// The packets of which this one is the super-packet, as a network card would cut it.
    pub(crate) fn cut(&self, size: usize) -> Vec<Packet> {
        let mut payloads: Vec<Vec<u8>> = self.payload.chunks(size).map(<[u8]>::to_vec).collect();
        if payloads.is_empty() {
            payloads.push(vec![]);
        }
        let last = payloads.len() - 1;
        payloads
            .into_iter()
            .enumerate()
            .map(|(i, payload)| {
                let mut packet = Packet { payload, ..self.clone() };
                if let Ip::V4 { id, .. } = &mut packet.ip {
                    *id = id.wrapping_add(i as u16);
                }
                if let Transport::Tcp { sequence, flags, .. } = &mut packet.transport {
                    *sequence = sequence.wrapping_add((i * size) as u32);
                    if i > 0 {
                        *flags &= !CWR;
                    }
                    if i < last {
                        *flags &= !(FIN | PSH);
                    }
                }
                packet
            })
            .collect()
    }

    /// The packet that a sender would send next: the same but for ID, sequence number and payload.
    pub(crate) fn followed_by(&self, payload: Vec<u8>) -> Packet {
        let mut next = Packet { payload, ..self.clone() };
        if let Ip::V4 { id, .. } = &mut next.ip {
            *id = id.wrapping_add(1);
        }
        if let Transport::Tcp { sequence, .. } = &mut next.transport {
            *sequence = sequence.wrapping_add(self.payload.len() as u32);
        }
        next
    }

    pub(crate) fn has_df(&self) -> bool {
        matches!(self.ip, Ip::V4 { flags_and_offset, .. } if flags_and_offset & DF != 0)
    }
}
