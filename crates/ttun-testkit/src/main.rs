//! `ttun-probe`: functions that the tests of whole tunnels need and Node lacks. Bytes are written as hex, one item per line.
//!
//! ```text
//! ttun-probe inject INTERFACE           sends each line of input as a packet through the interface
//! ttun-probe capture INTERFACE          prints each packet that passes the interface, both ways
//! ttun-probe send LOCAL REMOTE          each line of input is one UDP send: HEX, or SIZE HEX to segment it into datagrams
//! ttun-probe send-unchecked LOCAL REMOTE  the same over IPv6, without checksums
//! ttun-probe receive LOCAL              prints each UDP datagram that arrives
//! ttun-probe relay LOCAL REMOTE LOCAL REMOTE MS  forwards datagrams between two peers after a delay; input: lose, pass
//! ttun-probe leave-device TUN SIZE      leaves a TUN device with virtio-net headers of SIZE bytes and all offloads on
//! ttun-probe hold-device TUN            stays attached to a TUN device, with one of its queues if it has several
//! ttun-probe notify-socket ADDRESS      prints messages to the service manager (sd_notify(3))
//! ```
//!
//! `capture`, `receive`, `relay`, `hold-device` and `notify-socket` print `ready` once they are listening, and run
//! until they are killed. The others end with their input. Errors go to standard error, with exit status 1.

mod packets;
mod relay;
mod udp;

use std::ffi::{c_int, c_uint, c_ulong};
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error closed, the exit status is enough.
            let _ = writeln!(io::stderr(), "ttun-probe {}: {error}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> io::Result<()> {
    match arguments {
        ["inject", interface] => packets::inject(interface, io::stdin().lock()),
        ["capture", interface] => packets::capture(interface, &mut io::stdout().lock()),
        ["send", local, remote] => udp::send(address(local)?, address(remote)?, io::stdin().lock()),
        ["send-unchecked", local, remote] => {
            udp::send_unchecked(address(local)?, address(remote)?, io::stdin().lock())
        }
        ["receive", local] => udp::receive(address(local)?, &mut io::stdout().lock()),
        ["relay", near, near_remote, far, far_remote, delay] => relay::relay(
            [(address(near)?, address(near_remote)?), (address(far)?, address(far_remote)?)],
            Duration::from_millis(number(delay)?),
            io::stdin().lock(),
            &mut io::stdout().lock(),
        ),
        ["leave-device", tun, size] => leave_device(tun, number(size)?),
        ["hold-device", tun] => hold_device(tun),
        ["notify-socket", address] => notify_socket(address, &mut io::stdout().lock()),
        _ => Err(io::Error::other("unknown command, or wrong number of arguments")),
    }
}

fn address(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(|_| io::Error::other(format!("{text} is not an address with a port")))
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("{text} is not a number in range")))
}

/// All that drivers/net/tun.c can offload.
const OFFLOADS: c_uint = libc::TUN_F_CSUM
    | libc::TUN_F_TSO4
    | libc::TUN_F_TSO6
    | libc::TUN_F_TSO_ECN
    | libc::TUN_F_USO4
    | libc::TUN_F_USO6;

/// Attaches to the device `name` with virtio-net headers of `header_len` bytes and all offloads, and detaches, which leaves them set
/// on a persistent device.
fn leave_device(name: &str, header_len: c_int) -> io::Result<()> {
    let tun = attach(name, libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR)?;
    // SAFETY: TUNSETVNETHDRSZ reads one int through the pointer.
    checked(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const header_len) })?;
    // SAFETY: TUNSETOFFLOAD takes its argument by value, as an unsigned long, and no pointer.
    checked(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, c_ulong::from(OFFLOADS)) })
}

/// Stays attached to the device `name`, with one queue if it has several.
fn hold_device(name: &str) -> io::Result<()> {
    let plain = libc::IFF_TUN | libc::IFF_NO_PI;
    // A device of several queues accepts only users that request one of them (`tun_set_iff`).
    let _attached = attach(name, plain).or_else(|_| attach(name, plain | libc::IFF_MULTI_QUEUE))?;
    writeln!(io::stdout(), "ready")?;
    loop {
        std::thread::park();
    }
}

fn attach(name: &str, flags: c_int) -> io::Result<File> {
    let tun = File::options().read(true).write(true).open("/dev/net/tun")?;
    let request = request(name, flags);
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, which `request` is.
    checked(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw const request) })?;
    Ok(tun)
}

fn request(name: &str, flags: c_int) -> libc::ifreq {
    // SAFETY: `struct ifreq` is plain bytes for which all zeros are a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero: names have at most IFNAMSIZ - 1 bytes.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    request
}

fn checked(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Prints each message to the service manager, which Node has no sockets for, that arrives at `address` (a path, or an abstract name
/// after `@`), as `USEC MESSAGE`: the time by CLOCK_MONOTONIC, and its lines joined by `|`.
fn notify_socket(address: &str, output: &mut impl Write) -> io::Result<()> {
    let socket = match address.strip_prefix('@') {
        Some(name) => UnixDatagram::bind_addr(&UnixAddress::from_abstract_name(name)?)?,
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
