//! Notices of changed interfaces.

use std::io;
use std::os::fd::AsRawFd;

use ttun_link::Notices;

use ttun_testkit::run;

use crate::isolated;

/// How long to wait for a notice, ms.
const LIMIT: libc::c_int = 10_000;

fn is_readable(notices: &Notices, limit: libc::c_int) -> bool {
    let mut wanted = libc::pollfd { fd: notices.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one `struct pollfd`, which outlives the call.
    let ready = unsafe { libc::poll(&raw mut wanted, 1, limit) };
    ready == 1
}

/// Takes all notices and returns their number.
fn take_all(notices: &Notices) -> usize {
    for count in 0.. {
        match notices.take() {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return count;
            }
        }
    }
    unreachable!("it ends with an error")
}

#[test]
fn an_interface_that_appears_or_disappears_is_noticed() {
    isolated(|| {
        let notices = Notices::of_links().unwrap();
        take_all(&notices);
        for change in ["ip tuntap add dev tun1 mode tun", "ip link delete tun1"] {
            run(change);
            assert!(is_readable(&notices, LIMIT), "{change}");
            assert!(take_all(&notices) > 0, "{change}");
        }
    });
}

#[test]
fn lost_notices_count_as_one() {
    isolated(|| {
        let notices = Notices::of_links().unwrap();
        let lines = ["link set lo mtu 1500\nlink set lo mtu 1600\n"; 1000].concat();
        let file = std::env::temp_dir().join(format!("ttun-link-{}.batch", std::process::id()));
        std::fs::write(&file, lines).unwrap();
        run(&format!("ip -batch {}", file.display()));
        std::fs::remove_file(&file).unwrap();
        assert!((1..2000).contains(&take_all(&notices)), "the kernel has not kept all of them");
        run("ip tuntap add dev tun1 mode tun");
        assert!(is_readable(&notices, LIMIT), "later ones arrive");
    });
}
