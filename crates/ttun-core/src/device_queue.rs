//! The queue in which the kernel keeps packets until the tunnel reads them, and drops what does not fit (`tun_net_xmit`).
//!
//! It has to hold what arrives while the thread waits for a processor: with the kernel's length, the packets of 3 ms at 160,000 a
//! second, which is one time slice of another program. What waits for the network does not wait there, but in
//! the tunnel's own [queue](crate::queue), so a longer one does not delay packets on slow links.

use tun_rs::SyncDevice;

/// Packets: what the kernel gives every TUN device (`TUN_READQ_SIZE`). A device with another length has been configured by someone.
const KERNELS: u32 = 500;
/// Packets.
const LONGER: u32 = 3_000;

/// Makes the queue longer, if it has the kernel's length and this process may change it. Returns whether it did.
pub(crate) fn lengthen(tun: &SyncDevice) -> bool {
    changes(tun, KERNELS, LONGER)
}

/// Undoes it, unless someone has changed the length meanwhile. The device must be in this thread's network namespace, as it is
/// found there by its name.
pub(crate) fn restore(tun: &SyncDevice) {
    // A device that cannot be changed back keeps a queue that does no harm.
    changes(tun, LONGER, KERNELS);
}

fn changes(tun: &SyncDevice, from: u32, to: u32) -> bool {
    tun.tx_queue_len().is_ok_and(|len| len == from) && tun.set_tx_queue_len(to).is_ok()
}
