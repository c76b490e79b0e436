//! The socket of a running tunnel. A peer of the other address family needs another socket, which replaces the first while the pumps
//! run.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::endpoints::{Arrival, Endpoints, SharedEndpoints};
use crate::error::{Error, ErrorKind};
use crate::io::{Behind, DatagramSocket, Datagrams, News, Outer, Readiness, Writable};
use crate::listener::Listener;
use crate::lock::lock;
use crate::message;
use crate::socket::PeerSocket;

/// A socket that the pumps can wait for.
type Registered = Readiness<Arc<PeerSocket>>;

/// The current socket, for the pumps and for threads that query or change the tunnel.
pub(crate) struct SharedSocket(Mutex<Slot>);

const LONGEST_CLOSING: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Slot {
    /// `None` once the tunnel has ended.
    current: Option<Arc<PeerSocket>>,
    /// Sockets that the pumps do not use yet, the current one last.
    handed_over: Vec<Registered>,
    /// Replaced sockets, until they are closed.
    replaced: Vec<Weak<()>>,
    /// Where the peer is learned; `None` once the tunnel has ended.
    listener: Option<Arc<Listener>>,
    /// The runtime that sockets are registered with; `None` once the tunnel has ended.
    runtime: Option<Handle>,
}

impl SharedSocket {
    /// `runtime` is the one that the pumps will run in.
    pub(crate) fn new(
        socket: PeerSocket,
        listener: Option<Listener>,
        runtime: Handle,
    ) -> Result<Self, Error> {
        let listener = listener.map(Arc::new);
        let shared = Self(Mutex::new(Slot { runtime: Some(runtime), listener, ..Slot::default() }));
        shared.replace(socket)?;
        Ok(shared)
    }

    /// The current socket; `None` once the tunnel has ended.
    pub(crate) fn get(&self) -> Option<Arc<PeerSocket>> {
        self.slot().current.clone()
    }

    /// Receives what is not from the peer, where that is learned; `None` also once the tunnel has ended.
    pub(crate) fn listener(&self) -> Option<Arc<Listener>> {
        self.slot().listener.clone()
    }

    /// Makes `socket` the current one, which the pumps use once they [follow](Connection::follow). The previous one accepts no more
    /// datagrams; those that have arrived are still received.
    pub(crate) fn replace(&self, socket: PeerSocket) -> Result<(), Error> {
        let mut slot = self.slot();
        let Some(runtime) = &slot.runtime else {
            return Err(Error::new(ErrorKind::Closed, "the tunnel has ended"));
        };
        let socket = Arc::new(socket);
        let runtime = runtime.enter();
        let registered = Readiness::new(Arc::clone(&socket))
            .map_err(|cause| Error::system("epoll_ctl", &cause, "waiting for the socket"))?;
        drop(runtime);
        slot.handed_over.push(registered);
        if let Some(previous) = slot.current.replace(socket) {
            slot.replaced.retain(|open| open.strong_count() > 0);
            slot.replaced.push(previous.open());
            // If this fails, datagrams that arrive until the socket is closed are received as well.
            let _ = previous.admit_nothing();
        }
        Ok(())
    }

