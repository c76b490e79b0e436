//! UDP datagrams: sent with any content, alone or segmented by the kernel, and received.

use std::ffi::c_int;
use std::io::{self, BufRead, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use crate::number;

/// Of linux/udp.h.
const UDP_NO_CHECK6_TX: c_int = 101;

/// Sends each line of `input` from `local` to `remote`: `HEX` is one datagram, `SIZE HEX` is segmented into datagrams of SIZE
/// bytes, the last of which may be shorter, in one send (`UDP_SEGMENT` in udp(7)).
///
/// The socket is not connected, so that an ICMP answer to an earlier datagram does not fail a later one.
pub(crate) fn send(local: SocketAddr, remote: SocketAddr, input: impl BufRead) -> io::Result<()> {
    send_by(&UdpSocket::bind(local)?, remote, input)
}

/// The same over IPv6, without checksums, as some tunnels of the kernel send (RFC 6935).
pub(crate) fn send_unchecked(local: SocketAddr, remote: SocketAddr, input: impl BufRead) -> io::Result<()> {
    let socket = UdpSocket::bind(local)?;
    set(&socket, UDP_NO_CHECK6_TX, 1)?;
    send_by(&socket, remote, input)
}

fn send_by(socket: &UdpSocket, remote: SocketAddr, input: impl BufRead) -> io::Result<()> {
    for (index, line) in input.lines().enumerate() {
        let line = line?;
        let (size, bytes) = match line.split_once(' ') {
            Some((size, bytes)) => (number(size)?, decode_hex(bytes)?),
            None => (0_u16, decode_hex(&line)?),
        };
        // Later sends are segmented into datagrams of so many bytes; 0 leaves them whole.
        set(socket, libc::UDP_SEGMENT, size.into())?;
        socket
            .send_to(&bytes, remote)
            .map_err(|error| io::Error::new(error.kind(), format!("send {index}: {error}")))?;
    }
    Ok(())
}

/// Sets an option of UDP.
fn set(socket: &UdpSocket, option: c_int, value: c_int) -> io::Result<()> {
    let len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes, the size of `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, option, (&raw const value).cast(), len)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Prints each datagram that arrives at `local` as `FROM HEX`.
pub(crate) fn receive(local: SocketAddr, output: &mut impl Write) -> io::Result<()> {
    let socket = UdpSocket::bind(local)?;
    writeln!(output, "ready")?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let (len, from) = socket.recv_from(&mut buffer)?;
        writeln!(output, "{from} {}", encode_hex(buffer.get(..len).unwrap_or_default()))?;
        output.flush()?;
    }
}

/// Decodes bytes written as two hexadecimal digits each.
pub(crate) fn decode_hex(text: &str) -> io::Result<Vec<u8>> {
    let wrong = || io::Error::other(format!("not bytes in hex: {text}"));
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|value| value as u8))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(wrong());
    }
    Ok(pairs.map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xF)]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_size_arrives_as_datagrams_of_that_size() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let to = receiver.local_addr().unwrap();
        send("127.0.0.1:0".parse().unwrap(), to, &b"2 0102030405\n\nff\n"[..]).unwrap();
        let mut buffer = [0; 16];
        let mut next = || receiver.recv(&mut buffer).map(|len| buffer[..len].to_vec()).unwrap();
        let arrived = [next(), next(), next(), next(), next()];
        assert_eq!(arrived, [vec![1, 2], vec![3, 4], vec![5], vec![], vec![0xFF]]);
    }

    #[test]
    fn encoded_bytes_are_decoded_to_the_same_bytes() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(decode_hex(&encode_hex(&bytes)).unwrap(), bytes);
    }

    #[test]
    fn an_empty_line_has_no_bytes() {
        assert_eq!(decode_hex("").unwrap(), Vec::<u8>::new());
    }

    #[test]
    fn half_a_byte_and_other_letters_are_errors() {
        assert!(decode_hex("123").is_err());
        assert!(decode_hex("0g").is_err());
    }
}
