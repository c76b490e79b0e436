//! A network namespace that lives as long as a test.

use std::fs;
use std::io;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// One test at a time: a child that another test has forked holds all descriptors of this process until it
/// runs its own program, and devices stay busy with it.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `test` in a fresh network namespace, with loopback up and without unsolicited packets.
///
/// A thread of its own enters the namespace, and all that it starts with it; the namespace ends with them.
pub(crate) fn isolated(test: impl FnOnce() + Send) {
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

/// Runs a command line without quotes; says what it printed.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap();
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs {program} (iproute2): {error}"));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Gives this thread, and those it starts, to a user without privileges.
pub(crate) fn become_user(user: libc::uid_t) {
    const KEEP: libc::c_long = -1;
    // SAFETY: the raw call, unlike the C library's, changes this thread alone; it takes no pointers.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, user, user, KEEP) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}
