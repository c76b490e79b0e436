//! Another program that uses the device, without this crate's code.

use std::ffi::{c_int, c_ulong};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// How long to wait for what must come.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

pub(crate) const IFF_PLAIN: c_int = libc::IFF_TUN | libc::IFF_NO_PI;

/// A descriptor attached to a TUN device.
pub(crate) struct OtherProgram(File);

impl OtherProgram {
    /// Attaches with `flags`.
    pub(crate) fn attach(name: &str, flags: c_int) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .unwrap_or_else(|error| panic!("this test needs /dev/net/tun: {error}"));
        let mut request = [0_u8; size_of::<libc::ifreq>()];
        request[..name.len()].copy_from_slice(name.as_bytes());
        request[libc::IFNAMSIZ..libc::IFNAMSIZ + 2]
            .copy_from_slice(&(flags.cast_unsigned() as u16).to_ne_bytes());
        control(&file, libc::TUNSETIFF, request.as_mut_ptr() as c_ulong)?;
        Ok(Self(file))
    }

    /// Attaches as programs did before there were offloads: packets and nothing else.
    pub(crate) fn plain(name: &str) -> Self {
        Self::attach(name, IFF_PLAIN).unwrap()
    }

    pub(crate) fn set_header_len(&self, mut len: c_int) {
        control(&self.0, libc::TUNSETVNETHDRSZ, &raw mut len as c_ulong).unwrap();
    }

    pub(crate) fn header_len(&self) -> c_int {
        let mut len = 0;
        control(&self.0, libc::TUNGETVNETHDRSZ, &raw mut len as c_ulong).unwrap();
        len
    }

    /// Lengths of the next `count` reads.
    pub(crate) fn read_lens(&mut self, count: usize) -> Vec<usize> {
        let mut buffer = vec![0; 70_000];
        (0..count)
            .map(|_| {
                await_readable(self.0.as_raw_fd());
                self.0.read(&mut buffer).unwrap()
            })
            .collect()
    }
}

fn await_readable(descriptor: c_int) {
    let mut wanted = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: one `struct pollfd`, which outlives the call.
    let ready = unsafe { libc::poll(&raw mut wanted, 1, LIMIT.as_millis() as c_int) };
    assert_eq!(ready, 1, "nothing to read from the device");
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "never came to be: {what}");
        std::thread::yield_now();
    }
}

/// `argument` is a pointer to what `request` reads or writes, which outlives the call.
fn control(file: &File, request: libc::Ioctl, argument: c_ulong) -> io::Result<()> {
    // SAFETY: the caller gives the argument that this request takes.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
