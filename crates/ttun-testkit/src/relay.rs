//! A relay between two UDP sockets that delays datagrams, and loses them on request: a long path on one machine.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The relay's address on one side, and the peer there.
pub(crate) type Side = (SocketAddr, SocketAddr);

/// Forwards datagrams between both sides, each after `delay`. Lines of `input`: `lose` loses all datagrams from then on, `pass` none.
/// Ends with its input.
pub(crate) fn relay(
    sides: [Side; 2],
    delay: Duration,
    input: impl BufRead,
    output: &mut impl Write,
) -> io::Result<()> {
    let [one, other] = sides.map(|(local, remote)| open(local, remote));
    let (one, other) = (one?, other?);
    let loses = Arc::new(AtomicBool::new(false));
    for (from, to) in [(&one, &other), (&other, &one)] {
        let (sender, receiver) = channel();
        let (from, to, loses) = (from.try_clone()?, to.try_clone()?, Arc::clone(&loses));
        thread::spawn(move || receive(&from, &loses, delay, &sender));
        thread::spawn(move || forward(&to, &receiver));
    }
    writeln!(output, "ready")?;
    output.flush()?;
    for line in input.lines() {
        loses.store(line? == "lose", Ordering::Relaxed);
        writeln!(output, "done")?;
        output.flush()?;
    }
    Ok(())
}

fn open(local: SocketAddr, remote: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(local)?;
    socket.connect(remote)?;
    Ok(socket)
}

type Delayed = (Instant, Vec<u8>);

fn receive(socket: &UdpSocket, loses: &AtomicBool, delay: Duration, sender: &Sender<Delayed>) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        // An error is that of an earlier datagram, which the peer refused.
        let Ok(len) = socket.recv(&mut buffer) else { continue };
        let datagram = buffer.get(..len).unwrap_or_default().to_vec();
        if !loses.load(Ordering::Relaxed) && sender.send((Instant::now() + delay, datagram)).is_err() {
            return;
        }
    }
}

fn forward(socket: &UdpSocket, receiver: &Receiver<Delayed>) {
    let mut waiting: VecDeque<Delayed> = VecDeque::new();
    loop {
        let pause = waiting.front().map(|(at, _)| at.saturating_duration_since(Instant::now()));
        match receiver.recv_timeout(pause.unwrap_or(Duration::from_secs(3600))) {
            Ok(delayed) => waiting.push_back(delayed),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while waiting.front().is_some_and(|(at, _)| *at <= Instant::now()) {
            let _ = waiting.pop_front().map(|(_, datagram)| socket.send(&datagram));
        }
    }
}
