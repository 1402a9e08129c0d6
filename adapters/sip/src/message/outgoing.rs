//! A MESSAGE of ours: what it is called on the wire, and what it carries (RFC 3428 §4).
//!
//! Its Call-ID, tag and branch are made of what the store keeps of an attempt, and of nothing else:
//! the attempt that a crash cut off is repeated byte for byte, and a phone that had it shows it once.

use bytes::Bytes;
use gateway_core::Cause;
use gateway_core::message::{Dispatch, MessageId, Receipt, Status};
use gateway_core::route::Require;
use ring::digest::{Context, SHA256};

use super::cpim::{Envelope, Wishes};
use super::incoming::Asked;
use super::{CPIM, TEXT, composing, cpim, imdn, incoming};
use crate::stack::policy::{MAX_HOPS, hops};
use crate::stack::tokens::hex;
use crate::stack::transaction::MAGIC_COOKIE;
use crate::stack::wire::{Method, NameAddr, Request, Uri};

/// What tells one MESSAGE from another.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    hash: [u8; 32],
    /// The message it carries, where it carries one.
    message_id: Option<MessageId>,
}

impl Ids {
    /// Those of an attempt.
    pub(crate) fn of(dispatch: &Dispatch) -> Self {
        let (delivery, attempt) = (dispatch.delivery.0, dispatch.attempt);
        let hash = hash(&[
            b"message",
            &dispatch.message_id.0,
            &delivery.to_be_bytes(),
            &attempt.to_be_bytes(),
        ]);
        Self { hash, message_id: Some(dispatch.message_id) }
    }

    /// Those of what we tell a sender at one of its places.
    pub(crate) fn of_receipt(receipt: &Receipt, place: usize) -> Self {
        let place = place.to_string();
        let status = receipt.status.as_str();
        let parts: [&[u8]; 4] =
            [b"receipt", &receipt.message_id.0, status.as_bytes(), place.as_bytes()];
        Self { hash: hash(&parts), message_id: None }
    }

    /// Those of something that is said once and never repeated.
    pub(crate) fn fresh(token: &str) -> Self {
        Self { hash: hash(&[b"fresh", token.as_bytes()]), message_id: None }
    }

    /// The Call-ID. It begins with the message's own id: linphone tells by the Call-ID what became
    /// of a message that has no other id.
    pub(crate) fn call_id(&self) -> String {
        let own = hex(&self.hash[..16]);
        self.message_id.map_or_else(|| own.clone(), |message_id| format!("{message_id}-{own}"))
    }

    fn tag(&self) -> String {
        hex(&self.hash[16..24])
    }

    /// The branch of its `step`th request: another for every place and every answered challenge.
    pub(crate) fn branch(&self, step: u32) -> String {
        let own = hash(&[&self.hash, &step.to_be_bytes()]);
        format!("{MAGIC_COOKIE}{}", hex(&own[..12]))
    }
}

/// The message that a notification names: by the id that we gave it, or by a Call-ID of ours.
pub(crate) fn noticed(id: &str) -> Option<MessageId> {
    MessageId::parse(id.split_once('-').map_or(id, |(message_id, _)| message_id))
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        // With their lengths, so that no two lists are the same text.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// What a MESSAGE carries.
#[derive(Clone)]
pub(crate) struct Letter {
    kind: &'static str,
    body: Bytes,
    /// Its Max-Forwards.
    hops: u8,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Letter({}, {} bytes)", self.kind, self.body.len())
    }
}

/// Text, as a parameter says for readers that guess (RFC 3428 §4).
const TEXT_UTF8: &str = "text/plain;charset=UTF-8";

impl Letter {
    /// The text of a message; `from` and `to` as the peer knows them. `with_imdn`: with an id and a
    /// wish for notifications, where the peer reads message/cpim.
    ///
    /// # Errors
    /// Why it can never be sent.
    pub(crate) fn text(
        dispatch: &Dispatch,
        (from, to): (&Uri, &Uri),
        with_imdn: bool,
    ) -> Result<Self, (Cause, &'static str)> {
        let message = &dispatch.message;
        if message.content != TEXT {
            return Err((Cause::NotAcceptable, "SIP phones are sent plain text only"));
        }
        if message.body.is_empty() {
            return Err((Cause::NotAcceptable, "an empty message"));
        }
        match message.require {
            Require::Any | Require::Encrypted => {}
            Require::EndToEnd => {
                return Err((Cause::Security, "SIP has no message that only its reader can read"));
            }
        }
        let body = message.body.as_str().as_bytes();
        let hops = hops(message.hops_left);
        if !with_imdn {
            return Ok(Self { kind: TEXT_UTF8, body: Bytes::copy_from_slice(body), hops });
        }
        let envelope = Envelope {
            id: Some(dispatch.message_id.to_string()),
            wishes: Wishes::ALL,
            at_ms: Some(message.at_ms),
            content_type: Some(TEXT_UTF8.to_owned()),
            content: body.to_vec(),
        };
        let body = cpim::render(&from.to_text(), &to.to_text(), &envelope).into();
        Ok(Self { kind: CPIM, body, hops })
    }

    /// A notification for who asked for it; `None` for who did not (RFC 5438 §7.2).
    pub(crate) fn notice(receipt: &Receipt, from: &Uri, to: &Uri) -> Option<Self> {
        let Asked { id, wishes, at_ms } = incoming::unmark(&receipt.sender_id)?;
        let is_wished = match receipt.status {
            Status::Delivered => wishes.delivered,
            Status::Failed => wishes.failed,
            Status::Read => wishes.read,
            Status::Queued | Status::Sent => false,
        };
        let xml = imdn::render(id, &from.to_text(), at_ms, receipt.status).filter(|_| is_wished)?;
        let envelope = Envelope {
            // RFC 5438 §7.2.1.1: a notification has an id, and asks for none about itself.
            id: Some(Ids::of_receipt(receipt, 0).call_id()),
            content_type: Some(imdn::TYPE.to_owned()),
            content: xml.into_bytes(),
            ..Envelope::default()
        };
        let body = cpim::render(&from.to_text(), &to.to_text(), &envelope).into();
        Some(Self { kind: CPIM, body, hops: MAX_HOPS })
    }

    /// That somebody is writing, or has stopped.
    pub(crate) fn composing(is_on: bool) -> Self {
        Self { kind: composing::TYPE, body: composing::render(is_on).into(), hops: MAX_HOPS }
    }

    /// How many bytes the body has.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// The request, but for its Via. It has no Contact: "User Agents MUST NOT insert Contact header
    /// fields into MESSAGE requests" (RFC 3428 §4).
    pub(crate) fn request(
        &self,
        ids: &Ids,
        number: u32,
        uri: &Uri,
        (from, to): (&Uri, &Uri),
    ) -> Request {
        let mut request = Request::new(&Method::Message, uri.clone());
        request.push("Max-Forwards", &self.hops.to_string());
        let from = NameAddr::new(from.clone()).with_param("tag", &ids.tag());
        request.push("From", &from.to_text());
        request.push("To", &NameAddr::new(to.clone()).to_text());
        request.push("Call-ID", &ids.call_id());
        request.push("CSeq", &format!("{number} MESSAGE"));
        request.set_body(self.kind, self.body.clone());
        request
    }
}
