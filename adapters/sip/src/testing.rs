//! What tests of several modules share.

#![expect(clippy::disallowed_methods, reason = "a test needs a moment to begin at")]

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use crate::stack::flow::{Flow, LinkId, Transport};
use crate::stack::gate::{Admission, Gate, Proof};
use crate::stack::wire::{self, Message, Request, Response};

/// The moment a test begins at.
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// A flow from a documentation address.
pub(crate) fn flow(transport: Transport) -> Flow {
    Flow { transport, remote: remote(), link: LinkId(1) }
}

/// The peer's address.
pub(crate) fn remote() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 5060))
}

/// A gate that lets everybody in.
pub(crate) struct Open;

impl Gate for Open {
    fn admit(&mut self, _: &Request, _: Flow, _: Instant) -> Admission {
        Admission::Pass(Proof::User("alice".to_owned()))
    }

    fn has_dialog(&self, _: &Request) -> bool {
        true
    }

    fn may_answer(&mut self, _: Flow, _: Instant) -> bool {
        true
    }
}

/// Makes wire text of lines; the last line is the body.
pub(crate) fn lines(text: &str) -> String {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    format!("{}\r\n\r\n{body}", head.trim().replace('\n', "\r\n"))
}

/// Parses a request that must parse.
pub(crate) fn request(text: &str) -> Request {
    match wire::parse(Bytes::from(lines(text))) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

/// Parses a response that must parse.
pub(crate) fn response(bytes: &Bytes) -> Response {
    match wire::parse(bytes.clone()) {
        Ok(Message::Response(response)) => response,
        other => panic!("no response: {other:?}"),
    }
}

/// An INVITE of a caller at the peer's address.
pub(crate) fn invite(branch: &str) -> String {
    format!(
        "INVITE sip:bob@gw.example SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch={branch}\n\
         Max-Forwards: 70\n\
         From: \"Alice\" <sip:alice@gw.example>;tag=a1\n\
         To: <sip:bob@gw.example>\n\
         Call-ID: call-1@192.0.2.7\n\
         CSeq: 1 INVITE\n\
         Contact: <sip:alice@192.0.2.7:5060>\n\
         Content-Length: 0"
    )
}
