//! Functions of the process and the system that Node lacks: an immediate exit, messages to the service
//! manager, users and groups by name.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use napi_derive::napi;
use nix::errno::Errno;
use nix::unistd::{Group, User};
use ttun_core::{Error, ErrorKind};

use crate::BindingError;

/// Ends the process at once, with this exit code: no destructors, no exit handlers. `process.exit` first waits for pending
/// name lookups, which cannot be cancelled and may take half a minute.
#[napi]
pub fn exit_now(code: i32) {
    // SAFETY: _exit(2) takes a number and never returns.
    unsafe { libc::_exit(code) }
}

/// Sends `message`, lines such as `READY=1`, to the service manager (sd_notify(3)): one datagram to `socket`, the value of
/// `$NOTIFY_SOCKET`. That is a path, or a name in the abstract namespace after an `@`.
///
/// Fails when the address is of another kind, or the message is not accepted within a second.
#[napi(catch_unwind)]
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "napi passes strings as values")]
pub fn notify_service_manager(socket: String, message: String) -> Option<BindingError> {
    send_notification(&socket, &message).err().map(BindingError::from)
}

/// How long a message may block: a service manager that does not read must not hold up the tunnels.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

fn send_notification(socket: &str, message: &str) -> Result<(), Error> {
    let address = notify_address(socket)?;
    let failed = |syscall: &'static str| {
        move |cause: io::Error| {
            Error::system(syscall, &cause, &format!("notifying the service manager at {socket}"))
        }
    };
    let sender = UnixDatagram::unbound().map_err(failed("socket"))?;
    sender.set_write_timeout(Some(SEND_TIMEOUT)).map_err(failed("setsockopt"))?;
    sender.send_to_addr(message.as_bytes(), &address).map_err(failed("sendmsg"))?;
    Ok(())
}

/// An abstract name begins with a zero byte, which environment variables cannot contain; `@` represents it (unix(7)).
fn notify_address(socket: &str) -> Result<SocketAddr, Error> {
    let address = match (socket.strip_prefix('@'), socket.starts_with('/')) {
        (Some(name), _) => SocketAddr::from_abstract_name(name),
        (None, true) => SocketAddr::from_pathname(socket),
        (None, false) => Err(io::Error::from(io::ErrorKind::Unsupported)),
    };
    address.map_err(|_| {
        let message =
            format!("NOTIFY_SOCKET=\"{}\" is not the address of a Unix socket", socket.escape_debug());
        Error::new(ErrorKind::System, message).with_hint(
            "an absolute path and an abstract name after @ are supported; to run without notifications, unset it",
        )
    })
}

/// The ID of a user, given by name or number.
pub(crate) fn user_id(user: &str) -> Result<u32, Error> {
    id_of(user, "user", "passwd", |name| {
        User::from_name(name).map(|found| found.map(|user| user.uid.as_raw()))
    })
}

/// The ID of a group, given by name or number.
pub(crate) fn group_id(group: &str) -> Result<u32, Error> {
    id_of(group, "group", "group", |name| {
        Group::from_name(name).map(|found| found.map(|group| group.gid.as_raw()))
    })
}

fn id_of(
    name: &str,
    kind: &str,
    database: &str,
    look_up: impl Fn(&str) -> nix::Result<Option<u32>>,
) -> Result<u32, Error> {
    // Digits are an ID, whether or not it is in use. The highest one means "none" (`tun_chr_ioctl`).
    if let Ok(number) = name.parse::<u32>()
        && number != u32::MAX
    {
        return Ok(number);
    }
    match look_up(name) {
        Ok(Some(id)) => Ok(id),
        // Some name services report an unknown name as an error (getpwnam(3)).
        Ok(None) | Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM | Errno::EINVAL) => {
            let message = format!("there is no {kind} \"{}\"", name.escape_debug());
            Err(Error::new(ErrorKind::InvalidOptions, message)
                .with_hint(format!("getent {database} lists those of this system; any number is accepted")))
        }
        Err(cause) => {
            Err(Error::system("getpwnam_r", &cause.into(), &format!("looking up the {kind} {name}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_as_one_datagram_at_a_path() {
        let path = std::env::temp_dir().join(format!("ttun-notify-{}", std::process::id()));
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sent = send_notification(path.to_str().unwrap(), "READY=1\nSTATUS=2 of 3 tunnels open");
        std::fs::remove_file(&path).unwrap();
        sent.unwrap();
        assert_eq!(received(&receiver), "READY=1\nSTATUS=2 of 3 tunnels open");
    }

    #[test]
    fn a_message_arrives_at_an_abstract_name() {
        let name = format!("ttun/notify/{}", std::process::id());
        let receiver = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send_notification(&format!("@{name}"), "STOPPING=1").unwrap();
        assert_eq!(received(&receiver), "STOPPING=1");
    }

    #[test]
    fn a_missing_socket_is_an_error_with_the_call_that_failed() {
        let error = send_notification("/nowhere/notify", "READY=1").unwrap_err();
        assert_eq!(
            (error.kind(), error.syscall(), error.errno()),
            (ErrorKind::System, Some("sendmsg"), Some(libc::ENOENT))
        );
    }

    #[test]
    fn a_service_manager_that_does_not_read_is_not_waited_for_forever() {
        let name = format!("ttun/full/{}", std::process::id());
        let _never_read = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let refused = (0..10_000).find_map(|_| send_notification(&format!("@{name}"), "WATCHDOG=1").err());
        assert_eq!(refused.unwrap().errno(), Some(libc::EAGAIN));
    }

    #[test]
    fn an_address_of_another_kind_is_refused_by_name() {
        for socket in ["", "relative/notify", "vsock:2:1234", "/with\0zero"] {
            let error = send_notification(socket, "READY=1").unwrap_err();
            assert!(error.message().contains("NOTIFY_SOCKET"), "{error}");
        }
    }

    #[test]
    fn users_and_groups_of_every_system_are_known() {
        assert_eq!(user_id("root").unwrap(), 0);
        assert_eq!(group_id("root").unwrap(), 0);
        assert!(user_id("nobody").unwrap() > 0);
    }

    #[test]
    fn a_number_needs_no_entry() {
        assert_eq!((user_id("4321").unwrap(), group_id("4321").unwrap()), (4321, 4321));
    }

    #[test]
    fn an_unknown_name_is_an_invalid_option() {
        for name in ["no-such-name-here", "", "a\0b", "4294967295"] {
            for (error, kind) in
                [(user_id(name).unwrap_err(), "user"), (group_id(name).unwrap_err(), "group")]
            {
                assert_eq!(error.kind(), ErrorKind::InvalidOptions);
                let expected = format!("there is no {kind} \"{}\"", name.escape_debug());
                assert_eq!(error.message(), expected);
            }
        }
    }

    fn received(receiver: &UnixDatagram) -> String {
        receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut buffer = [0; 1024];
        let len = receiver.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }
}
