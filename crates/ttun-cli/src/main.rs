//! `ttun` without Node: one tunnel, from here until a signal or a fault ends it.

mod arguments;
mod packets;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use ttun_core::{End, ErrorKind, Tunnel};

use arguments::Wish;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let problem = match arguments::parse(std::env::args().skip(1).collect()) {
        Ok(Wish::Text(text)) => writeln!(io::stdout(), "{text}").err().map(|cause| (1, cause.to_string())),
        Ok(Wish::Tunnel { options, quiet }) => carry(&options, quiet).await.err(),
        Err(problem) => Some((2, format!("{problem} (see ttun --help)"))),
    };
    let Some((exit_code, line)) = problem else { return ExitCode::SUCCESS };
    say(&[line]);
    ExitCode::from(exit_code)
}

/// The tunnel has a thread of its own; this one waits, and prints what passes.
async fn carry(options: &ttun_core::TunnelOptions, quiet: bool) -> Result<(), (u8, String)> {
    let listen = |kind| signal(kind).map_err(|cause| (1, cause.to_string()));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    // Closing a terminal would otherwise kill the process, and leave the device with its offloads on.
    let mut hangup = listen(SignalKind::hangup())?;

    let tunnel = Tunnel::open(options).map_err(|error| problem(&error))?;
    let (ended, passed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (end, pass) = (Arc::clone(&ended), Arc::clone(&passed));
    tunnel.on_end(move |_| end.notify_one());
    let mut tap = if quiet { None } else { tunnel.tap(packets::SHARE, move || pass.notify_one()).ok() };
    let stats = tunnel.stats();
    say(&[stats.attached()]);
    say(stats.advice().as_slice());
    loop {
        tokio::select! {
            () = passed.notified() => tap = tap.and_then(packets::print),
            () = ended.notified() => break,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => break,
        }
    }
    let end = tunnel.close();
    tap.and_then(packets::print);
    if let End::Failed(error) = end {
        return Err(problem(&error));
    }
    say(&tunnel.stats().summary());
    Ok(())
}

/// The exit code, and what to say.
fn problem(error: &ttun_core::Error) -> (u8, String) {
    let exit_code = if error.kind() == ErrorKind::InvalidOptions { 2 } else { 1 };
    (exit_code, error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}")))
}

/// For the person at the terminal, who may be gone, which is no reason to end.
fn say(lines: &[impl std::fmt::Display]) {
    for line in lines {
        let _ = writeln!(io::stderr(), "ttun: {line}");
    }
}
