//! The queue in which the kernel keeps packets until the tunnel reads them, and drops what does not fit (`tun_net_xmit`).
//!
//! It has to hold what arrives while the thread waits for a processor: with the kernel's length, the packets of 3 ms at 160,000 a
//! second, which is one time slice of another program. What waits for the network does not wait there, but in
//! the tunnel's own [queue](crate::queue), so a longer one does not delay packets on slow links.

use std::sync::atomic::{AtomicBool, Ordering};

use tun_rs::SyncDevice;

/// Packets: what the kernel gives every TUN device (`TUN_READQ_SIZE`). A device with another length has been configured by someone.
const KERNELS: u32 = 500;
/// Packets.
const LONGER: u32 = 3_000;

/// Whether the queue of a device was made longer.
#[derive(Debug, Default)]
pub(crate) struct DeviceQueue {
    lengthened: AtomicBool,
}

impl DeviceQueue {
    /// Makes the queue longer, if it has the kernel's length and this process may change it.
    pub(crate) fn lengthen(&self, tun: &SyncDevice) {
        let lengthened =
            tun.tx_queue_len().is_ok_and(|len| len == KERNELS) && tun.set_tx_queue_len(LONGER).is_ok();
        self.lengthened.store(lengthened, Ordering::Relaxed);
    }

    /// Undoes it, unless someone has changed the length meanwhile. The device must be in this thread's network namespace, as it is
    /// found there by its name.
    pub(crate) fn restore(&self, tun: &SyncDevice) {
        if self.lengthened.swap(false, Ordering::Relaxed) && tun.tx_queue_len().is_ok_and(|len| len == LONGER)
        {
            // A device that cannot be changed back keeps a queue that does no harm.
            let _ = tun.set_tx_queue_len(KERNELS);
        }
    }
}
