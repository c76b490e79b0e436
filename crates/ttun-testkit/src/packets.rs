//! Packets of one interface as they are: injecting and capturing them through a socket of the family AF_PACKET (packet(7)).

use std::ffi::{CString, c_int};
use std::io::{self, BufRead, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::time::{SystemTime, UNIX_EPOCH};

use socket2::{Domain, Protocol, Socket, Type};

use crate::udp::{decode_hex, encode_hex};

/// Sends each line of `input` as a packet through `interface`. The program attached to a TUN device reads them.
pub(crate) fn inject(interface: &str, input: impl BufRead) -> io::Result<()> {
    let socket = PacketSocket::sender(interface)?;
    for (index, line) in input.lines().enumerate() {
        socket
            .send(&decode_hex(&line?)?)
            .map_err(|error| io::Error::new(error.kind(), format!("packet {index}: {error}")))?;
    }
    Ok(())
}

/// A virtio-net header and the longest packet: an IPv6 payload length does not count the header before it.
const BUFFER_LEN: usize = 10 + 40 + 65_535;

/// Prints each packet that passes `interface` as one line:
///
/// `in|out SECONDS GSO-TYPE GSO-SIZE CHECKSUM-START CHECKSUM-OFFSET HEX`
///
/// The time is when the packet was taken from the kernel, since the epoch. The four numbers are those of a virtio-net
/// header, `- -` for a checksum that is complete.
pub(crate) fn capture(interface: &str, output: &mut impl Write) -> io::Result<()> {
    let socket = PacketSocket::listener(interface)?;
    writeln!(output, "ready")?;
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        let passed = socket.receive(&mut buffer)?;
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let direction = if passed.outgoing { "out" } else { "in" };
        let offload = describe(passed.offload);
        let bytes = encode_hex(passed.bytes);
        writeln!(output, "{direction} {}.{:06} {offload} {bytes}", at.as_secs(), at.subsec_micros())?;
        output.flush()?;
    }
}

fn describe(offload: Offload) -> String {
    let checksum = match offload.checksum {
        Some((start, offset)) => format!("{start} {offset}"),
        None => "- -".to_owned(),
    };
    format!("{} {} {checksum}", offload.gso_type, offload.gso_size)
}

/// Bytes of `struct virtio_net_hdr` (linux/virtio_net.h), the form without the number of buffers.
const VIRTIO_HEADER_LEN: usize = 10;

const ADDRESS_LEN: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;

const ETH_P_ALL: u16 = libc::ETH_P_ALL as u16;
const ETH_P_IP: u16 = libc::ETH_P_IP as u16;
const ETH_P_IPV6: u16 = libc::ETH_P_IPV6 as u16;

/// A socket that sends or receives through one interface. Needs `CAP_NET_RAW`.
struct PacketSocket {
    socket: Socket,
    interface_index: c_int,
}

/// A packet that passed the interface.
struct Passed<'b> {
    /// Whether the kernel sent it; otherwise it was received.
    outgoing: bool,
    offload: Offload,
    bytes: &'b [u8],
}

/// The remaining offloaded work on a packet, as in a virtio-net header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offload {
    /// VIRTIO_NET_HDR_GSO_…; 0 for a packet that is not to be segmented.
    gso_type: u8,
    /// Payload of each segment, bytes.
    gso_size: u16,
    /// Where the range of a checksum to be completed begins, and where from there the result goes, bytes.
    checksum: Option<(u16, u16)>,
}

impl PacketSocket {
    /// A socket that only sends.
    fn sender(interface: &str) -> io::Result<Self> {
        Self::open(interface, 0)
    }

    /// A socket that receives from now on all that passes the interface.
    fn listener(interface: &str) -> io::Result<Self> {
        /// Many times what the tests send at once.
        const BUFFER_BYTES: c_int = 64 << 20;
        let listener = Self::open(interface, ETH_P_ALL)?;
        listener.set(libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
        listener.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER_BYTES)?;
        Ok(listener)
    }

