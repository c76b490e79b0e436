//! `ttun` without Node: carries one tunnel until a signal or an error ends it.

mod quantity;

use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use ttun_core::{
    Direction, End, Endpoint, Error, ErrorKind, Level, PacketTap, ProbeOptions, QueueOptions, Remote,
    TapOptions, TappedPacket, Tunnel, TunnelOptions, grouped,
};

use crate::quantity::{parse_polling_time, parse_rate};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let failure = match parse(std::env::args().skip(1).collect()) {
        Ok(Request::Print(text)) => {
            writeln!(io::stdout(), "{text}").err().map(|cause| (1, cause.to_string()))
        }
        Ok(Request::Run { options, quiet }) => run(&options, quiet).await.err(),
        Err(problem) => Some((2, format!("{problem} (see ttun --help)"))),
    };
    let Some((exit_code, line)) = failure else { return ExitCode::SUCCESS };
    say(Level::Error, &[line]);
    ExitCode::from(exit_code)
}

/// The tunnel has its own thread; this one waits, and prints packets. Errors have an exit code.
async fn run(options: &TunnelOptions, quiet: bool) -> Result<(), (u8, String)> {
    let listen = |kind| signal(kind).map_err(|cause| (1, cause.to_string()));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    // Closing a terminal would otherwise kill the process, and leave the device with its offloads on.
    let mut hangup = listen(SignalKind::hangup())?;

    let tunnel = Tunnel::open(options).map_err(|error| failure(&error))?;
    let (ended, passed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (end, pass) = (Arc::clone(&ended), Arc::clone(&passed));
    tunnel.on_end(move |_| end.notify_one());
    let (record, mut changes) = mpsc::unbounded_channel();
    tunnel.on_change(move |change| {
        let _ = record.send(change.clone());
    });
    let mut tap = if quiet { None } else { tunnel.tap(PRINTED, move || pass.notify_one()).ok() };
    let stats = tunnel.stats();
    say(Level::Info, &[stats.attached()]);
    say(Level::Info, tunnel.advice().as_slice());
    if let Some(problem) = tunnel.problem() {
        say(Level::Warning, &[with_hint(&problem)]);
    }
    loop {
        tokio::select! {
            () = passed.notified() => tap = tap.and_then(print_packets),
            Some(change) = changes.recv() => {
                if change.level > Level::Info {
                    say(change.level, &[change.message]);
                }
            }
            () = ended.notified() => break,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => break,
        }
    }
    let end = tunnel.close();
    tap.and_then(print_packets);
    if let End::Failed(error) = end {
        return Err(failure(&error));
    }
    say(Level::Info, &tunnel.stats().summary());
    Ok(())
}

fn failure(error: &Error) -> (u8, String) {
    let exit_code = if error.kind() == ErrorKind::InvalidOptions { 2 } else { 1 };
    (exit_code, with_hint(error))
}

fn with_hint(error: &Error) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
}

/// Prints messages to standard error, with their priority if that is the journal; a closed standard error does not end the tunnel.
fn say(level: Level, lines: &[impl std::fmt::Display]) {
    let priority = if is_journal() { format!("<{}>", level.priority()) } else { String::new() };
    for line in lines {
        let _ = writeln!(io::stderr(), "{priority}ttun: {line}");
    }
}

/// Whether standard error is the stream to the journal that systemd gave this program (systemd.exec(5): JOURNAL_STREAM; sd-daemon(3)).
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let file = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let metadata = file.and_then(|file| file.metadata());
    metadata.is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
}

const HELP: &str = "Usage: ttun [-q] [--probe <address>] [--rate <rate>] [--busy-poll <time>]
            <tun> <local-ip> <local-port> <remote-ip> <remote-port>
       ttun [-q] [--probe <address>] [--rate <rate>] [--busy-poll <time>]
            --peers <networks> <tun> <local-ip> <local-port> learn

