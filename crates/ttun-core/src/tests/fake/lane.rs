//! One direction of the wire: datagrams in the order in which they were sent. It loses nothing.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::gate::Gate;

/// Datagrams on their way from one socket to the other.
#[derive(Default)]
pub(in crate::tests) struct Lane {
    /// With the TOS octet of each.
    datagrams: RefCell<VecDeque<(u8, Vec<u8>)>>,
    /// How many it holds before a sender must wait; `None` for any number.
    room: Cell<Option<usize>>,
    pub(super) reader: Gate,
    pub(super) writer: Gate,
}

impl Lane {
    pub(super) fn push(&self, tos: u8, datagrams: impl IntoIterator<Item = Vec<u8>>) {
        self.datagrams.borrow_mut().extend(datagrams.into_iter().map(|datagram| (tos, datagram)));
        self.reader.changed();
    }

    pub(super) fn pop(&self) -> Option<(u8, Vec<u8>)> {
        let datagram = self.datagrams.borrow_mut().pop_front();
        self.writer.changed();
        datagram
    }

    /// TOS octet and length of the next datagram.
    pub(super) fn front(&self) -> Option<(u8, usize)> {
        self.datagrams.borrow().front().map(|(tos, datagram)| (*tos, datagram.len()))
    }

    pub(super) fn len(&self) -> usize {
        self.datagrams.borrow().len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.datagrams.borrow().iter().map(|(_, datagram)| datagram.len()).sum()
    }

    pub(super) fn limit(&self, room: Option<usize>) {
        self.room.set(room);
        self.writer.changed();
    }

    pub(super) fn has_room(&self) -> bool {
        self.room.get().is_none_or(|room| self.len() < room)
    }
}
