//! Users and groups by name, from whatever the system keeps them in (nsswitch.conf).

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::ptr;

/// The number of the user called `name`; `None` when there is none.
pub(crate) fn user_id(name: &str) -> io::Result<Option<u32>> {
    look_up(name, |name, buffer| {
        // SAFETY: `struct passwd` is plain integers and pointers for which all zeros are a valid value.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = ptr::null_mut();
        let (text, len) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: `name` ends with a zero byte; the call writes to `entry`, `found` and at most `len` bytes of `buffer`, all
        // of which outlive it.
        let error = unsafe { libc::getpwnam_r(name.as_ptr(), &raw mut entry, text, len, &raw mut found) };
        (error, (!found.is_null()).then_some(entry.pw_uid))
    })
}

/// The number of the group called `name`; `None` when there is none.
pub(crate) fn group_id(name: &str) -> io::Result<Option<u32>> {
    look_up(name, |name, buffer| {
        // SAFETY: `struct group` is plain integers and pointers for which all zeros are a valid value.
        let mut entry: libc::group = unsafe { std::mem::zeroed() };
        let mut found = ptr::null_mut();
        let (text, len) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: as above.
        let error = unsafe { libc::getgrnam_r(name.as_ptr(), &raw mut entry, text, len, &raw mut found) };
        (error, (!found.is_null()).then_some(entry.gr_gid))
    })
}

/// The text of most entries fits the first buffer; a group with thousands of members takes more.
const BUFFER_LENS: [usize; 3] = [1 << 12, 1 << 16, 1 << 20];

fn look_up(
    name: &str,
    ask: impl Fn(&CStr, &mut [c_char]) -> (c_int, Option<u32>),
) -> io::Result<Option<u32>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    for len in BUFFER_LENS {
        match ask(&name, &mut vec![0; len]) {
            (0, found) => return Ok(found),
            (libc::ERANGE, _) => {}
            // Some sources of names answer so rather than with nothing (getpwnam(3), errors).
            (libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM, _) => return Ok(None),
            (error, _) => return Err(io::Error::from_raw_os_error(error)),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ERANGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_system_are_known() {
        assert_eq!(user_id("root").unwrap(), Some(0));
        assert_eq!(group_id("root").unwrap(), Some(0));
        assert!(user_id("nobody").unwrap().is_some_and(|user| user > 0));
    }

    #[test]
    fn a_name_that_nobody_has_is_not_an_error() {
        for name in ["no-such-name-here", "", "a\0b"] {
            assert_eq!((user_id(name).unwrap(), group_id(name).unwrap()), (None, None), "{name:?}");
        }
    }
}
