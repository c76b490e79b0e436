//! The watcher: one thread that waits for the kernel's notices of changes in the network, and then calls the tunnels' reviews.
//!
//! There is one for each network namespace in which tunnels are opened, so usually one in a process; it starts with the first
//! subscription and ends with the last. It makes no decisions: a review compares what the kernel would choose now with what is
//! in use, so lost, late or unrelated notices do no harm.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use ttun_link::Notices;

use crate::io::Readiness;
use crate::lock::lock;

/// One change often causes several notices, such as for an address and then its routes; they are reviewed together.
const SETTLE: Duration = Duration::from_millis(20);

/// Time between two reviews while notices keep coming; meanwhile they wait in the socket.
const BETWEEN_REVIEWS: Duration = Duration::from_millis(250);

/// With thousands of tunnels a review takes a while; the pause after it is so many times as long, up to a second, so that notices that
/// keep coming cost little.
const PAUSE_FACTOR: u32 = 10;

/// Time between two calls of [`Watched::tick`].
const TICK: Duration = Duration::from_secs(1);

/// Time between two reviews where netlink is not available, and between two attempts to open it.
const WITHOUT_NOTICES: Duration = Duration::from_secs(5);

/// The longest delay before something that failed in a review is retried, unless the kernel reports a change earlier.
pub(crate) const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(10);

/// The delay before that, doubled each time; `last` is the previous one, if it failed before.
pub(crate) fn retry_delay(last: Option<Duration>) -> Duration {
    const FIRST: Duration = Duration::from_secs(1);
    last.map_or(FIRST, |last| (last * 2).min(LONGEST_RETRY_DELAY))
}

/// How many notices are taken at once. Few receive buffers hold more than that.
const NOTICES_AT_ONCE: usize = 4096;

/// A subscriber. The watcher's thread calls all of them one after the other, so calls must be short.
pub(crate) trait Watched: Send + Sync {
    /// The network may have changed. Also called once after the subscription, for changes since the tunnel began to open.
    fn review(&self);

    /// Called once a second. Makes no system call unless there is something to do, such as a retry.
    fn tick(&self) {}
}

/// Watches until it is dropped.
pub(crate) struct Subscription {
    watcher: Arc<Watcher>,
    number: u64,
}

/// Calls a function after changes in the network, at most a few times a second, until it is dropped.
pub struct NetworkWatch {
    _subscription: Subscription,
    _subject: Arc<dyn Watched>,
}

/// Calls `listener` when interfaces, addresses, routes or rules of this network namespace have changed, from the watcher's
/// thread, and once soon after this call. It must not block.
///
/// # Errors
/// When no thread can be started.
pub fn watch_network(listener: impl Fn() + Send + Sync + 'static) -> io::Result<NetworkWatch> {
    struct Listener<F>(F);
    impl<F: Fn() + Send + Sync> Watched for Listener<F> {
        fn review(&self) {
            self.0();
        }
    }
    let subject: Arc<dyn Watched> = Arc::new(Listener(listener));
    Ok(NetworkWatch { _subscription: subscribe(&subject)?, _subject: subject })
}

/// Calls `subject` from now on, without keeping it alive.
pub(crate) fn subscribe(subject: &Arc<dyn Watched>) -> io::Result<Subscription> {
    let namespace = network_namespace();
    let mut watchers = lock(&WATCHERS);
    let existing = watchers.iter().find(|watcher| watcher.namespace == namespace).map(Arc::clone);
    let watcher = existing.map_or_else(|| Watcher::start(namespace), Ok)?;
    if !watchers.iter().any(|known| Arc::ptr_eq(known, &watcher)) {
        watchers.push(Arc::clone(&watcher));
    }
    let number = watcher.add(Arc::downgrade(subject));
    drop(watchers);
    Ok(Subscription { watcher, number })
}

static WATCHERS: Mutex<Vec<Arc<Watcher>>> = Mutex::new(Vec::new());

/// Device and inode of this thread's namespace. Without `/proc`, all namespaces count as one.
type Namespace = Option<(u64, u64)>;

fn network_namespace() -> Namespace {
    fs::metadata("/proc/thread-self/ns/net").ok().map(|namespace| (namespace.dev(), namespace.ino()))
}

