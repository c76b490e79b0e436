//! `struct virtio_net_hdr` as a TUN device uses it (include/uapi/linux/virtio_net.h).

/// Length of the header before each packet of a device with `IFF_VNET_HDR`, bytes.
pub const VIRTIO_NET_HEADER_LEN: usize = 10;

/// The metadata before a packet, from the kernel with each read and to the kernel with each write.
///
/// Integers are in host byte order, as in TUN unless `TUNSETVNETBE` or `TUNSETVNETLE` changed that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VirtioNetHeader {
    /// [`FLAG_NEEDS_CSUM`](Self::FLAG_NEEDS_CSUM) and others.
    pub flags: u8,
    /// One of the `GSO_…` values, with [`GSO_ECN`](Self::GSO_ECN) possibly added.
    pub gso_type: u8,
    /// Length of all headers, bytes. From the kernel it is only a hint; to the kernel, it must not exceed the packet.
    pub hdr_len: u16,
    /// Payload bytes of each packet but the last. 0 without GSO.
    pub gso_size: u16,
    /// Where the bytes that the checksum covers begin, bytes from the start of the packet.
    pub csum_start: u16,
    /// Where the checksum goes, bytes from `csum_start`.
    pub csum_offset: u16,
}

impl VirtioNetHeader {
    /// The checksum from `csum_start` to the end is still to be completed.
    pub const FLAG_NEEDS_CSUM: u8 = 1;
    /// The checksum has been verified.
    pub const FLAG_DATA_VALID: u8 = 2;

    /// An ordinary packet.
    pub const GSO_NONE: u8 = 0;
    /// TCP over IPv4 (TSO).
    pub const GSO_TCPV4: u8 = 1;
    /// UDP to be cut into IPv4 fragments (UFO, gone since Linux 4.14). Never enabled by ttun.
    pub const GSO_UDP: u8 = 3;
    /// TCP over IPv6 (TSO).
    pub const GSO_TCPV6: u8 = 4;
    /// UDP to be cut into datagrams, over IPv4 or IPv6 (USO, Linux 6.2).
    pub const GSO_UDP_L4: u8 = 5;
    /// An inner super-packet in a UDP tunnel over IPv4. Never enabled by ttun.
    pub const GSO_UDP_TUNNEL_IPV4: u8 = 0x20;
    /// An inner super-packet in a UDP tunnel over IPv6. Never enabled by ttun.
    pub const GSO_UDP_TUNNEL_IPV6: u8 = 0x40;
    /// A bit added to the type: the TCP super-packet carries CWR. The packet itself has the flag too.
    pub const GSO_ECN: u8 = 0x80;

    /// An ordinary packet, complete.
    pub const NONE: Self =
        Self { flags: 0, gso_type: Self::GSO_NONE, hdr_len: 0, gso_size: 0, csum_start: 0, csum_offset: 0 };

    /// Reads the header as it comes from the device.
    #[must_use]
    pub fn decode(bytes: &[u8; VIRTIO_NET_HEADER_LEN]) -> Self {
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1] = *bytes;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([h0, h1]),
            gso_size: u16::from_ne_bytes([g0, g1]),
            csum_start: u16::from_ne_bytes([s0, s1]),
            csum_offset: u16::from_ne_bytes([o0, o1]),
        }
    }

    /// The header as it goes to the device.
    #[must_use]
    pub fn encode(&self) -> [u8; VIRTIO_NET_HEADER_LEN] {
        let [h0, h1] = self.hdr_len.to_ne_bytes();
        let [g0, g1] = self.gso_size.to_ne_bytes();
        let [s0, s1] = self.csum_start.to_ne_bytes();
        let [o0, o1] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, h0, h1, g0, g1, s0, s1, o0, o1]
    }

    /// The GSO type without the ECN bit.
    pub(crate) fn gso(&self) -> u8 {
        self.gso_type & !Self::GSO_ECN
    }

    pub(crate) fn needs_checksum(&self) -> bool {
        self.flags & Self::FLAG_NEEDS_CSUM != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_kernel_has_them() {
        let mut bytes = [0; VIRTIO_NET_HEADER_LEN];
        bytes[0] = VirtioNetHeader::FLAG_NEEDS_CSUM;
        bytes[1] = VirtioNetHeader::GSO_TCPV6 | VirtioNetHeader::GSO_ECN;
        bytes[2..4].copy_from_slice(&72_u16.to_ne_bytes());
        bytes[4..6].copy_from_slice(&1448_u16.to_ne_bytes());
        bytes[6..8].copy_from_slice(&40_u16.to_ne_bytes());
        bytes[8..10].copy_from_slice(&16_u16.to_ne_bytes());
        let header = VirtioNetHeader::decode(&bytes);
        assert_eq!(
            header,
            VirtioNetHeader {
                flags: 1,
                gso_type: 0x84,
                hdr_len: 72,
                gso_size: 1448,
                csum_start: 40,
                csum_offset: 16
            }
        );
        assert_eq!(header.encode(), bytes);
    }

    #[test]
    fn none_is_all_zeros() {
        assert_eq!(VirtioNetHeader::NONE.encode(), [0; VIRTIO_NET_HEADER_LEN]);
        assert_eq!(VirtioNetHeader::NONE, VirtioNetHeader::default());
    }
}
