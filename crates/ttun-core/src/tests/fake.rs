//! A device and a socket in memory, behind the two I/O traits.

mod device;
mod faults;
mod gate;
mod lane;
mod socket;

pub(super) use device::FakeDevice;
pub(super) use faults::Faults;
pub(super) use lane::Lane;
pub(super) use socket::FakeSocket;
