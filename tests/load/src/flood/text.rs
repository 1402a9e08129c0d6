//! SIP requests of honest peers (RFC 3261 §7), as text.

use std::net::SocketAddr;

/// The user and address that ask, and the numbers that tell the request from others.
pub(super) struct Ids<'a> {
    pub(super) local: SocketAddr,
    /// The sender's address with its tag, as in From.
    pub(super) from: &'a str,
    /// The recipient's address, with a tag within a dialog, as in To.
    pub(super) to: &'a str,
    pub(super) call_id: &'a str,
    pub(super) cseq: u32,
}

impl Ids<'_> {
    /// The branch of a request of ours: no other has the same Call-ID, number and method.
    pub(super) fn branch(&self, method: &str) -> String {
        format!("z9hG4bK{}-{}-{method}", self.call_id, self.cseq)
    }

    /// A whole request; `lines` are further header lines, each ended by CRLF.
    pub(super) fn request(&self, method: &str, uri: &str, lines: &str, body: &str) -> String {
        let Self { local, from, to, call_id, cseq } = self;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch={};rport\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:peer@{local}>\r\n{lines}\
             Content-Length: {}\r\n\r\n{body}",
            self.branch(method),
            body.len()
        )
    }
}

/// What stands in a header, as it was sent.
pub(super) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| {
        let (before, value) = line.split_once(':')?;
        before.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}
