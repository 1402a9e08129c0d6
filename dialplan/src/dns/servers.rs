//! The servers that are asked, as they stand in the configuration. Pure.

use std::net::{IpAddr, SocketAddr};

/// One server, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerText {
    /// Datagrams, and a stream for what does not fit (RFC 7766).
    Plain(SocketAddr),
    /// DNS over TLS (RFC 7858): address, and the name on its certificate.
    Tls(SocketAddr, String),
    /// DNS over HTTPS (RFC 8484): address, name and path.
    Https(SocketAddr, String, String),
}

/// Reads `192.0.2.1`, `[2001:db8::1]:53`, `tls://192.0.2.1#name`, `https://192.0.2.1/dns-query#name`.
///
/// # Errors
/// What is wrong, with which.
pub fn read_all(texts: &[String]) -> Result<Vec<ServerText>, String> {
    texts.iter().map(|text| read(text).ok_or_else(|| wrong(text))).collect()
}

fn wrong(text: &str) -> String {
    format!(
        "{text:?} is not like 192.0.2.1, tls://192.0.2.1#name or https://192.0.2.1/dns-query#name"
    )
}

fn read(text: &str) -> Option<ServerText> {
    if let Some(rest) = text.strip_prefix("tls://") {
        let (place, name) = rest.split_once('#')?;
        return named(name).and_then(|name| Some(ServerText::Tls(address(place, 853)?, name)));
    }
    if let Some(rest) = text.strip_prefix("https://") {
        let (place, name) = rest.split_once('#')?;
        let (place, path) = place.split_once('/').unwrap_or((place, "dns-query"));
        let path = format!("/{path}");
        return named(name)
            .and_then(|name| Some(ServerText::Https(address(place, 443)?, name, path)));
    }
    address(text, 53).map(ServerText::Plain)
}

fn named(name: &str) -> Option<String> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_fine)).then(|| name.to_owned())
}

fn address(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, port)),
        Err(_) => text.parse().ok(),
    }
}

/// The servers of the system: `nameserver` lines of resolv.conf(5).
#[must_use]
pub fn of_system(resolv_conf: &str) -> Vec<ServerText> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        let word = words.next().filter(|_| is_server)?;
        address(word.split('%').next().unwrap_or(word), 53).map(ServerText::Plain)
    };
    resolv_conf.lines().filter_map(server).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_people_write_them() {
        let plain = |text: &str| Some(ServerText::Plain(text.parse().unwrap()));
        assert_eq!(read("192.0.2.1"), plain("192.0.2.1:53"));
        assert_eq!(read("192.0.2.1:5353"), plain("192.0.2.1:5353"));
        assert_eq!(read("2001:db8::1"), plain("[2001:db8::1]:53"));
        assert_eq!(read("[2001:db8::1]:54"), plain("[2001:db8::1]:54"));
        let at = "192.0.2.1:853".parse().unwrap();
        assert_eq!(read("tls://192.0.2.1#dns.test"), Some(ServerText::Tls(at, "dns.test".into())));
        let at = "192.0.2.1:443".parse().unwrap();
        let https = ServerText::Https(at, "dns.test".into(), "/q".into());
        assert_eq!(read("https://192.0.2.1/q#dns.test"), Some(https));
        for broken in
            ["", "dns.test", "tls://192.0.2.1", "tls://x#y", "https://192.0.2.1/q#", "1.2.3"]
        {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_servers_of_the_system_are_those_of_resolv_conf() {
        let text =
            "# a comment\nsearch example.org\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\n";
        let expected = ["192.0.2.53:53", "[fe80::1]:53"];
        let expected = expected.map(|text| ServerText::Plain(text.parse().unwrap()));
        assert_eq!(of_system(text), expected);
    }
}
