//! What IPv4 and IPv6 headers say, for all modules. Every reader takes any bytes and answers `None` where they
//! are not what they should be.

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

pub(crate) const IPV4_HEADER_LEN: usize = 20;
pub(crate) const IPV6_HEADER_LEN: usize = 40;

/// Bits of the IPv4 field that holds flags and fragment offset (RFC 791 section 3.1).
pub(crate) const IPV4_DONT_FRAGMENT: u16 = 0x4000;
pub(crate) const IPV4_MORE_FRAGMENTS: u16 = 0x2000;
pub(crate) const IPV4_FRAGMENT_OFFSET: u16 = 0x1FFF;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// The version that the first byte tells.
pub(crate) fn version(packet: &[u8]) -> Option<Version> {
    match packet.first()? >> 4 {
        4 => Some(Version::V4),
        6 => Some(Version::V6),
        _ => None,
    }
}

/// The length of the packet that `bytes` begin with, at most their own, if the IP header is in order and the
/// packet is all there.
pub(crate) fn packet_len(bytes: &[u8]) -> Option<usize> {
    let len = match version(bytes)? {
        Version::V4 => {
            let header: &[u8; IPV4_HEADER_LEN] = bytes.first_chunk()?;
            let header_len = usize::from(header[0] & 0x0F) * 4;
            let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
            if header_len < IPV4_HEADER_LEN || len < header_len {
                return None;
            }
            len
        }
        Version::V6 => {
            let header: &[u8; IPV6_HEADER_LEN] = bytes.first_chunk()?;
            let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
            // A length of zero before hop-by-hop options is a jumbogram (RFC 2675), longer than a datagram can be,
            // or else the options are missing. Before anything else it is just an empty packet.
            if payload_len == 0 && header[6] == extension::HOP_BY_HOP {
                return None;
            }
            IPV6_HEADER_LEN + payload_len
        }
    };
    (len <= bytes.len()).then_some(len)
}

/// What part of a fragmented packet this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// Not a fragment.
    Whole,
    /// The first of several: the transport header is in it.
    First,
    /// One of the others: no transport header is in it.
    Later,
}

/// What follows the IP headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transport {
    pub(crate) version: Version,
    pub(crate) protocol: u8,
    /// Where it begins, bytes from the start of the packet; may be its end.
    pub(crate) offset: usize,
    pub(crate) fragment: Fragment,
    /// The IP header's destination is only the next stop of a source route, so it is not the one in the
    /// pseudo header of the transport checksum (RFC 8200 section 8.1).
    pub(crate) source_routed: bool,
}

/// Finds the transport header behind IPv4 options or IPv6 extension headers.
pub(crate) fn transport(packet: &[u8]) -> Option<Transport> {
    match version(packet)? {
        Version::V4 => transport_v4(packet),
        Version::V6 => transport_v6(packet),
    }
}

fn transport_v4(packet: &[u8]) -> Option<Transport> {
    let header: &[u8; IPV4_HEADER_LEN] = packet.first_chunk()?;
    let offset = usize::from(header[0] & 0x0F) * 4;
    let options = packet.get(IPV4_HEADER_LEN..offset)?;
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    Some(Transport {
        version: Version::V4,
        protocol: header[9],
        offset,
        fragment: if fragment & IPV4_FRAGMENT_OFFSET != 0 {
            Fragment::Later
        } else if fragment & IPV4_MORE_FRAGMENTS != 0 {
            Fragment::First
        } else {
            Fragment::Whole
        },
        source_routed: has_unfinished_source_route(options),
    })
}

/// Whether IPv4 options hold a loose or strict source route with stops left (RFC 791 section 3.1).
fn has_unfinished_source_route(mut options: &[u8]) -> bool {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;
    loop {
        let rest = match *options {
            [] | [END, ..] => return false,
            [NO_OPERATION, ref rest @ ..] => rest,
            [LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE, len, pointer, ..] if pointer < len => return true,
            [_, len, ..] if len >= 2 => options.get(usize::from(len)..).unwrap_or_default(),
            [_, ..] => return false,
        };
        options = rest;
    }
}

fn transport_v6(packet: &[u8]) -> Option<Transport> {
    let header: &[u8; IPV6_HEADER_LEN] = packet.first_chunk()?;
    let mut found = Transport {
        version: Version::V6,
        protocol: header[6],
        offset: IPV6_HEADER_LEN,
        fragment: Fragment::Whole,
        source_routed: false,
    };
    // Each header is at least eight bytes long, so the walk ends with the packet.
    loop {
        let rest = packet.get(found.offset..)?;
        match found.protocol {
            extension::HOP_BY_HOP | extension::DESTINATION_OPTIONS => {}
            extension::ROUTING => found.source_routed |= *rest.get(3)? != 0,
            extension::FRAGMENT => {
                let header: &[u8; 8] = rest.first_chunk()?;
                let offset_and_more = u16::from_be_bytes([header[2], header[3]]);
                found.protocol = header[0];
                found.offset += header.len();
                if offset_and_more & 0xFFF8 != 0 {
                    found.fragment = Fragment::Later;
                    return Some(found);
                }
                // One with neither offset nor more to come, an atomic fragment (RFC 6946), is not taken for whole:
                // it can't be cut or merged either.
                found.fragment = Fragment::First;
                continue;
            }
            _ => return Some(found),
        }
        let &[next, len, ..] = rest else { return None };
        found.protocol = next;
        found.offset += (usize::from(len) + 1) * 8;
    }
}

/// IPv6 extension headers that may stand before TCP or UDP. Others (AH, ESP) protect what follows, so for all
/// purposes here they are the transport.
mod extension {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
}
