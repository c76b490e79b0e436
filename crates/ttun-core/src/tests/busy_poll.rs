//! Busy polling: when the tunnel's thread sleeps. The clock of the tunnel stands still unless a test advances it, so that polling
//! ends when the test wants it to.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{io, thread};

use tokio::runtime::Builder;
use tokio::time::sleep;

use super::packet::{udp, udp_flow};
use super::site::{Site, context, running_on};
use crate::busy_poll;
use crate::io::Readiness;
use crate::options::QueueOptions;
use crate::queue::Queue;

const PAUSE: Duration = Duration::from_millis(2);

/// How often the thread has slept.
#[derive(Clone, Default)]
struct Sleeps(Arc<AtomicUsize>);

impl Sleeps {
    fn runtime(&self) -> Builder {
        let (mut runtime, sleeps) = (Builder::new_current_thread(), Arc::clone(&self.0));
        runtime.on_thread_park(move || {
            sleeps.fetch_add(1, Ordering::Relaxed);
        });
        runtime
    }

    /// How often it has slept since this was last asked.
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }

    /// Waits until the thread sleeps.
    async fn come(&self) {
        self.take();
        while self.take() == 0 {
            sleep(PAUSE).await;
        }
    }
}

fn polling() -> Site {
    let mut site = Site::alone();
    site.context.busy_poll = Some(Duration::from_millis(1));
    site
}

/// The tunnel carries what there is; then it may sleep.
async fn pause(site: &Site) {
    site.settled().await;
    sleep(PAUSE).await;
}

#[test]
fn after_a_packet_of_either_direction_the_thread_polls_for_the_time_that_was_asked_for() {
    let (site, sleeps) = (polling(), Sleeps::default());
    let [ended] = running_on(&mut sleeps.runtime(), [&site], async {
        sleeps.come().await;
        site.device.hand_over(&[udp(0, 100)]);
        pause(&site).await;
        assert_eq!((sleeps.take(), site.socket.sent().len()), (0, 1));
        pause(&site).await;
        assert_eq!(sleeps.take(), 0, "no time has passed");
        site.context.clock.advance(1);
        sleeps.come().await;
        site.socket.arrive(&[udp(1, 100)]);
        pause(&site).await;
        assert_eq!((sleeps.take(), site.device.taken().len()), (0, 1));
        site.context.clock.advance(1);
        sleeps.come().await;
    });
    assert!(ended.is_ok());
}

#[test]
fn what_happens_meanwhile_is_noticed_without_a_sleep() {
    let (mut site, sleeps) = (polling(), Sleeps::default());
    site.context.queue = Queue::new(&QueueOptions::default(), 4 << 20);
    let [ended] = running_on(&mut sleeps.runtime(), [&site], async {
        site.device.hand_over(&[udp(0, 100)]);
        pause(&site).await;
        sleeps.take();
        // Both directions.
        site.socket.arrive(&udp_flow(3, 100));
        pause(&site).await;
        assert_eq!(site.device.taken().len(), 3);
        site.device.hand_over(&udp_flow(3, 100));
        pause(&site).await;
        assert_eq!(site.socket.sent().len(), 4);
        // A full socket, with packets that wait, and its room.
        site.socket.limit(Some(0));
        site.device.hand_over(&udp_flow(10, 1000));
        pause(&site).await;
        assert_eq!((site.device.waiting(), site.socket.sent().len()), (0, 0));
        site.socket.limit(None);
        pause(&site).await;
        assert_eq!(site.socket.sent().len(), 10);
        // Another thread's change of the rate.
        site.context.queue.set_rate(Some(1_000_000));
        thread::scope(|scope| scope.spawn(|| site.context.shutdown.wake()).join()).unwrap();
        pause(&site).await;
        assert_eq!(sleeps.take(), 0);
    });
    assert!(ended.is_ok(), "closing ends it while the thread polls");
    assert_eq!(sleeps.take(), 0);
}

#[test]
fn real_descriptors_are_polled() {
    let context = context();
    context.decap.receives.add(1);
    let sleeps = Sleeps::default();
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    sleeps.runtime().enable_all().build().unwrap().block_on(async {
        let ours = Readiness::new(ours).unwrap();
        let received = async {
            loop {
                match ours.try_read(|socket| socket.recv(&mut [0; 100])) {
                    Ok(len) => return len,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => ours.readable().await.unwrap(),
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let sending = thread::spawn(move || {
            thread::sleep(PAUSE);
            theirs.send(b"soon")
        });
        tokio::select! {
            biased;
            len = received => assert_eq!(len, 4),
            () = busy_poll::run(&context, Duration::from_millis(1)) => unreachable!(),
        }
        assert!(sending.join().unwrap().is_ok());
    });
    assert_eq!(sleeps.take(), 0);
}

#[test]
fn without_it_the_thread_sleeps_at_once() {
    let (site, sleeps) = (Site::alone(), Sleeps::default());
    let [ended] = running_on(&mut sleeps.runtime(), [&site], async {
        site.device.hand_over(&[udp(0, 100)]);
        sleeps.come().await;
        assert_eq!(site.socket.sent().len(), 1);
    });
    assert!(ended.is_ok());
}
