//! Notifications: what became of a message (RFC 5438 §7).

use gateway_core::message::Status;

use super::xml::{self, Element};
use super::{cpim, date};

/// The media type (RFC 5438).
pub const TYPE: &str = "message/imdn+xml";

/// What a notification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The id that the sender gave the message.
    pub id: String,
    /// How far it has come; `None` where the notification says something we have no word for.
    pub status: Option<Status>,
}

/// Reads a notification; `None` when it is none.
pub fn parse(bytes: &[u8]) -> Option<Notice> {
    let root = xml::parse(bytes).filter(|root| root.name == "imdn")?;
    let id = root.child("message-id")?.text.clone();
    if !cpim::is_id(&id) {
        return None;
    }
    let said = |kind: &str, word: &str| {
        let status = root.child(kind).and_then(|kind| kind.child("status"));
        status.and_then(|status: &Element| status.child(word)).is_some()
    };
    let status = if said("display-notification", "displayed") {
        Some(Status::Read)
    } else if said("delivery-notification", "delivered") {
        Some(Status::Delivered)
    } else if said("delivery-notification", "failed") {
        Some(Status::Failed)
    } else {
        None
    };
    Some(Notice { id, status })
}

/// Writes a notification about the message that its sender calls `id` and sent at `at_ms` to `to`;
/// `None` for a status that RFC 5438 has no word for.
pub fn render(id: &str, to: &str, at_ms: i64, status: Status) -> Option<String> {
    let (kind, word) = match status {
        Status::Delivered => ("delivery-notification", "delivered"),
        Status::Failed => ("delivery-notification", "failed"),
        Status::Read => ("display-notification", "displayed"),
        Status::Queued | Status::Sent => return None,
    };
    let (id, to) = (xml::escape(id), xml::escape(to));
    let at = date::render(at_ms);
    Some(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>{id}</message-id>\
         <datetime>{at}</datetime>\
         <recipient-uri>{to}</recipient-uri>\
         <{kind}><status><{word}/></status></{kind}></imdn>\r\n"
    ))
}