    fn open(interface: &str, protocol: u16) -> io::Result<Self> {
        let interface_index = index_of(interface)?;
        // Protocol 0 receives nothing: the socket must not receive packets of other interfaces before it is bound to its own.
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        let socket = Self { socket, interface_index };
        let address = socket.address(protocol);
        // SAFETY: the kernel reads `ADDRESS_LEN` bytes, the size of `address`, which outlives the call.
        let result =
            unsafe { libc::bind(socket.socket.as_raw_fd(), (&raw const address).cast(), ADDRESS_LEN) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
    }

    /// Sends an IP packet exactly as it is.
    fn send(&self, packet: &[u8]) -> io::Result<()> {
        let is_ipv6 = packet.first().is_some_and(|byte| byte >> 4 == 6);
        let address = self.address(if is_ipv6 { ETH_P_IPV6 } else { ETH_P_IP });
        // SAFETY: the kernel reads the given lengths of `packet` and `address`, which outlive the call.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                0,
                (&raw const address).cast(),
                ADDRESS_LEN,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits for the next packet.
    fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Passed<'b>> {
        let mut from = empty_address();
        let mut from_len = ADDRESS_LEN;
        // SAFETY: the kernel writes at most the given lengths to `buffer` and to `from`, which outlive the call.
        let received = unsafe {
            libc::recvfrom(
                self.socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                0,
                (&raw mut from).cast(),
                &raw mut from_len,
            )
        };
        let len = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        let (header, bytes) = buffer
            .get(..len)
            .and_then(|read| read.split_first_chunk())
            .ok_or_else(|| io::Error::other("a packet without virtio-net header"))?;
        Ok(Passed {
            outgoing: from.sll_pkttype == libc::PACKET_OUTGOING,
            offload: Offload::decode(header),
            bytes,
        })
    }

    fn address(&self, protocol: u16) -> libc::sockaddr_ll {
        libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: protocol.to_be(),
            sll_ifindex: self.interface_index,
            ..empty_address()
        }
    }

    fn set(&self, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
        let len = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: the kernel reads `len` bytes, the size of `value`, which outlives the call.
        let result =
            unsafe { libc::setsockopt(self.socket.as_raw_fd(), level, name, (&raw const value).cast(), len) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Offload {
    fn decode(header: &[u8; VIRTIO_HEADER_LEN]) -> Self {
        const NEEDS_CHECKSUM: u8 = 1;
        // Packet sockets write the header in the byte order of the machine.
        let [flags, gso_type, _, _, size @ .., start0, start1, offset0, offset1] = *header;
        Self {
            gso_type,
            gso_size: u16::from_ne_bytes(size),
            checksum: (flags & NEEDS_CHECKSUM != 0)
                .then_some((u16::from_ne_bytes([start0, start1]), u16::from_ne_bytes([offset0, offset1]))),
        }
    }
}

fn index_of(interface: &str) -> io::Result<c_int> {
    let name = CString::new(interface)?;
    // SAFETY: `name` is a string with a closing zero that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    c_int::try_from(index).map_err(io::Error::other)
}

fn empty_address() -> libc::sockaddr_ll {
    // SAFETY: `sockaddr_ll` is plain integers, for which all zeros are a valid value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtio_header_describes_the_remaining_work() {
        let [size0, size1] = 1400_u16.to_ne_bytes();
        let [start0, start1] = 20_u16.to_ne_bytes();
        let [offset0, offset1] = 16_u16.to_ne_bytes();
        let header = [1, 4, 0, 0, size0, size1, start0, start1, offset0, offset1];
        let offload = Offload { gso_type: 4, gso_size: 1400, checksum: Some((20, 16)) };
        assert_eq!(Offload::decode(&header), offload);
    }

    #[test]
    fn a_checksum_that_is_already_verified_is_not_remaining_work() {
        assert_eq!(Offload::decode(&[2, 0, 0, 0, 0, 0, 1, 1, 1, 1]).checksum, None);
    }
}
