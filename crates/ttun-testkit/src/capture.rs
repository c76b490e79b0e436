//! What passes an interface.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::hex;
use crate::packet_socket::{Offload, PacketSocket};

/// Virtio-net header, and the longest packet: an IPv6 payload length does not count the header before it.
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
        let bytes = hex::encode(passed.bytes);
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
