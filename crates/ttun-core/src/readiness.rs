//! Readiness of one descriptor in the tokio runtime of the thread that waits for it.
//!
//! A descriptor is registered with epoll only by the thread that waits for it and only for what it waits
//! for. A UDP socket is "writable" again after every datagram that leaves it (`sock_def_write_space` in
//! net/core/sock.c), so a standing interest in that would wake the thread once for each send: it is
//! registered only while a send is blocked, on a duplicate descriptor, as epoll takes each one once.

use std::cell::OnceCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Errors are handed to the reader: a deleted device, an ICMP answer to an earlier datagram.
const READ: Interest = Interest::READABLE.add(Interest::ERROR);

/// Waits for readiness of one descriptor. Belongs to one thread.
pub(crate) struct Readiness<T: AsRawFd> {
    inner: Arc<T>,
    readable: OnceCell<AsyncFd<Arc<T>>>,
}

impl<T: AsRawFd + AsFd> Readiness<T> {
    pub(crate) fn new(inner: Arc<T>) -> Self {
        Self { inner, readable: OnceCell::new() }
    }

    pub(crate) fn get(&self) -> &T {
        &self.inner
    }

    /// Runs a read that does not block. After `WouldBlock`, [`Self::readable`] waits for something new.
    pub(crate) fn try_read<R>(&self, mut read: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let Some(registered) = self.readable.get() else { return read(&self.inner) };
        // Asked one by one: tokio's try_io never finds a combined interest ready (`Interest::mask`).
        match registered.try_io(Interest::READABLE, |inner| read(inner)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                registered.try_io(Interest::ERROR, |inner| read(inner))
            }
            done => done,
        }
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        let registered = if let Some(registered) = self.readable.get() {
            registered
        } else {
            let registered = register(Arc::clone(&self.inner), READ)?;
            self.readable.get_or_init(|| registered)
        };
        registered.ready(READ).await?.retain_ready();
        Ok(())
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        let Ok(duplicate) = self.inner.as_fd().try_clone_to_owned() else {
            // The process has no descriptor left to wait with; looking again soon does as well.
            tokio::time::sleep(Duration::from_millis(1)).await;
            return Ok(());
        };
        register(duplicate, Interest::WRITABLE)?.writable().await?.retain_ready();
        Ok(())
    }
}

fn register<F: AsRawFd>(descriptor: F, interest: Interest) -> io::Result<AsyncFd<F>> {
    // SAFETY: what is registered owns its descriptor (an `OwnedFd`, a device or a socket behind an `Arc`), so
    // it stays open, and the same, until the registration is dropped.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(|refused| refused.into_parts().1)
}
