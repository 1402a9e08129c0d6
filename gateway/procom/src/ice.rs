//! The ICE servers a client is told, with TURN credentials that do not live long. Pure.
//!
//! The credentials are those of the TURN REST API, which coturn and others serve
//! (draft-uberti-behave-turn-rest-00 §2.2): the user name is the time of expiry and an id, the
//! password its HMAC-SHA-1 under a secret shared with the TURN server.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::config::IceServer;
use crate::frame::IceServerFrame;

/// The servers for one session. `session` tells a TURN server's quota whose credentials these are.
pub(crate) fn servers(config: &[IceServer], session: &str, unix_s: u64) -> Vec<IceServerFrame> {
    config.iter().map(|server| render(server, session, unix_s)).collect()
}

/// How long a client's credentials last before it needs others: three quarters of the shortest life.
pub(crate) fn refresh_after(config: &[IceServer]) -> Option<Duration> {
    let shortest = config.iter().filter(|server| server.secret.is_some()).map(|s| s.ttl_s).min()?;
    Some(Duration::from_secs(shortest) * 3 / 4)
}

fn render(server: &IceServer, session: &str, unix_s: u64) -> IceServerFrame {
    let (username, credential) = match &server.secret {
        Some(secret) => {
            let username = format!("{}:{session}", unix_s.saturating_add(server.ttl_s));
            let key =
                hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.reveal().as_bytes());
            let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
            (Some(username), Some(credential))
        }
        None => (
            server.username.clone(),
            server.credential.as_ref().map(|credential| credential.reveal().to_owned()),
        ),
    };
    IceServerFrame { urls: server.urls.clone(), username, credential }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn turn() -> IceServer {
        IceServer {
            urls: vec!["turn:turn.example.org".to_owned()],
            username: None,
            credential: None,
            secret: Some(Secret::from("north")),
            ttl_s: 3600,
        }
    }

    #[test]
    fn credentials_are_the_hmac_of_a_name_that_tells_their_expiry() {
        let servers = servers(&[turn()], "s1", 1_700_000_000);
        assert_eq!(servers[0].username.as_deref(), Some("1700003600:s1"));
        // printf %s 1700003600:s1 | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(servers[0].credential.as_deref(), Some("zqVCs17zFe4Xy+TQS+0iOseRx90="));
    }

    #[test]
    fn they_are_replaced_before_they_expire_and_fixed_ones_are_not() {
        assert_eq!(refresh_after(&[turn()]), Some(Duration::from_secs(2700)));
        assert_eq!(refresh_after(&[IceServer { secret: None, ..turn() }]), None);
    }
}