Joins a TUN device to a UDP socket: each IP packet travels as one datagram. Two of them make a tunnel.
Prints packets as they pass, at most ten a second; -q prints none. --probe pings an address of the peer inside the tunnel every second,
which keeps entries of NAT and firewalls alive. --rate '18 Mbit/s' paces datagrams to a rate a little below that of a bottleneck which is
not in this host. --busy-poll 50us polls for that long after the last packet before it sleeps: answers come sooner, at the cost of
processor time. Ctrl-C ends it with a summary.
With learn, the peer is whoever sends first from one of the networks: 203.0.113.0/24,198.51.100.7.";

const VERSION: &str =
    concat!("ttun ", env!("CARGO_PKG_VERSION"), ", without Node, ", env!("TTUN_BUILD_TARGET"));

/// The request in the arguments.
enum Request {
    Print(&'static str),
    Run { options: Box<TunnelOptions>, quiet: bool },
}

fn parse(arguments: Vec<String>) -> Result<Request, String> {
    let (mut quiet, mut probe, mut rate, mut busy_poll) = (false, None, None, None);
    let (mut peers, mut rest) = (None, Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.split_once('=').map_or((argument.as_str(), None), |(name, value)| (name, Some(value)))
        {
            ("-h" | "--help", None) => return Ok(Request::Print(HELP)),
            ("-V" | "--version", None) => return Ok(Request::Print(VERSION)),
            ("-q" | "--quiet", None) => quiet = true,
            ("--probe", value) => {
                let address = value.map(str::to_owned).or_else(|| arguments.next());
                probe = Some(probe_of(&address.ok_or("--probe needs a value: --probe <address>")?)?);
            }
            ("--peers", value) => {
                let list = value.map(str::to_owned).or_else(|| arguments.next());
                peers = Some(networks(&list.ok_or("--peers needs a value: --peers <networks>")?)?);
            }
            ("--rate", value) => {
                let value = value.map(str::to_owned).or_else(|| arguments.next());
                let value = value.ok_or("--rate needs a value: --rate <rate>")?;
                rate = Some(parse_rate(&value).map_err(|problem| format!("--rate: {problem}"))?);
            }
            ("--busy-poll", value) => {
                let value = value.map(str::to_owned).or_else(|| arguments.next());
                let value = value.ok_or("--busy-poll needs a value: --busy-poll <time>")?;
                busy_poll =
                    Some(parse_polling_time(&value).map_err(|problem| format!("--busy-poll: {problem}"))?);
            }
            _ if argument.starts_with('-') => return Err(format!("there is no option {argument}")),
            _ => rest.push(argument),
        }
    }
    let operands: Vec<_> = rest.iter().map(String::as_str).collect();
    let (device, local_ip, local_port, remote) = match (operands.as_slice(), peers) {
        (&[device, ip, port, "learn"], Some(peers)) => (device, ip, port, Remote::Learn(peers)),
        ([_, _, _, "learn"], None) => return Err(FROM_ANYWHERE.to_owned()),
        (&[device, ip, port, remote_ip, remote_port], None) => {
            (device, ip, port, endpoint("remote", remote_ip, remote_port)?.into())
        }
        (_, Some(_)) => return Err(NOT_LEARNED.to_owned()),
        (given, None) => return Err(format!("expected five arguments, not {}", given.len())),
    };
    let local = endpoint("local", local_ip, local_port)?;
    let queue = QueueOptions { rate, ..QueueOptions::default() };
    let options = TunnelOptions { probe, queue, busy_poll, ..TunnelOptions::plain(device, local, remote) };
    Ok(Request::Run { options: Box::new(options), quiet })
}

const FROM_ANYWHERE: &str = "<remote-ip>: without peers, anyone on the internet could become the peer; \
                             add the networks from which it may send: --peers 203.0.113.0/24";

const NOT_LEARNED: &str = "--peers: applies only if the peer is learned; \
                           give learn in place of the remote address and port, or omit --peers";

/// `203.0.113.0/24,198.51.100.7`
fn networks(list: &str) -> Result<Vec<(IpAddr, u8)>, String> {
    let network = |text: &str| {
        let (ip, length) = text.split_once('/').map_or((text, None), |(ip, length)| (ip, Some(length)));
        let ip: IpAddr = ip.parse().ok()?;
        let whole = if ip.is_ipv4() { 32 } else { 128 };
        Some((ip, length.map_or(Some(whole), |length| length.parse().ok())?))
    };
    let wrong =
        |text| format!("--peers: '{text}' is not a network; write it as 203.0.113.0/24 or 2001:db8::/48");
    list.split(',').map(str::trim).map(|text| network(text).ok_or_else(|| wrong(text))).collect()
}

fn probe_of(address: &str) -> Result<ProbeOptions, String> {
    let address = address.parse().map_err(|_| {
        format!("--probe: '{address}' is not an IP address; write it as 192.0.2.1 or 2001:db8::1")
    })?;
    Ok(ProbeOptions { address, interval: Duration::from_secs(1), len: None })
}

/// A link-local address includes its interface: `fe80::1%eth0`.
fn endpoint(side: &str, ip: &str, port: &str) -> Result<Endpoint, String> {
    let number = port.parse().ok().filter(|number: &u16| *number > 0);
    let number = number
        .ok_or_else(|| format!("<{side}-port>: '{port}' is not a UDP port; give a number from 1 to 65535"))?;
    let (address, zone) = match ip.split_once('%') {
        Some((address, zone)) => (address, Some(zone.to_owned())),
        None => (ip, None),
    };
    let address = address.parse().ok().filter(|address: &IpAddr| zone.is_none() || address.is_ipv6());
    let address = address.ok_or_else(|| {
        format!("<{side}-ip>: '{ip}' is not an IP address; write it as 192.0.2.1 or 2001:db8::1")
    })?;
    Ok(Endpoint { ip: address, port: number, zone })
}

/// Few packets, so that printing costs nothing under load; only the IP header of each.
const PRINTED: TapOptions =
    TapOptions { snap_length: 40, capacity: 64, packets_per_second: Some(10), direction: None };

/// Prints the packets that have passed. Ends the tap when standard output is closed.
fn print_packets(tap: PacketTap) -> Option<PacketTap> {
    let tapped = tap.take();
    let lines: String = tapped.packets.iter().map(packet_line).collect();
    if io::stdout().write_all(lines.as_bytes()).is_err() {
        let line = "standard output was closed; packets are no longer printed, the tunnel continues";
        say(Level::Warning, &[line]);
        return None;
    }
    if tapped.left_out > 0 {
        say(Level::Info, &[format!("{} more packets", grouped(tapped.left_out))]);
    }
    Some(tap)
}

fn packet_line(TappedPacket { direction, data, len, .. }: &TappedPacket) -> String {
    let direction = if *direction == Direction::Outbound { "Out" } else { "In " };
    format!("{direction} {}, length {len}\n", ipv4(data).or_else(|| ipv6(data)).unwrap_or_default())
}

/// RFC 791, section 3.1.
fn ipv4(data: &[u8]) -> Option<String> {
    let [0x40..0x50, .., protocol, _, _, s1, s2, s3, s4, d1, d2, d3, d4] = data.first_chunk::<20>()? else {
        return None;
    };
    let [source, destination] =
        [[s1, s2, s3, s4], [d1, d2, d3, d4]].map(|bytes| Ipv4Addr::from(bytes.map(|b| *b)));
    Some(format!("IP {source} > {destination}: protocol {protocol}"))
}

/// RFC 8200, section 3.
fn ipv6(data: &[u8]) -> Option<String> {
    let ([0x60..0x70, _, _, _, _, _, protocol, _], addresses) = data.split_first_chunk::<8>()? else {
        return None;
    };
    let [source, destination] =
        [addresses.first_chunk::<16>()?, addresses.last_chunk::<16>()?].map(|b| Ipv6Addr::from(*b));
    Some(format!("IP6 {source} > {destination}: protocol {protocol}"))
}
