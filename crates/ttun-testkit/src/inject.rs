//! Packets that an interface sends as they are. By a TUN device that means: the program behind it reads them.

use std::io::{self, BufRead};

use crate::hex;
use crate::packet_socket::PacketSocket;

/// Has `interface` send each line of `input`.
pub(crate) fn inject(interface: &str, input: impl BufRead) -> io::Result<()> {
    let socket = PacketSocket::sender(interface)?;
    for (index, line) in input.lines().enumerate() {
        socket
            .send(&hex::decode(&line?)?)
            .map_err(|error| io::Error::new(error.kind(), format!("packet {index}: {error}")))?;
    }
    Ok(())
}
