//! Whole tunnels in memory, and the system calls below them over loopback sockets.

mod allocations;
mod back_pressure;
mod batching;
mod busy_poll;
mod data_path;
mod device_faults;
mod fairness;
mod fake;
mod hostile;
mod learn;
mod loopback;
mod open_socket;
mod options;
mod packet;
mod path_mtu;
mod path_search;
mod peer_change;
mod probing;
mod queue;
mod random_faults;
mod read_buffer;
mod readiness;
mod reconnect;
mod site;
mod socket_faults;
mod tap;
mod too_big;
mod tos;

pub(crate) use site::context;
