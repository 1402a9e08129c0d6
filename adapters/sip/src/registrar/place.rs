//! What a phone's location is called: the same in every life of the gateway, for as long as the phone
//! stays where it is, and more than a name. An attempt to hand a message over that a crash cut off
//! can be repeated at once, where the phone is, before it registers again.
//!
//! ```text
//!   user, transport, address, URI --HMAC with the user's secret--> "mac|user|transport|address|uri"
//! ```
//!
//! Nobody who does not know the secret makes one up.

use std::net::SocketAddr;

use ring::hmac;

use crate::stack::flow::{Flow, Target, Transport};
use crate::stack::tokens::hex;
use crate::stack::wire::Uri;

/// A phone as its location's name tells of it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) user: String,
    pub(crate) uri: Uri,
    pub(crate) target: Target,
}

/// Names the location of a phone.
pub(crate) fn name(secret: &hmac::Key, user: &str, uri: &Uri, flow: Flow) -> String {
    let transport = flow.transport.param();
    let remote = match flow.transport {
        Transport::Udp => flow.remote.to_string(),
        // Its port is another for every connection.
        Transport::Tcp | Transport::Tls => flow.remote.ip().to_string(),
    };
    let rest = format!("{}|{transport}|{remote}|{}", escape(user), uri.to_text());
    format!("{}|{rest}", mac(secret, &rest))
}

/// Reads a name again. `None` where it was not made by us, or the phone can only be reached by a
/// connection of its own.
pub(crate) fn recall<'a>(
    name: &str,
    secret_of: impl FnOnce(&str) -> Option<&'a hmac::Key>,
) -> Option<Place> {
    let (said, rest) = name.split_once('|')?;
    let mut parts = rest.splitn(4, '|');
    let user = unescape(parts.next()?);
    let is_udp = parts.next()? == Transport::Udp.param();
    let remote = parts.next()?.parse::<SocketAddr>().ok().filter(|_| is_udp)?;
    let uri = Uri::parse(parts.next()?)?;
    // The name is compared as a whole and leads nowhere but to where a phone was: no need to hide
    // how far it is right.
    if mac(secret_of(&user)?, rest) != said {
        return None;
    }
    Some(Place { user, uri, target: Target::new(Transport::Udp, remote) })
}

fn mac(secret: &hmac::Key, text: &str) -> String {
    hex(&hmac::sign(secret, text.as_bytes()).as_ref()[..16])
}

fn escape(user: &str) -> String {
    user.replace('%', "%25").replace('|', "%7C")
}

fn unescape(user: &str) -> String {
    user.replace("%7C", "|").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::flow;

    fn secret(text: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())
    }

    #[test]
    fn a_name_leads_to_where_the_phone_was_and_cannot_be_made_up() {
        let uri = Uri::parse("sip:bob-0x1@192.0.2.7:5060").unwrap();
        let key = secret("a");
        let made = name(&key, "b|%7C", &uri, flow(Transport::Udp));
        let place = recall(&made, |user| (user == "b|%7C").then_some(&key)).unwrap();
        assert_eq!((place.uri, place.target.remote), (uri.clone(), flow(Transport::Udp).remote));
        let other = secret("b");
        assert!(recall(&made, |_| Some(&other)).is_none());
        assert!(recall(&made.replace("192.0.2.7", "192.0.2.8"), |_| Some(&key)).is_none());
        assert!(recall(&made, |_| None).is_none());
        assert!(recall(&name(&key, "b", &uri, flow(Transport::Tcp)), |_| Some(&key)).is_none());
        for odd in ["", "|", "a|b|c|d|e", "a|b|udp|1.2.3.4:5|sip:x@y"] {
            assert!(recall(odd, |_| Some(&key)).is_none(), "{odd}");
        }
    }
}
