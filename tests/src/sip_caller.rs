//! A hand-made SIP caller over UDP: registered accounts' credentials, a digest, one dialog whose
//! every header a test can see and bend.

use std::net::SocketAddr;
use std::time::Duration;

use md5::{Digest, Md5};
use regex::Regex;

use crate::sip_client::{SipClient, status};

const ANSWER: Duration = Duration::from_secs(5);

/// One dialog of a hand-made caller.
#[derive(Debug)]
pub struct SipCaller {
    /// The flow it was made on.
    pub client: SipClient,
    /// RFC 3261 §12: its identifiers.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The gateway's tag.
    pub remote_tag: String,
    /// The gateway's Contact.
    pub target: String,
    /// The UDP port where the gateway wants media.
    pub media_port: u16,
    user: String,
    server: SocketAddr,
}

impl SipCaller {
    /// Calls `to` as `user` with SDP that names `rtp_port`; returns the dialog, or the status code
    /// that refused it.
    pub fn call(
        server: SocketAddr,
        user: &str,
        password: &str,
        to: &str,
        rtp_port: u16,
    ) -> Result<Self, u16> {
        let mut client = SipClient::udp(server);
        let call_id = format!("by-hand-{}", client.local().port());
        let uri = format!("sip:{to}@{server}");
        let sdp = sdp(rtp_port);
        let local = client.local();
        let invite = |cseq: u32, extra: &str| {
            format!(
                "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call_id}{cseq};rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag=hand\r\nTo: <{uri}>\r\n\
                 Call-ID: {call_id}\r\nCSeq: {cseq} INVITE\r\nContact: <sip:{user}@{local}>\r\n{extra}\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            )
        };
        let first = invite(1, "");
        let challenge = final_answer(&mut client, first.as_bytes()).ok_or(0_u16)?;
        let code = status(challenge.as_bytes()).unwrap_or(0);
        ack(&mut client, &challenge, &uri);
        if !matches!(code, 401 | 407) {
            return Err(code);
        }
        let authorization = authorize(&challenge, user, password, "INVITE", &uri).ok_or(0_u16)?;
        let second = invite(2, &authorization);
        let answer = final_answer(&mut client, second.as_bytes()).ok_or(0_u16)?;
        let code = status(answer.as_bytes()).unwrap_or(0);
        if code != 200 {
            ack(&mut client, &answer, &uri);
            return Err(code);
        }
        let target = group(&answer, r"(?im)^Contact:.*?<([^>]+)>").unwrap_or_else(|| uri.clone());
        ack(&mut client, &answer, &target);
        Ok(Self {
            call_id: call_id.clone(),
            local_tag: "hand".into(),
            remote_tag: group(&answer, r"(?im)^To:.*;tag=([^;\s]+)").unwrap_or_default(),
            media_port: group(&answer, r"(?m)^m=audio (\d+)")
                .and_then(|port| port.parse().ok())
                .unwrap_or(0),
            target,
            user: user.into(),
            server,
            client,
        })
    }

    /// Returns a request within the dialog, with the given CSeq number and header lines.
    pub fn request(&self, method: &str, cseq: u32, lines: &str) -> String {
        let local = self.client.local();
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{}{cseq}{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{}@{}>;tag={}\r\nTo: <{}>;tag={}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <sip:{}@{local}>\r\n\
             {lines}Content-Length: 0\r\n\r\n",
            self.target,
            self.call_id,
            self.user,
            self.server,
            self.local_tag,
            self.target,
            self.remote_tag,
            self.call_id,
            self.user,
        )
    }

    /// Ends the call and returns the status code.
    pub fn hang_up(&mut self) -> Option<u16> {
        let bye = self.request("BYE", 9, "");
        self.client.ask(&bye, ANSWER)
    }
}

/// Sends a request and returns its final answer.
fn final_answer(client: &mut SipClient, request: &[u8]) -> Option<String> {
    client.send(request).ok()?;
    loop {
        let answer = client.receive(ANSWER);
        if status(&answer)? >= 200 {
            return String::from_utf8(answer).ok();
        }
    }
}

/// Acknowledges an answer. RFC 3261 §17.1.1.3: the ACK has the branch of the INVITE unless that was answered by a 2xx.
pub fn ack(client: &mut SipClient, answer: &str, target: &str) {
    let line =
        |name: &str| group(answer, &format!(r"(?im)^({name}:[^\r\n]*)")).map(|line| line + "\r\n");
    let (Some(via), Some(from), Some(to), Some(call_id)) =
        (line("Via"), line("From"), line("To"), line("Call-ID"))
    else {
        return;
    };
    let cseq = group(answer, r"(?im)^CSeq:\s*(\d+)").unwrap_or_default();
    let is_refused = status(answer.as_bytes()).is_some_and(|code| code >= 300);
    let via = if is_refused { via } else { via.replace("z9hG4bK", "z9hG4bKack") };
    let ack = format!(
        "ACK {target} SIP/2.0\r\n{via}{from}{to}{call_id}CSeq: {cseq} ACK\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let _ = client.send(ack.as_bytes());
}

/// RFC 2617 §3.2.2 with MD5, for the challenge among those offered that names it or nothing.
pub fn authorize(
    challenge: &str,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
) -> Option<String> {
    let lines: Vec<&str> = challenge
        .lines()
        .filter(|line| {
            let line = line.to_ascii_lowercase();
            line.starts_with("www-authenticate:") || line.starts_with("proxy-authenticate:")
        })
        .collect();
    let line = lines
        .iter()
        .find(|line| line.contains("algorithm=MD5"))
        .or_else(|| lines.iter().find(|line| !line.contains("algorithm=")))?;
    let name = if line.to_ascii_lowercase().starts_with("www") {
        "Authorization"
    } else {
        "Proxy-Authorization"
    };
    let realm = group(line, r#"realm="([^"]*)""#)?;
    let nonce = group(line, r#"nonce="([^"]*)""#)?;
    let ha1 = md5(&format!("{user}:{realm}:{password}"));
    let ha2 = md5(&format!("{method}:{uri}"));
    let (response, qop) = if line.contains("qop=") {
        let response = md5(&format!("{ha1}:{nonce}:00000001:c0ffee:auth:{ha2}"));
        (response, ", qop=auth, nc=00000001, cnonce=\"c0ffee\"")
    } else {
        (md5(&format!("{ha1}:{nonce}:{ha2}")), "")
    };
    let opaque = group(line, r#"opaque="([^"]*)""#)
        .map(|opaque| format!(", opaque=\"{opaque}\""))
        .unwrap_or_default();
    Some(format!(
        "{name}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", \
         uri=\"{uri}\", response=\"{response}\", algorithm=MD5{qop}{opaque}\r\n"
    ))
}

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sdp(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}

fn group(text: &str, pattern: &str) -> Option<String> {
    let regex = Regex::new(pattern).expect("patterns are written by us");
    regex.captures(text).map(|found| found[1].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_without_quality_of_protection_is_answered_by_the_old_formula() {
        let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n";
        let line = authorize(challenge, "u", "p", "REGISTER", "sip:r").unwrap();
        let ha1 = md5("u:r:p");
        let expected = md5(&format!("{ha1}:n:{}", md5("REGISTER:sip:r")));
        assert!(line.starts_with("Authorization: Digest username=\"u\""));
        assert!(line.contains(&expected), "{line}");
    }
}
