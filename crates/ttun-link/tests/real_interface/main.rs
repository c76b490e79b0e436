//! Real interfaces, each test in a network namespace of its own, looked at with iproute2.
//!
//! Needs root, `/dev/net/tun` and iproute2; without them the tests fail and say so.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests are tests too")]

mod configure;
mod inspect;
mod notices;
mod restore;
mod undo;

use ttun_testkit::run;

/// Runs `test` in a fresh network namespace that has `tun0`, down and without addresses that the kernel generates.
fn isolated(test: impl FnOnce() + Send) {
    ttun_testkit::isolated(|| {
        run("ip tuntap add dev tun0 mode tun");
        run("ip link set tun0 addrgenmode none");
        test();
    });
}

/// All that iproute2 shows of `tun0` and the routes through it.
fn state() -> String {
    // The kernel gives an interface its queueing discipline when it first comes up, for good.
    let device = run("ip -details -json address show dev tun0").replace("\"noop\"", "\"pfifo_fast\"");
    // The kernel adds an IPv6 address to the table `local` in a work queue, some time later.
    let routes = [("-4", "all"), ("-6", "main")]
        .map(|(family, table)| run(&format!("ip {family} -details -json route show table {table} dev tun0")));
    format!("{device}{}", routes.concat())
}

/// The index of interface `name`.
fn index(name: &str) -> u32 {
    ttun_link::find(name).unwrap().unwrap().index
}
