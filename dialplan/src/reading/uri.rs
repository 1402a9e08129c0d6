//! Addresses with their scheme, as people and programs write them.
//!
//! `sip: sips:` (RFC 3261 §19.1), `tel:` (RFC 3966, RFC 4694), `sms:` (RFC 5724), `xmpp:` (RFC 5122),
//! `im:` (RFC 3860), `pres:` (RFC 3859), `procom:`, `urn:service:sos` (RFC 5031).

use gateway_core::{Address, Scheme};

use super::{Home, Jid, Kind, Reading, Refusal, host, number};

/// Most parameters of an address.
const MAX_PARAMS: usize = 16;

/// Reads a text that begins with a scheme; `None` where it does not.
pub(super) fn read(typed: &str, home: &Home) -> Result<Option<Reading>, Refusal> {
    let Some((word, rest)) = typed.split_once(':') else { return Ok(None) };
    let is_word = word.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-".contains(letter));
    if !is_word {
        return Ok(None);
    }
    let at = word.chars().count() + 1;
    let reading = match word.to_ascii_lowercase().as_str() {
        "sip" => read_sip(Scheme::Sip, rest, at)?,
        "sips" => read_sip(Scheme::Sips, rest, at)?,
        "tel" => read_tel(Scheme::Tel, rest, at, home)?,
        "sms" => read_tel(Scheme::Sms, rest, at, home)?,
        "xmpp" => read_xmpp(rest, at)?,
        "im" => read_abstract("im", rest, at)?,
        "pres" => read_abstract("pres", rest, at)?,
        "procom" => read_procom(rest, at)?,
        "urn" if rest.to_ascii_lowercase().starts_with("service:sos") => emergency(),
        _ if rest.starts_with("//") || !rest.contains('@') || word.len() > 8 => {
            let known = "sip: sips: tel: sms: im: pres: xmpp: procom:";
            return Err(Refusal::new(0, format!("{word}: is not known here; there are {known}")));
        }
        _ => return Err(Refusal::new(at - 1, "a : has no place in a name before an @")),
    };
    let mut reading = reading;
    if let Some(number) = &reading.number {
        reading.notes.extend(number.note());
    } else if reading.addresses[0].param("user") == Some(Some("phone")) {
        // RFC 3261 §19.1.1: the user part is a telephone-subscriber.
        reading.number = number::read(reading.addresses[0].name(), home).ok();
    }
    Ok(Some(reading))
}

/// RFC 5031 §4.2: whatever help is asked for, the common number brings it.
fn emergency() -> Reading {
    let number = number::emergency();
    let mut reading = Reading::of(Kind::Uri, Address::tel(&number.digits));
    reading.number = Some(number);
    reading
}

/// RFC 3261 §19.1.1.
pub(super) fn read_sip(scheme: Scheme, rest: &str, at: usize) -> Result<Reading, Refusal> {
    let (body, headers) = match rest.rsplit_once('@') {
        Some((user, hostport)) => {
            let (hostport, headers) = split_at(hostport, '?');
            (format!("{user}@{hostport}"), headers)
        }
        None => {
            let (hostport, headers) = split_at(rest, '?');
            (hostport.to_owned(), headers)
        }
    };
    let (user, hostport) =
        body.rsplit_once('@').map_or((None, body.as_str()), |(user, host)| (Some(user), host));
    let host_at = at + user.map_or(0, |user| user.chars().count() + 1);
    let (hostport, params) = split_at(hostport, ';');
    let (host, port) = split_port(hostport).map_err(|refusal| refusal.after(host_at))?;
    let host = host::to_ascii(host).map_err(|why| Refusal::new(host_at, why))?;
    let user = user.map(|user| decode_user(user, at)).transpose()?;
    let params = read_params(params, host_at + hostport.chars().count())?;
    let mut notes = Vec::new();
    if !headers.is_empty() {
        notes.push("headers after ? are not sent".to_owned());
    }
    let mut address = Address { scheme, user, host: Some(host), port, params };
    // A detour somebody else chose (RFC 3261 §19.1.1 maddr) is not ours to take.
    if address.param("maddr").is_some() {
        address.params.retain(|(name, _)| name != "maddr");
        notes.push("maddr is not followed".to_owned());
    }
    if let Some(transport) = address.param("transport") {
        let is_known = transport.and_then(crate::lookup::sip::Transport::parse).is_some();
        if !is_known {
            let at = host_at + hostport.chars().count();
            return Err(Refusal::new(at, "transport is udp, tcp or tls here"));
        }
    }
    let mut reading = Reading::of(Kind::Uri, address);
    reading.notes = notes;
    Ok(reading)
}

