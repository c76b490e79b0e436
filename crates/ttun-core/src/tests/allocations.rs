//! No allocation per packet, in either direction.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::Builder;
use ttun_packet::{CoalesceOptions, TooBig, VirtioNetHeader};

use super::packet::{Read, tcp_super_packet, udp};
use super::site::context;
use crate::busy_poll;
use crate::decap::Decap;
use crate::encap::Encap;
use crate::endpoints::{Endpoints, SharedEndpoints};
use crate::error::Error;
use crate::io::{DatagramSocket, Datagrams, DeviceRead, Outer, PacketDevice};
use crate::pump;
use crate::shared::Context;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting for each thread how often it is asked.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: passes each call on to the system's allocator as it is. The counter neither allocates nor has a
// destructor, so it can be used at any time of a thread's life.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` is from `alloc` above, and so from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Calls that bring something, before the counting and while it goes on.
const WARM_UP: usize = 1_000;
const CALLS: usize = 10_000;

/// A device and a socket that bring the same things over and over, and forget what they are given.
#[derive(Clone)]
struct Treadmill {
    reads: Rc<[Read]>,
    receives: Rc<[(Vec<u8>, usize)]>,
    calls: Rc<Cell<usize>>,
    given: Rc<Cell<usize>>,
    /// Allocations at the end of the warm-up, and at the end.
    allocations: Rc<Cell<[usize; 2]>>,
    at_end: Rc<dyn Fn()>,
}

impl Treadmill {
    /// Now and then there is nothing, so that waiting is counted too.
    fn next(&self) -> io::Result<usize> {
        let call = self.calls.get() + 1;
        self.calls.set(call);
        let [before, _] = self.allocations.get();
        match call {
            WARM_UP => self.allocations.set([ALLOCATIONS.get(), 0]),
            CALLS => {
                self.allocations.set([before, ALLOCATIONS.get()]);
                (self.at_end)();
            }
            _ => {}
        }
        if call.is_multiple_of(100) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(call) }
    }

    fn take(&self, pieces: &[IoSlice<'_>]) {
        self.given.set(self.given.get() + pieces.iter().map(|piece| piece.len()).sum::<usize>());
    }
}

impl PacketDevice for Treadmill {
    fn try_recv(&self, packet: &mut [u8]) -> io::Result<DeviceRead> {
        let call = self.next()?;
        let (virtio, bytes) = &self.reads[call % self.reads.len()];
        packet[..bytes.len()].copy_from_slice(bytes);
        Ok(DeviceRead { virtio: *virtio, len: bytes.len() })
    }

    fn try_send(&self, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        self.take(pieces);
        Ok(())
    }

    fn try_answer(&self, _message: &TooBig<'_>) -> io::Result<()> {
        Ok(())
    }

    fn mtu(&self) -> Option<usize> {
        Some(1500)
    }

    async fn readable(&self) -> io::Result<()> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DatagramSocket for Treadmill {
    fn try_send(&self, pieces: &[IoSlice<'_>], _outer: Outer) -> io::Result<()> {
        self.take(pieces);
        Ok(())
    }

    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Datagrams> {
        let call = self.next()?;
        let (bytes, stride) = &self.receives[call % self.receives.len()];
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(Datagrams {
            len: bytes.len(),
            stride: *stride,
            truncated: false,
            overflow: None,
            tos: 0,
            reassembled: false,
        })
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(Datagrams, Option<SocketAddr>)> {
        Ok((DatagramSocket::try_recv(self, buffer)?, None))
    }

    fn path_mtu(&self) -> Option<usize> {
        Some(1500)
    }

    fn fresh_path_mtu(&self, _endpoints: &SharedEndpoints) -> Option<usize> {
        Some(1500)
    }

    fn recover(&self, _now: Endpoints) -> Result<Option<Endpoints>, Error> {
        Ok(None)
    }

    async fn readable(&self) -> io::Result<()> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs one pump until its calls are used up; says how often it allocated since the warm-up, and how many
/// bytes it moved.
fn ran(start: impl AsyncFnOnce(Treadmill, &Context)) -> (usize, usize) {
    let (tcp, tcp_packets) = tcp_super_packet(60_000, 1400);
    let small = (VirtioNetHeader::NONE, udp(0, 100));
    let reads = [tcp, small.clone(), small.clone(), small, (VirtioNetHeader::NONE, udp(1, 2000))];
    let receives = [
        (tcp_packets.concat(), tcp_packets[0].len()),
        (udp(0, 100).repeat(64), 100),
        (udp(1, 1400), 1400),
        (vec![0x15; 300], 100),
    ];
    let context = Rc::new(context());
    let treadmill = Treadmill {
        reads: Rc::new(reads),
        receives: Rc::new(receives),
        calls: Rc::default(),
        given: Rc::default(),
        allocations: Rc::default(),
        at_end: Rc::new({
            let context = Rc::clone(&context);
            move || context.shutdown.request()
        }),
    };
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(start(treadmill.clone(), &context));
    let [before, after] = treadmill.allocations.get();
    (after - before, treadmill.given.get())
}

#[test]
fn the_counter_sees_allocations_of_this_thread() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1_u8; 100]));
    assert_eq!(ALLOCATIONS.get(), before + 1);
}

#[test]
fn packets_are_sent_without_allocation() {
    let (allocations, bytes) = ran(async |treadmill, context| {
        pump::run(context, &mut Encap::new(&treadmill, &treadmill, context)).await.unwrap();
    });
    assert!(bytes > CALLS * 1000, "packets were moved");
    assert_eq!(allocations, 0);
}

#[test]
fn packets_are_sent_without_allocation_while_the_thread_polls() {
    let (allocations, bytes) = ran(async |treadmill, context| {
        let mut encap = Encap::new(&treadmill, &treadmill, context);
        tokio::select! {
            biased;
            ended = pump::run(context, &mut encap) => ended.unwrap(),
            () = busy_poll::run(context, Duration::from_millis(1)) => unreachable!(),
        }
    });
    assert!(bytes > CALLS * 1000, "packets were moved");
    assert_eq!(allocations, 0);
}

#[test]
fn packets_are_received_without_allocation() {
    let (allocations, bytes) = ran(async |treadmill, context| {
        let coalesce = CoalesceOptions { tcp: true, udp: true };
        pump::run(context, &mut Decap::new(&treadmill, &treadmill, coalesce, context)).await.unwrap();
    });
    assert!(bytes > CALLS * 1000, "packets were moved");
    assert_eq!(allocations, 0);
}

#[test]
fn packets_are_received_without_allocation_while_a_new_peer_is_awaited() {
    let (allocations, bytes) = ran(async |treadmill, context| {
        let coalesce = CoalesceOptions { tcp: true, udp: true };
        let mut decap = Decap::new(&treadmill, &treadmill, coalesce, context);
        let remote = "192.0.2.3:8000".parse().unwrap();
        context.endpoints.change(|now| Ok::<_, Error>(Endpoints { remote, ..now })).unwrap();
        pump::run(context, &mut decap).await.unwrap();
    });
    assert!(bytes > CALLS * 1000, "packets were moved");
    assert_eq!(allocations, 0);
}
