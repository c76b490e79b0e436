//! UDP datagrams with any content, alone or as a run that the kernel cuts.

use std::ffi::c_int;
use std::io::{self, BufRead};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use crate::{hex, number};

/// Sends each line of `input` from `local` to `remote`: `HEX` is one datagram, `SIZE HEX` is cut into datagrams of SIZE
/// bytes, the last of which may be shorter, in one send (`UDP_SEGMENT` in udp(7)).
///
/// The socket is not connected, so what comes back for an earlier datagram does not disturb a later one.
pub(crate) fn send(local: SocketAddr, remote: SocketAddr, input: impl BufRead) -> io::Result<()> {
    let socket = UdpSocket::bind(local)?;
    for (index, line) in input.lines().enumerate() {
        let line = line?;
        let (size, bytes) = match line.split_once(' ') {
            Some((size, bytes)) => (number(size)?, hex::decode(bytes)?),
            None => (0, hex::decode(&line)?),
        };
        set_segment_size(&socket, size)?;
        socket
            .send_to(&bytes, remote)
            .map_err(|error| io::Error::new(error.kind(), format!("send {index}: {error}")))?;
    }
    Ok(())
}

/// Size in bytes of the datagrams that later sends are cut into; 0 leaves them whole.
fn set_segment_size(socket: &UdpSocket, size: u16) -> io::Result<()> {
    let value = c_int::from(size);
    let len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes, the size of `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, (&raw const value).cast(), len)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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
}