/// A user part, percent-decoded; a password, which no URI should show (RFC 3261 §19.1.1), is dropped.
fn decode_user(text: &str, at: usize) -> Result<String, Refusal> {
    let text = text.split(':').next().unwrap_or(text);
    let user = decode(text, at)?;
    if user.is_empty() {
        return Err(Refusal::new(at, "there is no name before the @"));
    }
    Ok(user)
}

/// Undoes percent-encoding (RFC 3986 §2.1).
fn decode(text: &str, at: usize) -> Result<String, Refusal> {
    let bad = |found: usize, why: &str| Refusal::new(at + text[..found].chars().count(), why);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes().enumerate();
    while let Some((found, byte)) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = text
            .get(found + 1..found + 3)
            .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let hex = hex.ok_or_else(|| bad(found, "two hexadecimal digits follow a %"))?;
        bytes.push(u8::from_str_radix(hex, 16).expect("two hexadecimal digits"));
        rest.next();
        rest.next();
    }
    let decoded =
        String::from_utf8(bytes).map_err(|_| bad(0, "what the % stand for is no text"))?;
    match decoded.chars().any(super::is_unseen) {
        true => Err(bad(0, "a % stands for a character nobody can see")),
        false => Ok(decoded),
    }
}

fn split_at(text: &str, mark: char) -> (&str, &str) {
    text.split_once(mark).unwrap_or((text, ""))
}

fn split_port(hostport: &str) -> Result<(&str, Option<u16>), Refusal> {
    let end = hostport.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = hostport[end..].find(':') else {
        return if end == 0 || end == hostport.len() {
            Ok((hostport, None))
        } else {
            Err(Refusal::new(end, "only a port follows the bracket"))
        };
    };
    let (host, port) = (&hostport[..end + colon], &hostport[end + colon + 1..]);
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = is_number.then(|| port.parse::<u16>().ok()).flatten().filter(|port| *port != 0);
    match port {
        Some(port) => Ok((host, Some(port))),
        None => {
            let at = host.chars().count() + 1;
            Err(Refusal::new(at, "the port is not a number from 1 to 65535"))
        }
    }
}

/// Parameters: names of tokens, each once (RFC 3261 §19.1.1).
fn read_params(text: &str, at: usize) -> Result<Vec<(String, Option<String>)>, Refusal> {
    let mut params: Vec<(String, Option<String>)> = Vec::new();
    for param in text.split(';').filter(|param| !param.is_empty()) {
        let (name, value) = match param.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (param, None),
        };
        let name = name.to_ascii_lowercase();
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'+%[]/:&$".contains(&byte);
        let is_fine =
            !name.is_empty() && name.bytes().chain(value.unwrap_or("").bytes()).all(is_token);
        if !is_fine {
            return Err(Refusal::new(at, format!("the parameter {name:?} cannot be")));
        }
        if params.iter().any(|(known, _)| *known == name) || params.len() >= MAX_PARAMS {
            return Err(Refusal::new(
                at,
                format!("the parameter {name:?} is there twice, or there are too many"),
            ));
        }
        params.push((name, value.map(str::to_owned)));
    }
    Ok(params)
}

/// RFC 3966 §3. A global number, or a local one with its context; a local one without a context is
/// read as if it was typed.
fn read_tel(scheme: Scheme, rest: &str, at: usize, home: &Home) -> Result<Reading, Refusal> {
    let rest = rest.split('?').next().unwrap_or(rest);
    let (subscriber, params) = split_at(rest, ';');
    let params_at = at + subscriber.chars().count() + 1;
    let mut params = read_params(params, params_at)?;
    check_tel_params(&mut params, params_at)?;
    let context = params.iter().find(|(name, _)| name == "phone-context");
    let context = context.and_then(|(_, value)| value.clone());
    let read = match context.as_deref() {
        None => number::read(subscriber, home),
        Some(context) => in_context(subscriber, context, home),
    };
    let number = read.map_err(|refusal| refusal.after(at))?;
    if number.digits.starts_with('+') {
        params.retain(|(name, _)| name != "phone-context");
    }
    // RFC 3966 §3: extension first, then the context, then the others by name.
    params.sort_by_key(|(name, _)| {
        let place = match name.as_str() {
            "isub" | "ext" => 0,
            "phone-context" => 1,
            _ => 2,
        };
        (place, name.clone())
    });
    let user = Some(number.digits.clone());
    let mut reading =
        Reading::of(Kind::Number, Address { scheme, user, host: None, port: None, params });
    reading.number = Some(number);
    Ok(reading)
}

