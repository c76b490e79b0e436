//! `ttun-probe`: what the tests of whole tunnels need and Node can't do. Bytes are written as hex, one item a line.
//!
//! ```text
//! ttun-probe inject INTERFACE           each line of input is one packet that the interface sends
//! ttun-probe capture INTERFACE          prints each packet that passes the interface, both ways
//! ttun-probe send LOCAL REMOTE          each line of input is one UDP send: HEX, or SIZE HEX to have it cut into datagrams
//! ttun-probe receive LOCAL              prints each UDP datagram that arrives
//! ttun-probe leave-device TUN SIZE      leaves a TUN device with virtio-net headers of SIZE bytes and all offloads on
//! ttun-probe hold-device TUN            stays attached to a TUN device, with one of its queues where it has several
//! ttun-probe notify-socket ADDRESS      prints what is told to the service manager, as sd_notify(3) does
//! ```
//!
//! `capture`, `receive`, `hold-device` and `notify-socket` print `ready` when nothing can be missed any more, and run
//! until they are killed. The others end with their input. Whatever fails is said on standard error, with exit status 1.

mod capture;
mod hex;
mod inject;
mod notify_socket;
mod other_program;
mod packet_socket;
mod receive;
mod send;

use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "ttun-probe {}: {error}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> io::Result<()> {
    match arguments {
        ["inject", interface] => inject::inject(interface, io::stdin().lock()),
        ["capture", interface] => capture::capture(interface, &mut io::stdout().lock()),
        ["send", local, remote] => send::send(address(local)?, address(remote)?, io::stdin().lock()),
        ["receive", local] => receive::receive(address(local)?, &mut io::stdout().lock()),
        ["leave-device", tun, size] => other_program::leave_device(tun, number(size)?),
        ["hold-device", tun] => hold_device(tun),
        ["notify-socket", address] => notify_socket::notify_socket(address, &mut io::stdout().lock()),
        _ => Err(io::Error::other("unknown command, or not its number of arguments")),
    }
}

fn hold_device(name: &str) -> io::Result<()> {
    let _attached = other_program::hold_device(name)?;
    writeln!(io::stdout(), "ready")?;
    loop {
        std::thread::park();
    }
}

fn address(text: &str) -> io::Result<std::net::SocketAddr> {
    text.parse().map_err(|_| io::Error::other(format!("{text} is not an address with a port")))
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("{text} is not a number in range")))
}
