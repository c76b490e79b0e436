//! Messages to the service manager (sd_notify(3)): one datagram to the Unix socket that it names in `$NOTIFY_SOCKET`.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// How long a service manager that reads nothing is waited for: it may lag, but it must not hold up who tells it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends `message`, lines such as `READY=1`, to the service manager's socket: a path, or a name in the abstract
/// namespace after an `@`.
///
/// # Errors
///
/// When the address is of another kind, or nobody takes the message within a second.
pub fn notify_service_manager(socket: &str, message: &str) -> Result<(), Error> {
    let address = address(socket)?;
    let failed = |syscall: &'static str, cause: &io::Error| {
        Error::system(syscall, cause, &format!("telling the service manager at {socket}"))
    };
    let sender = UnixDatagram::unbound().map_err(|cause| failed("socket", &cause))?;
    sender.set_write_timeout(Some(PATIENCE)).map_err(|cause| failed("setsockopt", &cause))?;
    sender.send_to_addr(message.as_bytes(), &address).map_err(|cause| failed("sendmsg", &cause))?;
    Ok(())
}

/// An abstract name stands for itself with a zero byte in front, which environments can't hold (unix(7)).
fn address(socket: &str) -> Result<SocketAddr, Error> {
    let address = match (socket.strip_prefix('@'), socket.starts_with('/')) {
        (Some(name), _) => SocketAddr::from_abstract_name(name),
        (None, true) => SocketAddr::from_pathname(socket),
        (None, false) => Err(io::Error::from(io::ErrorKind::Unsupported)),
    };
    address.map_err(|_| {
        let message =
            format!("NOTIFY_SOCKET=\"{}\" is no address to tell a service manager", socket.escape_debug());
        Error::new(ErrorKind::System, message)
            .with_hint("an absolute path or an abstract name after @ can be served; to do without, unset it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_as_one_datagram_at_a_path() {
        let path = std::env::temp_dir().join(format!("ttun-notify-{}", std::process::id()));
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sent = notify_service_manager(path.to_str().unwrap(), "READY=1\nSTATUS=2 of 3 tunnels open");
        std::fs::remove_file(&path).unwrap();
        sent.unwrap();
        assert_eq!(received(&receiver), "READY=1\nSTATUS=2 of 3 tunnels open");
    }

    #[test]
    fn a_message_arrives_at_an_abstract_name() {
        let name = format!("ttun/notify/{}", std::process::id());
        let receiver = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        notify_service_manager(&format!("@{name}"), "STOPPING=1").unwrap();
        assert_eq!(received(&receiver), "STOPPING=1");
    }

    #[test]
    fn a_socket_that_nobody_reads_is_an_error_with_the_call_that_failed() {
        let error = notify_service_manager("/nowhere/notify", "READY=1").unwrap_err();
        assert_eq!(
            (error.kind(), error.syscall(), error.errno()),
            (ErrorKind::System, Some("sendmsg"), Some(libc::ENOENT))
        );
    }

    #[test]
    fn a_manager_that_lags_is_not_waited_for_without_end() {
        let name = format!("ttun/full/{}", std::process::id());
        let _never_read = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let refused =
            (0..10_000).find_map(|_| notify_service_manager(&format!("@{name}"), "WATCHDOG=1").err());
        assert_eq!(refused.unwrap().errno(), Some(libc::EAGAIN));
    }

    #[test]
    fn an_address_of_another_kind_is_refused_by_name() {
        for socket in ["", "relative/notify", "vsock:2:1234", "/with\0zero"] {
            let error = notify_service_manager(socket, "READY=1").unwrap_err();
            assert!(error.message().contains("NOTIFY_SOCKET"), "{error}");
        }
    }

    fn received(receiver: &UnixDatagram) -> String {
        receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut buffer = [0; 1024];
        let len = receiver.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }
}