struct Watcher {
    namespace: Namespace,
    members: Mutex<Members>,
    /// Notified when there are new members, or the watcher is to end.
    changed: Notify,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

#[derive(Default)]
struct Members {
    next: u64,
    all: Vec<(u64, Weak<dyn Watched>)>,
    /// Members that have not been reviewed yet.
    new: Vec<Weak<dyn Watched>>,
    ending: bool,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watchers = lock(&WATCHERS);
        let mut members = lock(&self.watcher.members);
        members.all.retain(|(number, _)| *number != self.number);
        members.ending = members.all.is_empty();
        let ending = members.ending;
        drop(members);
        if !ending {
            return;
        }
        watchers.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
        drop(watchers);
        self.watcher.changed.notify_one();
        let thread = lock(&self.watcher.thread).take();
        // A watched tunnel may end within a review, on the watcher's own thread.
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Watcher {
    fn start(namespace: Namespace) -> io::Result<Arc<Self>> {
        let watcher = Arc::new(Self {
            namespace,
            members: Mutex::default(),
            changed: Notify::new(),
            thread: Mutex::default(),
        });
        let within = Arc::clone(&watcher);
        // It inherits this thread's network namespace, which reviews depend on as well.
        let thread = thread::Builder::new().name("ttun-watch".to_owned()).spawn(move || {
            if let Some((runtime, has_io)) = runtime() {
                runtime.block_on(within.run(has_io));
            }
        })?;
        *lock(&watcher.thread) = Some(thread);
        Ok(watcher)
    }

    fn add(&self, subject: Weak<dyn Watched>) -> u64 {
        let mut members = lock(&self.members);
        let number = members.next;
        members.next += 1;
        members.all.push((number, Weak::clone(&subject)));
        members.new.push(subject);
        drop(members);
        self.changed.notify_one();
        number
    }

    async fn run(&self, has_io: bool) {
        // `None` where there is no netlink, or no descriptor for it.
        let subscribe = || {
            if has_io { Notices::of_network().and_then(Readiness::new).ok() } else { None }
        };
        let mut notices = subscribe();
        let mut due: Option<Instant> = notices.is_none().then(|| Instant::now() + WITHOUT_NOTICES);
        let mut next_review = Instant::now();
        let mut tick = Instant::now() + TICK;
        loop {
            tokio::select! {
                biased;
                () = self.changed.notified() => {
                    let mut members = lock(&self.members);
                    if members.ending {
                        return;
                    }
                    let new = std::mem::take(&mut members.new);
                    drop(members);
                    call(&new, |subject| subject.review());
                }
                () = sleep_until(due.unwrap_or(tick)), if due.is_some() => {
                    // Before the review, so that it is repeated after changes meanwhile.
                    if notices.as_ref().is_none_or(|notices| take_all(notices).is_err()) {
                        notices = subscribe();
                    }
                    let started = Instant::now();
                    call(&self.all(), |subject| subject.review());
                    let pause = (started.elapsed() * PAUSE_FACTOR).clamp(BETWEEN_REVIEWS, TICK);
                    next_review = Instant::now() + pause;
                    due = notices.is_none().then(|| Instant::now() + WITHOUT_NOTICES);
                }
                () = noticed(notices.as_ref()), if due.is_none() => {
                    due = Some((Instant::now() + SETTLE).max(next_review));
                }
                () = sleep_until(tick) => {
                    call(&self.all(), |subject| subject.tick());
                    tick = Instant::now() + TICK;
                }
            }
        }
    }

    fn all(&self) -> Vec<Weak<dyn Watched>> {
        lock(&self.members).all.iter().map(|(_, subject)| Weak::clone(subject)).collect()
    }
}

fn call(subjects: &[Weak<dyn Watched>], action: impl Fn(&dyn Watched)) {
    for subject in subjects {
        if let Some(subject) = subject.upgrade() {
            // A bug, which has been reported on standard error, must not keep the others from being called.
            let _ = catch_unwind(AssertUnwindSafe(|| action(&*subject)));
        }
    }
}

/// Also returns whether the runtime can wait for descriptors; if none can be opened for that, it only has timers.
fn runtime() -> Option<(Runtime, bool)> {
    if let Ok(runtime) = Builder::new_current_thread().enable_io().enable_time().build() {
        return Some((runtime, true));
    }
    Builder::new_current_thread().enable_time().build().ok().map(|runtime| (runtime, false))
}

/// Resolves when there is a notice, or when reading notices fails, which [`take_all`] then reports.
async fn noticed(notices: Option<&Readiness<Notices>>) {
    match notices {
        Some(notices) => {
            let _ = notices.readable().await;
        }
        None => std::future::pending().await,
    }
}

fn take_all(notices: &Readiness<Notices>) -> io::Result<()> {
    for _ in 0..NOTICES_AT_ONCE {
        match notices.try_read(Notices::take) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_panic_of_one_subscriber_does_not_keep_the_others_from_being_called() {
        struct Failing;
        impl Watched for Failing {
            fn review(&self) {
                panic!("a bug");
            }
        }
        #[derive(Default)]
        struct Counting(AtomicUsize);
        impl Watched for Counting {
            fn review(&self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (failing, counting): (Arc<dyn Watched>, _) = (Arc::new(Failing), Arc::new(Counting::default()));
        let other = Arc::clone(&counting) as Arc<dyn Watched>;
        call(&[Arc::downgrade(&failing), Arc::downgrade(&other)], |subject| subject.review());
        assert_eq!(counting.0.load(Ordering::Relaxed), 1);
    }
}
