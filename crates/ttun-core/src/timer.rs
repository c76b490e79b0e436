//! A timer that is more precise than the runtime's milliseconds.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::io::Readiness;

/// A timer of the kernel (timerfd_create(2)).
pub(crate) struct Timer(Readiness<Descriptor>);

struct Descriptor(TimerFd);

impl Timer {
    /// A timer within the current runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Readiness::new(Descriptor(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?)).map(Self)
    }

    /// Resolves after `ns`.
    pub(crate) async fn after(&self, ns: u64) -> io::Result<()> {
        let timer = &self.0.get().0;
        let expiration = Expiration::OneShot(TimeSpec::from_duration(Duration::from_nanos(ns.max(1))));
        // This also clears an expiration that was not waited for.
        timer.set(expiration, TimerSetTimeFlags::empty())?;
        loop {
            match self.0.try_read(|descriptor| Ok(descriptor.0.wait()?)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.readable().await?,
                expired => return expired,
            }
        }
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
