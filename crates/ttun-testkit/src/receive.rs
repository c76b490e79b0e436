//! UDP datagrams as they arrive.

use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};

use crate::hex;

/// Prints each datagram that arrives at `local` as `FROM HEX`.
pub(crate) fn receive(local: SocketAddr, output: &mut impl Write) -> io::Result<()> {
    let socket = UdpSocket::bind(local)?;
    writeln!(output, "ready")?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let (len, from) = socket.recv_from(&mut buffer)?;
        writeln!(output, "{from} {}", hex::encode(buffer.get(..len).unwrap_or_default()))?;
        output.flush()?;
    }
}