/// RFC 3966 §3 `ext`, `phone-context`; RFC 4694 §4 `rn`, `npdi`.
fn check_tel_params(params: &mut [(String, Option<String>)], at: usize) -> Result<(), Refusal> {
    for (name, value) in params {
        let bad = |why: &str| Err(Refusal::new(at, format!("{name}: {why}")));
        match (name.as_str(), value.as_deref()) {
            ("ext", Some(digits)) => *value = Some(number::read_extension(digits, at)?),
            ("rn", Some(routing)) => match number::digits(routing) {
                Ok(digits) => *value = Some(digits),
                Err(_) => return bad("a routing number is digits"),
            },
            ("phone-context", Some(context)) if context.starts_with('+') => {
                match number::digits(context) {
                    Ok(digits) => *value = Some(digits),
                    Err(_) => return bad("a context is +digits or a domain"),
                }
            }
            ("phone-context", Some(context)) => match host::to_ascii(context) {
                Ok(domain) => *value = Some(domain),
                Err(_) => return bad("a context is +digits or a domain"),
            },
            ("ext" | "rn" | "phone-context", None) => return bad("a value follows it"),
            ("npdi", Some(_)) => return bad("it has no value"),
            (_, _) => {}
        }
    }
    Ok(())
}

/// RFC 3966 §5.1.5: a context says where a local number is valid. It is no prefix, but where both
/// together are a number of the plan, that is the number meant.
pub(super) fn in_context(
    subscriber: &str,
    context: &str,
    home: &Home,
) -> Result<number::Number, Refusal> {
    let digits = number::digits(subscriber)?;
    if digits.starts_with('+') {
        return Err(Refusal::new(0, "a number with its country code has no context"));
    }
    if let Some(prefix) = context.strip_prefix('+') {
        let joined = format!("+{prefix}{}", digits.trim_start_matches('0'));
        if let Ok(joined) = number::read(&joined, home)
            && joined.is_valid
        {
            return Ok(joined);
        }
    }
    Ok(number::of_context(digits, home))
}

/// RFC 5122 §2.2.
fn read_xmpp(rest: &str, at: usize) -> Result<Reading, Refusal> {
    if rest.starts_with("//") {
        return Err(Refusal::new(at, "xmpp:// names an account of yours, not whom to reach"));
    }
    let (path, query) = match rest.find(['?', '#']) {
        Some(mark) => rest.split_at(mark),
        None => (rest, ""),
    };
    let jid = Jid::read(&decode(path, at)?).map_err(|refusal| refusal.after(at))?;
    let mut reading = Reading::of(Kind::Uri, jid.address());
    if let Some(resource) = &jid.resource {
        reading.printed = format!("{}/{}", reading.printed, encode(resource));
    }
    reading.resource = jid.resource;
    if !query.is_empty() {
        reading.notes.push("what follows ? is not sent".to_owned());
    }
    Ok(reading)
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// RFC 3860 and RFC 3859 leave the protocol to the DNS; here to the rules.
fn read_abstract(word: &str, rest: &str, at: usize) -> Result<Reading, Refusal> {
    let path = rest.split('?').next().unwrap_or(rest);
    let jid = Jid::read(&decode(path, at)?).map_err(|refusal| refusal.after(at))?;
    if jid.local.is_none() {
        return Err(Refusal::new(at, format!("{word}: is followed by user@host")));
    }
    let mut reading = super::user_at_host(&jid.to_string()).map_err(|refusal| refusal.after(at))?;
    reading.kind = Kind::Uri;
    let bare = jid.address().to_string();
    reading.printed = format!("{word}:{}", bare.trim_start_matches("xmpp:"));
    if let Some(resource) = &jid.resource {
        reading.printed = format!("{}/{}", reading.printed, encode(resource));
    }
    Ok(reading)
}

/// A Procom account, here or of another domain.
fn read_procom(rest: &str, at: usize) -> Result<Reading, Refusal> {
    let rest = rest.split(['?', ';']).next().unwrap_or(rest);
    let Some((user, hostport)) = rest.rsplit_once('@') else {
        let user = decode_user(rest, at)?;
        return Ok(Reading::of(Kind::Uri, Address::procom(&user)));
    };
    let host_at = at + user.chars().count() + 1;
    let (host, port) = split_port(hostport).map_err(|refusal| refusal.after(host_at))?;
    let host = host::to_ascii(host).map_err(|why| Refusal::new(host_at, why))?;
    let user = Some(decode_user(user, at)?);
    let address =
        Address { scheme: Scheme::Procom, user, host: Some(host), port, params: Vec::new() };
    Ok(Reading::of(Kind::Uri, address))
}
