//! Network namespaces for the tests of other crates.
//!
//! These tests need root, `/dev/net/tun` and iproute2; without them they fail with a message.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests are tests too")]

use std::fs;
use std::io;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// One test at a time: a child process that another test has forked holds all descriptors of this process until it
/// executes its own program, and devices stay busy with it.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `test` in a fresh network namespace, with loopback up and without packets that the kernel sends on its own.
///
/// A separate thread enters the namespace, along with everything it starts; the namespace ends with them.
///
/// # Panics
/// When `test` does, or no namespace can be created.
pub fn isolated(test: impl FnOnce() + Send) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            // SAFETY: changes the network namespace of this thread alone, which nothing else uses.
            let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            let error = io::Error::last_os_error();
            assert!(
                result == 0,
                "this test must be run as root: no network namespace can be created ({error})"
            );
            run("ip link set lo up");
            // A device without a link-local address solicits no routers (1: IN6_ADDR_GEN_MODE_NONE).
            fs::write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1").unwrap();
            test();
        });
        if let Err(panic) = inside.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs a command line without quotes and returns what it printed.
///
/// # Panics
/// When the command fails.
#[allow(clippy::must_use_candidate, reason = "most commands are run for their effect")]
pub fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap();
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs {program} (iproute2): {error}"));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes this thread, and those it starts, run as a user without privileges.
///
/// # Panics
/// When that is not permitted.
pub fn become_user(user: libc::uid_t) {
    const KEEP: libc::c_long = -1;
    // SAFETY: the raw call, unlike the C library's, changes this thread alone; it takes no pointers.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, user, user, KEEP) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}
