//! The end of the process.

use std::ffi::c_int;

/// Ends the process at once, with this exit code. Nothing is tidied up or waited for: no destructors, no exit handlers, no other
/// threads.
pub fn exit_now(code: c_int) -> ! {
    // SAFETY: _exit(2) takes a number, always succeeds, and leaves nothing of the process that could be in a wrong state.
    unsafe { libc::_exit(code) }
}
