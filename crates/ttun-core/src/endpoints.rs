//! The two ends of the tunnel's datagrams, which may change while packets flow.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Where the socket is, and with whom it talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// Endpoints that one thread at a time changes and anyone reads without a lock.
///
/// A sequence lock: the version is odd while the words are being written, and a reader that saw it odd or saw it change
/// has read nothing.
pub(crate) struct SharedEndpoints {
    version: AtomicU32,
    local: AddressWords,
    remote: AddressWords,
    changing: Mutex<()>,
}

impl SharedEndpoints {
    pub(crate) fn new(endpoints: Endpoints) -> Self {
        Self {
            version: AtomicU32::new(0),
            local: to_words(endpoints.local).map(AtomicU64::new),
            remote: to_words(endpoints.remote).map(AtomicU64::new),
            changing: Mutex::new(()),
        }
    }

    pub(crate) fn get(&self) -> Endpoints {
        self.versioned().1
    }

    /// The endpoints and which ones these are: another number after each change.
    pub(crate) fn versioned(&self) -> (u32, Endpoints) {
        loop {
            if let Some(found) = self.read() {
                return found;
            }
            thread::yield_now();
        }
    }

    /// The endpoints if they are not those of version `seen`, with their version. Never waits: those that are being
    /// written are seen the next time.
    pub(crate) fn newer_than(&self, seen: u32) -> Option<(u32, Endpoints)> {
        if self.version.load(Ordering::Relaxed) == seen { None } else { self.read() }
    }

    /// Replaces the endpoints by what `change` makes of them. Where it fails, or comes to the same, they stay.
    pub(crate) fn change<E>(&self, change: impl FnOnce(Endpoints) -> Result<Endpoints, E>) -> Result<(), E> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.get();
        let after = change(before)?;
        if after != before {
            self.write(after);
        }
        Ok(())
    }

    fn read(&self) -> Option<(u32, Endpoints)> {
        let version = self.version.load(Ordering::Acquire);
        if !version.is_multiple_of(2) {
            return None;
        }
        let load = |words: &AddressWords| words.each_ref().map(|word| word.load(Ordering::Relaxed));
        let (local, remote) = (load(&self.local), load(&self.remote));
        // Keeps the words from being read after the version that vouches for them.
        fence(Ordering::Acquire);
        let endpoints = Endpoints { local: from_words(local), remote: from_words(remote) };
        (self.version.load(Ordering::Relaxed) == version).then_some((version, endpoints))
    }

    /// For who holds `changing`.
    fn write(&self, endpoints: Endpoints) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // Keeps the words from being written before the version that warns of it.
        fence(Ordering::Release);
        for (words, address) in [(&self.local, endpoints.local), (&self.remote, endpoints.remote)] {
            for (word, value) in words.iter().zip(to_words(address)) {
                word.store(value, Ordering::Relaxed);
            }
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
}

/// An address in words: its upper and lower half, flow label and scope, family and port.
type AddressWords = [AtomicU64; WORDS];

const WORDS: usize = 4;

const IPV4: u64 = 4;
const IPV6: u64 = 6;

fn to_words(address: SocketAddr) -> [u64; WORDS] {
    let port = u64::from(address.port());
    match address {
        SocketAddr::V4(address) => [0, u64::from(address.ip().to_bits()), 0, IPV4 << 16 | port],
        SocketAddr::V6(address) => {
            let bits = address.ip().to_bits();
            let scope = u64::from(address.flowinfo()) << 32 | u64::from(address.scope_id());
            [(bits >> 64) as u64, bits as u64, scope, IPV6 << 16 | port]
        }
    }
}

fn from_words([upper, lower, scope, family_and_port]: [u64; WORDS]) -> SocketAddr {
    let port = family_and_port as u16;
    if family_and_port >> 16 == IPV4 {
        SocketAddrV4::new(Ipv4Addr::from_bits(lower as u32), port).into()
    } else {
        let ip = Ipv6Addr::from_bits(u128::from(upper) << 64 | u128::from(lower));
        SocketAddrV6::new(ip, port, (scope >> 32) as u32, scope as u32).into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn endpoints(local: &str, remote: &str) -> Endpoints {
        Endpoints { local: local.parse().unwrap(), remote: remote.parse().unwrap() }
    }

    #[test]
    fn what_was_put_in_comes_out() {
        for (local, remote) in [
            ("192.0.2.1:8000", "255.255.255.254:65535"),
            ("[2001:db8::1]:1", "[fe80::1:2:3:4%7]:8000"),
            ("0.0.0.0:0", "[::ffff:192.0.2.1]:9"),
        ] {
            let endpoints = endpoints(local, remote);
            assert_eq!(SharedEndpoints::new(endpoints).get(), endpoints);
        }
    }

    #[test]
    fn a_change_is_seen_once_by_who_asks_for_news() {
        let shared = SharedEndpoints::new(endpoints("192.0.2.1:1", "192.0.2.2:2"));
        let (first, _) = shared.versioned();
        assert_eq!(shared.newer_than(first), None);
        let after = endpoints("192.0.2.1:1", "192.0.2.3:3");
        shared.change(|_| Ok::<_, ()>(after)).unwrap();
        let (version, seen) = shared.newer_than(first).unwrap();
        assert_eq!(seen, after);
        assert_eq!(shared.newer_than(version), None);
    }

    #[test]
    fn a_change_that_fails_or_changes_nothing_is_no_news() {
        let before = endpoints("192.0.2.1:1", "192.0.2.2:2");
        let shared = SharedEndpoints::new(before);
        let (first, _) = shared.versioned();
        assert_eq!(shared.change(|_| Err("no route")), Err("no route"));
        shared.change(Ok::<_, ()>).unwrap();
        assert_eq!((shared.newer_than(first), shared.get()), (None, before));
    }

    #[test]
    fn nobody_reads_half_of_one_and_half_of_another() {
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
