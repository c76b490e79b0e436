//! What device a tunnel is to have, checked as far as it can be before the device is there.

use crate::error::{Error, ErrorKind};
use crate::options::{InterfaceOptions, Offload, TunnelOptions};

/// Which device to attach to, and how to make it if it is not there.
pub(crate) struct DevicePlan {
    pub(super) name: String,
    pub(super) offload: Offload,
    /// `None` where a missing device is an error.
    pub(super) creation: Option<Creation>,
}

/// What a device that is made will be like.
pub(super) struct Creation {
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) multi_queue: bool,
    pub(super) persist: bool,
}

/// Longest name of an interface, bytes (IFNAMSIZ without the closing zero).
const MAX_NAME_LEN: usize = libc::IFNAMSIZ - 1;

impl DevicePlan {
    pub(crate) fn new(options: &TunnelOptions) -> Result<Self, Error> {
        check_name(&options.device)?;
        let wanted = options.interface.as_ref().filter(|interface| interface.create);
        let creation = wanted.map(|&InterfaceOptions { owner, group, multi_queue, persist, .. }| Creation {
            owner,
            group,
            multi_queue,
            persist,
        });
        Ok(Self { name: options.device.clone(), offload: options.offload, creation })
    }

    /// Whether a missing device is made.
    pub(crate) fn creates(&self) -> bool {
        self.creation.is_some()
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=MAX_NAME_LEN).contains(&name.len());
    // Of a name with %d the kernel makes another one (`dev_alloc_name`).
    if fits && !name.contains(['/', '\0', ':', '%']) && !name.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidOptions,
        format!("\"{}\" can't be the name of a device", name.escape_debug()),
    )
    .with_hint(format!(
        "use 1 to {MAX_NAME_LEN} bytes without spaces, slashes, colons or percent signs, for example tun0"
    )))
}
