//! Messages to the service manager, for which Node has no socket: Unix datagrams.

use napi_derive::napi;
use ttun_core::notify_service_manager as notify;

use crate::error::BindingError;

/// Sends lines such as `READY=1` to the service manager at `socket`, the value of `$NOTIFY_SOCKET`.
#[napi(catch_unwind)]
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "napi hands over strings as values")]
pub fn notify_service_manager(socket: String, message: String) -> Option<BindingError> {
    notify(&socket, &message).map_err(|error| BindingError::from(&error)).err()
}