    /// Waits until replaced sockets are closed, so that their port is free, for at most five seconds. The pumps close them as soon as they
    /// have received everything that had arrived.
    pub(crate) fn await_closing(&self) {
        let until = Instant::now() + LONGEST_CLOSING;
        while Instant::now() < until {
            if self.are_closed() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn are_closed(&self) -> bool {
        let replaced = &mut self.slot().replaced;
        replaced.retain(|open| open.strong_count() > 0);
        replaced.is_empty()
    }

    /// Releases the socket and the pumps' runtime.
    pub(crate) fn close(&self) {
        *self.slot() = Slot::default();
    }

    fn take(&self) -> Vec<Registered> {
        mem::take(&mut self.slot().handed_over)
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        lock(&self.0)
    }
}

/// The current socket as the two pumps, which share a thread, see it.
pub(crate) struct Connection<'t> {
    shared: &'t SharedSocket,
    current: RefCell<Rc<Member>>,
    /// Replaced sockets that may hold datagrams that have not been received yet.
    earlier: RefCell<Vec<Rc<Member>>>,
    /// Datagrams lost to a full receive buffer by sockets that are closed.
    overflow_of_closed: Cell<u32>,
    listener: Option<Readiness<Arc<Listener>>>,
    /// Those lost by the listener.
    overflow_of_listener: Cell<u32>,
    replaced: Notify,
    /// What the current socket is registered with for writing, while sends wait.
    writable: RefCell<Option<Rc<Writable>>>,
}

struct Member {
    socket: Registered,
    /// Datagrams lost to a full receive buffer so far.
    overflow: Cell<u32>,
}

impl Member {
    fn new(socket: Registered) -> Rc<Self> {
        Rc::new(Self { socket, overflow: Cell::new(0) })
    }
}

/// What a receive brought.
type Received = (Datagrams, Option<SocketAddr>);

impl<'t> Connection<'t> {
    /// Fails once the tunnel has ended.
    pub(crate) fn new(shared: &'t SharedSocket) -> Result<Self, Error> {
        let closed = || Error::new(ErrorKind::Closed, "the tunnel has ended");
        let mut members = shared.take().into_iter().map(Member::new).collect::<Vec<_>>();
        let current = RefCell::new(members.pop().ok_or_else(closed)?);
        let earlier = RefCell::new(members);
        let listener = shared.listener().map(Readiness::new).transpose();
        let listener =
            listener.map_err(|cause| Error::system("epoll_ctl", &cause, "waiting for the listener"))?;
        Ok(Self {
            shared,
            current,
            earlier,
            overflow_of_closed: Cell::new(0),
            listener,
            overflow_of_listener: Cell::new(0),
            replaced: Notify::new(),
            writable: RefCell::default(),
        })
    }

    fn watch_writable(&self) -> io::Result<Option<Rc<Writable>>> {
        let mut kept = self.writable.borrow_mut();
        if kept.is_none() {
            *kept = self.current.borrow().socket.watch_writable()?.map(Rc::new);
        }
        Ok(kept.clone())
    }

    fn current(&self) -> Rc<Member> {
        Rc::clone(&self.current.borrow())
    }

    /// What is left in sockets that were replaced, which are closed then. They are read whether or not they are known to be ready.
    fn receive_earlier(
        &self,
        mut receive: impl FnMut(BorrowedFd<'_>) -> io::Result<Received>,
    ) -> Option<io::Result<Received>> {
        loop {
            let earliest = Rc::clone(self.earlier.borrow().first()?);
            match receive(earliest.socket.get().as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.overflow_of_closed.update(|lost| lost.saturating_add(earliest.overflow.get()));
                    self.earlier.borrow_mut().remove(0);
                }
                received => {
                    return Some(received.map(|received| self.with_total_overflow(&earliest, received)));
                }
            }
        }
    }

    /// The kernel counts for each socket.
    fn with_total_overflow(&self, member: &Member, (mut datagrams, sender): Received) -> Received {
        if let Some(lost) = datagrams.overflow {
            member.overflow.set(lost);
            datagrams.overflow = Some(self.total_overflow());
        }
        (datagrams, sender)
    }

    fn total_overflow(&self) -> u32 {
        let (earlier, current) = (self.earlier.borrow(), self.current.borrow());
        let open = earlier.iter().chain([&*current]).map(|member| member.overflow.get());
        let others = self.overflow_of_closed.get().saturating_add(self.overflow_of_listener.get());
        open.fold(others, u32::saturating_add)
    }
}

impl DatagramSocket for Connection<'_> {
    fn follow(&self) {
        for socket in self.shared.take() {
            let previous = self.current.replace(Member::new(socket));
            self.earlier.borrow_mut().push(previous);
            self.stop_waiting();
        }
        self.replaced.notify_waiters();
    }

