//! The service manager's end of sd_notify(3), which Node has no sockets for.

use std::io::{self, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Prints each message that arrives at `address` (a path, or an abstract name after `@`) as `USEC MESSAGE`: when it came,
/// by CLOCK_MONOTONIC, and its lines joined by `|`.
pub(crate) fn notify_socket(address: &str, output: &mut impl Write) -> io::Result<()> {
    let socket = match address.strip_prefix('@') {
        Some(name) => UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => UnixDatagram::bind(address)?,
    };
    writeln!(output, "ready")?;
    let mut buffer = [0; 4096];
    loop {
        let len = socket.recv(&mut buffer)?;
        let message = String::from_utf8_lossy(buffer.get(..len).unwrap_or_default()).replace('\n', "|");
        writeln!(output, "{} {message}", monotonic_usec()?)?;
        output.flush()?;
    }
}

fn monotonic_usec() -> io::Result<i64> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `struct timespec`, which outlives the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(now.tv_sec * 1_000_000 + now.tv_nsec / 1000) }
}
