//! The two ends of a tunnel's datagrams, which may change while it runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::lock::lock;

/// The two ends of the tunnel's datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    pub(crate) local: SocketAddr,
    /// The unspecified address of the family, and port 0, until a peer is learned.
    pub(crate) remote: SocketAddr,
}

impl Endpoints {
    /// Before a peer is learned.
    pub(crate) fn without_peer(local: SocketAddr) -> Self {
        let any: IpAddr =
            if local.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        Self { local, remote: SocketAddr::new(any, 0) }
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        (self.remote.port() != 0).then_some(self.remote)
    }
}

/// The way of a datagram from another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    /// The address of this host to which it was sent, and the port; of a link-local one with the interface.
    pub(crate) to: SocketAddr,
}

/// The endpoints, which other threads may change. The pumps look at the version only, once a batch.
pub(crate) struct SharedEndpoints {
    /// Incremented with each change, under the lock of `current`.
    version: AtomicU32,
    /// The version in which the peer became the present one.
    peer_since: AtomicU32,
    /// Locked for as long as a copy takes.
    current: Mutex<Endpoints>,
    /// Locked during a whole change, which makes system calls.
    changing: Mutex<()>,
}

impl SharedEndpoints {
    pub(crate) fn new(endpoints: Endpoints) -> Self {
        let (version, peer_since) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { version, peer_since, current: Mutex::new(endpoints), changing: Mutex::new(()) }
    }

    pub(crate) fn get(&self) -> Endpoints {
        *lock(&self.current)
    }

    /// The endpoints and their version.
    pub(crate) fn versioned(&self) -> (u32, Endpoints) {
        let current = lock(&self.current);
        (self.version.load(Ordering::Relaxed), *current)
    }

    /// The version in which the peer became the present one.
    pub(crate) fn peer_version(&self) -> u32 {
        self.peer_since.load(Ordering::Relaxed)
    }

    /// The endpoints, and the version in which the peer became the present one: since then only the local end has changed.
    pub(crate) fn with_peer_since(&self) -> (u32, Endpoints) {
        let current = lock(&self.current);
        (self.peer_since.load(Ordering::Relaxed), *current)
    }

    /// The endpoints, with their version, if that is not `seen`. Only then it locks, as a change must not be missed by a pump
    /// that is about to wait for a socket that was replaced.
    pub(crate) fn newer_than(&self, seen: u32) -> Option<(u32, Endpoints)> {
        if self.version.load(Ordering::Relaxed) == seen {
            return None;
        }
        Some(self.versioned())
    }

    /// Replaces the endpoints with the result of `change`. When it fails or returns the same, they stay.
    pub(crate) fn change<E>(&self, change: impl FnOnce(Endpoints) -> Result<Endpoints, E>) -> Result<(), E> {
        self.change_locked(&lock(&self.changing), change)
    }

    /// The same, unless another thread is changing them at this moment.
    pub(crate) fn try_change<E>(
        &self,
        change: impl FnOnce(Endpoints) -> Result<Endpoints, E>,
    ) -> Result<(), E> {
        match self.changing.try_lock() {
            Ok(changing) => self.change_locked(&changing, change),
            Err(TryLockError::Poisoned(changing)) => self.change_locked(changing.get_ref(), change),
            Err(TryLockError::WouldBlock) => Ok(()),
        }
    }

    /// Returns when no change is being made.
    pub(crate) fn await_change(&self) {
        drop(lock(&self.changing));
    }

    fn change_locked<E>(
        &self,
        _changing: &MutexGuard<'_, ()>,
        change: impl FnOnce(Endpoints) -> Result<Endpoints, E>,
    ) -> Result<(), E> {
        let before = self.get();
        let after = change(before)?;
        if after != before {
            let mut current = lock(&self.current);
            *current = after;
            let version = self.version.load(Ordering::Relaxed).wrapping_add(1);
            self.version.store(version, Ordering::Relaxed);
            if after.remote != before.remote {
                self.peer_since.store(version, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn endpoints(local: &str, remote: &str) -> Endpoints {
        Endpoints { local: local.parse().unwrap(), remote: remote.parse().unwrap() }
    }

    #[test]
    fn a_change_is_seen_once() {
        let shared = SharedEndpoints::new(endpoints("192.0.2.1:1", "192.0.2.2:2"));
        let (first, _) = shared.versioned();
        assert_eq!(shared.newer_than(first), None);
        let after = endpoints("192.0.2.1:1", "[fe80::1:2:3:4%7]:8000");
        shared.change(|_| Ok::<_, ()>(after)).unwrap();
        let (version, seen) = shared.newer_than(first).unwrap();
        assert_eq!(seen, after);
        assert_eq!(shared.newer_than(version), None);
    }

    #[test]
    fn another_local_end_is_not_another_peer() {
        let shared = SharedEndpoints::new(endpoints("192.0.2.1:1", "192.0.2.2:2"));
        let change = |local, remote| {
            shared.change(|_| Ok::<_, ()>(endpoints(local, remote))).unwrap();
            (shared.versioned().0, shared.with_peer_since().0)
        };
        assert_eq!(change("192.0.2.9:1", "192.0.2.2:2"), (1, 0));
        assert_eq!(change("192.0.2.9:1", "192.0.2.3:2"), (2, 2));
        assert_eq!(change("192.0.2.1:1", "192.0.2.3:2"), (3, 2));
    }

    #[test]
    fn a_change_that_fails_or_changes_nothing_is_not_seen() {
        let before = endpoints("192.0.2.1:1", "192.0.2.2:2");
        let shared = SharedEndpoints::new(before);
        let (first, _) = shared.versioned();
        assert_eq!(shared.change(|_| Err("no route")), Err("no route"));
        shared.change(Ok::<_, ()>).unwrap();
        assert_eq!((shared.newer_than(first), shared.get()), (None, before));
    }

    #[test]
    fn a_change_that_must_not_wait_is_skipped_during_another() {
        let shared = SharedEndpoints::new(endpoints("192.0.2.1:1", "192.0.2.2:2"));
        let after = endpoints("192.0.2.1:1", "192.0.2.3:3");
        let within = |now| shared.try_change(|_| Err("made")).map(|()| now);
        assert_eq!(shared.change(within), Ok(()));
        shared.try_change(|_| Ok::<_, ()>(after)).unwrap();
        assert_eq!(shared.get(), after);
    }

    #[test]
    fn two_endpoints_are_never_mixed() {
        let some = endpoints("192.0.2.1:1", "192.0.2.2:2");
        let other = endpoints("[2001:db8::1]:3", "[2001:db8::2]:4");
        let shared = SharedEndpoints::new(some);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let swap = |now| Ok::<_, ()>(if now == some { other } else { some });
                    shared.change(swap).unwrap();
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                let seen = shared.get();
                assert!(seen == some || seen == other, "{seen:?}");
            }
        });
    }
}
