//! A network namespace that lives as long as a test.

use std::io;
use std::process::Command;
use std::thread;

/// Runs `test` in a fresh network namespace that has `tun0`, down, and nothing that the kernel does of its own
/// accord.
///
/// A thread of its own enters the namespace, and all that it starts with it; the namespace ends with them.
pub(crate) fn isolated(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            // SAFETY: changes the network namespace of this thread alone, which nothing else uses.
            let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            let error = io::Error::last_os_error();
            assert!(result == 0, "this test must be run as root: no network namespace can be made ({error})");
            run("ip link set lo up");
            run("ip tuntap add dev tun0 mode tun");
            run("ip link set tun0 addrgenmode none");
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

/// All that iproute2 can tell about `tun0` and the routes through it.
pub(crate) fn state() -> String {
    // The kernel gives an interface its queueing discipline when it first comes up, for good.
    let device = run("ip -details -json address show dev tun0").replace("\"noop\"", "\"pfifo_fast\"");
    // The kernel adds an IPv6 address to the table `local` in a task of its own, some time later.
    let routes = [("-4", "all"), ("-6", "main")]
        .map(|(family, table)| run(&format!("ip {family} -details -json route show table {table} dev tun0")));
    format!("{device}{}", routes.concat())
}

/// The number of interface `name`.
pub(crate) fn index(name: &str) -> u32 {
    ttun_link::find(name).unwrap().unwrap().index
}

/// Gives this thread, and those it starts, to a user without privileges.
pub(crate) fn become_user(user: libc::uid_t) {
    const KEEP: libc::c_long = -1;
    // SAFETY: the raw call, unlike the C library's, changes this thread alone; it takes no pointers.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, user, user, KEEP) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}
