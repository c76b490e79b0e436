//! Storage of parcels: lines of entries, first in, first out, in one vector, so that memory follows what waits, not how many flows there
//! are.

use crate::flows::Parcel;

/// No entry.
const NONE: u32 = u32::MAX;

/// The largest number of unused places that are kept.
const KEPT_UNUSED: usize = 1024;

/// A parcel that waits.
pub(crate) struct Entry<P> {
    pub(crate) parcel: P,
    /// When it was added, µs.
    pub(crate) since: u64,
    /// The first of its packets that is left.
    pub(crate) index: usize,
    /// Length of the packets that are left, bytes.
    pub(crate) bytes_left: usize,
}

impl<P: Parcel> Entry<P> {
    /// Without the first packets of the parcel, up to `index`.
    pub(crate) fn new(parcel: P, index: usize, since: u64) -> Self {
        let last = parcel.packets().saturating_sub(1);
        let bytes_left = last.saturating_sub(index) * parcel.packet_len(index) + parcel.packet_len(last);
        Self { parcel, since, index, bytes_left }
    }

    /// Memory that it takes up, bytes.
    pub(crate) fn memory(&self) -> usize {
        self.parcel.memory() + size_of::<Place<P>>()
    }
}

/// The entries of one flow.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    first: u32,
    last: u32,
}

impl Default for Line {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

/// A packet that was removed.
pub(crate) struct Removed {
    /// Its length, bytes.
    pub(crate) len: usize,
    /// Memory that is free now, bytes: none before the last packet of a parcel.
    pub(crate) memory: usize,
}

/// The entries of all flows.
pub(crate) struct Entries<P> {
    places: Vec<Place<P>>,
    /// The first unused place; the others follow it.
    unused: u32,
    used: usize,
}

struct Place<P> {
    entry: Option<Entry<P>>,
    /// The next one of its line, or the next unused one.
    next: u32,
}

impl<P> Default for Entries<P> {
    fn default() -> Self {
        Self { places: Vec::new(), unused: NONE, used: 0 }
    }
}

impl<P: Parcel> Entries<P> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// Adds an entry at the end of `line`.
    pub(crate) fn append(&mut self, line: &mut Line, entry: Entry<P>) {
        let at = self.put(entry);
        match self.places.get_mut(line.last as usize) {
            Some(last) => last.next = at,
            None => line.first = at,
        }
        line.last = at;
        self.used += 1;
    }

    /// The first entry of `line`.
    pub(crate) fn first(&self, line: Line) -> Option<&Entry<P>> {
        self.places.get(line.first as usize)?.entry.as_ref()
    }

    /// Removes the first packet of `line`, and its entry after the last packet.
    pub(crate) fn advance(&mut self, line: &mut Line) -> Option<Removed> {
        let at = line.first;
        let place = self.places.get_mut(at as usize)?;
        let entry = place.entry.as_mut()?;
        let len = entry.parcel.packet_len(entry.index);
        entry.index += 1;
        entry.bytes_left = entry.bytes_left.saturating_sub(len);
        if entry.index < entry.parcel.packets() {
            return Some(Removed { len, memory: 0 });
        }
        let memory = entry.memory();
        place.entry = None;
        line.first = std::mem::replace(&mut place.next, self.unused);
        self.unused = at;
        if line.first == NONE {
            line.last = NONE;
        }
        self.used -= 1;
        if self.used == 0 && self.places.len() > KEPT_UNUSED {
            *self = Self::default();
        }
        Some(Removed { len, memory })
    }

    fn put(&mut self, entry: Entry<P>) -> u32 {
        let at = self.unused;
        if let Some(place) = self.places.get_mut(at as usize) {
            self.unused = std::mem::replace(&mut place.next, NONE);
            place.entry = Some(entry);
            return at;
        }
        self.places.push(Place { entry: Some(entry), next: NONE });
        (self.places.len() - 1) as u32
    }
}