    fn try_send(&self, pieces: &[IoSlice<'_>], outer: Outer) -> io::Result<()> {
        self.current.borrow().socket.try_send(pieces, outer)
    }

    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Datagrams> {
        if !self.earlier.borrow().is_empty() {
            return self.try_recv_from(buffer).map(|(datagrams, _)| datagrams);
        }
        let current = self.current.borrow();
        let datagrams = current.socket.try_recv(buffer)?;
        Ok(self.with_total_overflow(&current, (datagrams, None)).0)
    }

    fn try_recv_two(&self, first: &mut [u8], second: &mut [u8]) -> io::Result<(Datagrams, Behind)> {
        if !self.earlier.borrow().is_empty() {
            return Ok((self.try_recv(first)?, Behind::Unknown));
        }
        let current = self.current.borrow();
        let (datagrams, behind) = current.socket.try_recv_two(first, second)?;
        let counted = |datagrams| self.with_total_overflow(&current, (datagrams, None)).0;
        let behind = match behind {
            Behind::Datagrams(behind) => Behind::Datagrams(counted(behind)),
            behind => behind,
        };
        Ok((counted(datagrams), behind))
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<Received> {
        if let Some(received) = self.receive_earlier(|socket| message::receive_from(socket, buffer)) {
            return received;
        }
        let current = self.current.borrow();
        Ok(self.with_total_overflow(&current, current.socket.try_recv_from(buffer)?))
    }

    fn try_recv_other(&self, buffer: &mut [u8]) -> io::Result<(Datagrams, Arrival)> {
        let Some(listener) = &self.listener else { return Err(io::ErrorKind::WouldBlock.into()) };
        let (mut datagrams, arrival) = listener.try_read(|listener| listener.receive(buffer))?;
        if let Some(lost) = datagrams.overflow {
            self.overflow_of_listener.set(lost);
            datagrams.overflow = Some(self.total_overflow());
        }
        Ok((datagrams, arrival))
    }

    fn adopt(&self, arrival: Arrival) -> Result<Endpoints, Error> {
        let closed = || Error::new(ErrorKind::Closed, "the tunnel has ended");
        let (socket, endpoints) = self.listener.as_ref().ok_or_else(closed)?.get().connect(arrival)?;
        self.shared.replace(socket)?;
        Ok(endpoints)
    }

    fn fragment_above(&self, mtu: usize, endpoints: Endpoints) {
        self.current.borrow().socket.fragment_above(mtu, endpoints);
    }

    fn path_mtu(&self) -> Option<usize> {
        self.current.borrow().socket.path_mtu()
    }

    fn fresh_path_mtu(&self, endpoints: &SharedEndpoints) -> Option<usize> {
        self.current.borrow().socket.fresh_path_mtu(endpoints)
    }

    fn recover(&self, now: Endpoints) -> Result<Option<Endpoints>, Error> {
        self.current().socket.recover(now)
    }

    fn unsent(&self) -> Option<usize> {
        self.current.borrow().socket.unsent()
    }

    fn limit_unsent(&self, bytes: usize) -> io::Result<()> {
        self.current.borrow().socket.limit_unsent(bytes)
    }

    async fn readable(&self) -> io::Result<()> {
        let current = self.current();
        let Some(listener) = &self.listener else { return current.socket.readable().await };
        tokio::select! {
            biased;
            ready = current.socket.readable() => ready,
            ready = listener.readable() => ready,
        }
    }

    async fn writable(&self) -> io::Result<()> {
        let replaced = self.replaced.notified();
        let current = self.current();
        tokio::select! {
            biased;
            () = replaced => Ok(()),
            ready = current.socket.writable() => ready,
        }
    }
    async fn room(&self) -> io::Result<()> {
        let replaced = self.replaced.notified();
        let Some(writable) = self.watch_writable()? else { return Writable::retry_soon().await };
        tokio::select! {
            biased;
            () = replaced => Ok(()),
            ready = writable.wait() => ready,
        }
    }

    fn has_new_room(&self) -> bool {
        let news = self.writable.borrow().as_ref().map_or(News::Room, |writable| writable.news());
        if news == News::Error {
            self.stop_waiting();
        }
        news != News::None
    }

    fn stop_waiting(&self) {
        self.writable.take();
    }
}
