//! Netlink sockets: requests to the kernel with their answers (rtnetlink(7)).

use std::cell::Cell;
use std::io;

use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// A request that failed, with the kernel's own explanation if it gave one.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) cause: io::Error,
    pub(crate) reason: Option<String>,
}

impl Refusal {
    pub(crate) fn is(&self, errno: i32) -> bool {
        self.cause.raw_os_error() == Some(errno)
    }
}

impl From<io::Error> for Refusal {
    fn from(cause: io::Error) -> Self {
        Self { cause, reason: None }
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        refusal.cause
    }
}

/// A socket for requests to the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: Socket,
    /// Sequence number of the last request; leftover replies to earlier ones have other numbers.
    sequence: Cell<u32>,
}

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = Socket::new(NETLINK_ROUTE)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Optional, as old kernels lack them: an explanation of errors (4.12), answers that do not repeat the request (4.3), and
        // dumps of one interface rather than of all (4.20).
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self { socket, sequence: Cell::new(0) })
    }

    /// Requests one object.
    pub(crate) fn get(&self, question: RouteNetlinkMessage) -> Result<RouteNetlinkMessage, Refusal> {
        self.send(question, NLM_F_REQUEST)?;
        let answer = self.answers(Last::Message)?.messages.pop();
        answer.ok_or_else(|| io::Error::other("no answer from the kernel").into())
    }

    /// Requests a change; `flags` are those of the change (`NLM_F_CREATE`, …).
    pub(crate) fn change(&self, request: RouteNetlinkMessage, flags: u16) -> Result<(), Refusal> {
        self.send(request, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        self.answers(Last::Acknowledgement).map(drop)
    }

    /// Requests all objects of a kind.
    pub(crate) fn list(&self, question: &RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, Refusal> {
        /// Attempts when the tables change while they are read.
        const ATTEMPTS: usize = 16;
        for _ in 0..ATTEMPTS {
            self.send(question.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
            let answers = self.answers(Last::Acknowledgement)?;
            if !answers.interrupted {
                return Ok(answers.messages);
            }
        }
        Err(io::Error::from(io::ErrorKind::Interrupted).into())
    }

    fn send(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        self.sequence.set(self.sequence.get().wrapping_add(1));
        header.sequence_number = self.sequence.get();
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(drop)
    }

    /// Receives answers up to the last one.
    fn answers(&self, last: Last) -> Result<Answers, Refusal> {
        let mut answers = Answers { messages: Vec::new(), interrupted: false };
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let message =
                    NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
                // Each message begins at a multiple of four bytes (NLMSG_ALIGNTO).
                let len = (message.header.length as usize).next_multiple_of(4);
                rest = rest.get(len..).unwrap_or(&[]);
                if message.header.sequence_number != self.sequence.get() {
                    continue;
                }
                answers.interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => {
                        answers.messages.push(inner);
                        if last == Last::Message {
                            return Ok(answers);
                        }
                    }
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(refusal(&error, message.header.flags));
                    }
                    NetlinkPayload::Done(done) if done.code != 0 => {
                        return Err(io::Error::from_raw_os_error(done.code.abs()).into());
                    }
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(answers),
                    _ => {}
                }
            }
        }
    }
}

/// The end of the replies to a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The first message.
    Message,
    /// An acknowledgement, or the end of a dump.
    Acknowledgement,
}

struct Answers {
    messages: Vec<RouteNetlinkMessage>,
    /// The list changed while it was read: entries may be missing.
    interrupted: bool,
}

fn refusal(error: &ErrorMessage, flags: u16) -> Refusal {
    /// The header of the request, which comes before the attributes of the answer.
    const REQUEST_HEADER_LEN: usize = 16;
    /// `NLMSGERR_ATTR_MSG` of include/uapi/linux/netlink.h: a string with its closing zero.
    const TEXT: u16 = 1;
    let attributes = match error.header.get(REQUEST_HEADER_LEN..) {
        Some(attributes) if flags & NLM_F_ACK_TLVS != 0 => attributes,
        _ => &[],
    };
    let text = NlasIterator::new(attributes).flatten().find(|attribute| attribute.kind() == TEXT);
    let reason = text.map(|text| String::from_utf8_lossy(text.value()).trim_end_matches('\0').to_owned());
    Refusal { cause: error.to_io(), reason }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    #[test]
    fn leftover_replies_to_earlier_requests_are_skipped() {
        let netlink = Netlink::open().unwrap();
        let all = || RouteNetlinkMessage::GetLink(LinkMessage::default());
        let mut of_none = LinkMessage::default();
        of_none.header.index = i32::MAX.cast_unsigned();
        // As after an answer that could not be parsed.
        netlink.send(all(), NLM_F_REQUEST | NLM_F_DUMP).unwrap();
        let refused = netlink.get(RouteNetlinkMessage::GetLink(of_none)).unwrap_err();
        assert!(refused.is(libc::ENODEV), "{refused:?}");
        assert!(!netlink.list(&all()).unwrap().is_empty());
    }
}
