//! Ending the process where Node's own way would wait.

use napi_derive::napi;

/// Ends the process at once, with this exit code. `process.exit` first waits for the lookups of names that are under way, which
/// can't be called off and may take half a minute.
#[napi]
pub fn exit_now(code: i32) {
    ttun_core::exit_now(code)
}
