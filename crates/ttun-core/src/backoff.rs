//! Patience with a descriptor that answers nothing but errors.

use std::io;
use std::time::Duration;

/// Lets single errors pass at once and slows down a row of them, so that a lasting fault costs no
/// processor time. An ICMP answer, for one, comes as an error of the next receive, which should just be
/// tried again.
#[derive(Default)]
pub(crate) struct Backoff {
    errors_in_a_row: u32,
}

impl Backoff {
    const PATIENCE: u32 = 64;
    const PAUSE: Duration = Duration::from_millis(10);

    pub(crate) fn succeeded(&mut self) {
        self.errors_in_a_row = 0;
    }

    pub(crate) async fn failed(&mut self) {
        self.errors_in_a_row = self.errors_in_a_row.saturating_add(1);
        if self.errors_in_a_row > Self::PATIENCE {
            tokio::time::sleep(Self::PAUSE).await;
        }
    }
}

/// The errors by which the TUN driver says that the device, or the descriptor, is no more
/// (`tun_chr_read_iter`, `tun_chr_write_iter`: EBADFD).
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADFD | libc::EBADF | libc::ENODEV))
}
