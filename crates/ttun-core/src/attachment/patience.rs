//! When to look again for a device that is awaited.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use ttun_link::LinkNotices;

use crate::readiness::Readiness;

/// Between one look and the next, whatever is heard meanwhile.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// Between one making of the device and the next.
const LEAST_PAUSE_TO_MAKE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Waits for news of interfaces, and without any for longer and longer: that a device can be attached to may have reasons of which
/// there is no news.
pub(super) struct Patience {
    least: Duration,
    /// Until the next look.
    pause: Duration,
    /// `None` where the device is made rather than waited for, which is news itself, or where there is nothing to hear them by.
    notices: Option<Readiness<LinkNotices>>,
}

impl Patience {
    /// The first look comes at once; where it `makes` the device, not before a second after the last one, which was made at `since`.
    pub(super) fn new(makes: bool, since: Instant) -> Self {
        if makes {
            let pause = LEAST_PAUSE_TO_MAKE.saturating_sub(since.elapsed());
            return Self { least: LEAST_PAUSE_TO_MAKE, pause, notices: None };
        }
        let notices = LinkNotices::subscribe().ok().map(|notices| Readiness::new(Arc::new(notices)));
        Self { least: LEAST_PAUSE, pause: Duration::ZERO, notices }
    }

    /// Resolves when it is time to look.
    pub(super) async fn wait(&mut self) {
        let at_least = self.pause.min(self.least);
        sleep(at_least).await;
        let rest = self.pause.saturating_sub(at_least);
        let heard = match &self.notices {
            Some(notices) if !rest.is_zero() => tokio::select! {
                biased;
                heard = next(notices) => heard,
                () = sleep(rest) => Ok(false),
            },
            _ => {
                sleep(rest).await;
                Ok(false)
            }
        };
        match heard {
            Ok(true) => self.pause = self.least,
            Ok(false) => self.pause = (self.pause * 2).clamp(self.least, LONGEST_PAUSE),
            Err(_) => self.notices = None,
        }
    }
}

/// Resolves when there was news, of which it leaves none behind.
async fn next(notices: &Readiness<LinkNotices>) -> io::Result<bool> {
    let mut heard = false;
    loop {
        match notices.try_read(LinkNotices::take) {
            Ok(()) => heard = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && heard => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => notices.readable().await?,
            Err(error) => return Err(error),
        }
    }
}
