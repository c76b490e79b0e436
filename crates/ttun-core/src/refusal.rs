//! What the errors of sends mean.

use std::io;

use crate::stats::EncapDrop;

/// Whether a segmented send failed because it was segmented: a segment is longer than the route's MTU (EMSGSIZE; EINVAL before
/// kernel 6.14), which must have become smaller, as segmented sends are never fragmented; or the interface cannot take segments,
/// having no checksum offload (EIO, udp(7)).
pub(crate) fn refuses_segments(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::EINVAL | libc::EIO))
}

/// Why packets count as dropped that could not be sent because of `error`.
pub(crate) fn reason(error: &io::Error) -> EncapDrop {
    match error.raw_os_error() {
        Some(
            libc::ECONNREFUSED
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::ENETDOWN
            | libc::ENONET
            | libc::ENOPROTOOPT
            | libc::EACCES,
        ) => EncapDrop::PeerUnreachable,
        Some(libc::EMSGSIZE) => EncapDrop::TooBig,
        Some(libc::ENOBUFS | libc::ENOMEM) => EncapDrop::NoBufferSpace,
        _ => EncapDrop::SendError,
    }
}
