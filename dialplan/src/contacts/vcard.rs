//! vCards: 4.0 (RFC 6350) in and out, 3.0 (RFC 2426) in.
//!
//! Only FN, N, NICKNAME, TEL and IMPP mean something here; every other line is kept as it stands.

use std::fmt::Write as _;

use super::{Contact, ContactAddress, ContactFault, MAX_ADDRESSES, MAX_CARD_BYTES, MAX_CONTACTS};

/// Longest line that is written, without its end (RFC 6350 §3.2).
const MAX_LINE_BYTES: usize = 75;

/// One line, unfolded: `group.NAME;PARAM=value:value`.
struct Line<'l> {
    name: String,
    params: &'l str,
    value: &'l str,
}

/// Reads every vCard of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Contact>, ContactFault> {
    let mut contacts = Vec::new();
    let mut open: Option<Card> = None;
    let mut last = 1;
    for (number, raw) in unfold(text) {
        last = number;
        if raw.trim().is_empty() {
            continue;
        }
        let fault = |why| ContactFault { line: number, why };
        let line = split(&raw).ok_or_else(|| fault("a line is NAME:value"))?;
        let is_card = line.value.trim().eq_ignore_ascii_case("VCARD");
        match (line.name.as_str(), open.as_mut()) {
            ("BEGIN", None) if is_card => open = Some(Card::default()),
            ("BEGIN", Some(_)) if is_card => return Err(fault("a vCard begins inside another")),
            ("END", Some(card)) if is_card => {
                let contact = card.close().ok_or_else(|| fault("the vCard has no name (FN)"))?;
                contacts.push(contact);
                open = None;
                if contacts.len() > MAX_CONTACTS {
                    return Err(fault("there are too many contacts"));
                }
            }
            (_, Some(card)) => {
                card.bytes += raw.len();
                if card.bytes > MAX_CARD_BYTES {
                    return Err(fault("the vCard is too long"));
                }
                card.take(&line, &raw);
            }
            (_, None) => return Err(fault("the line is outside of a vCard")),
        }
    }
    match open {
        Some(_) => Err(ContactFault { line: last, why: "the last vCard has no end" }),
        None => Ok(contacts),
    }
}

/// Lines with their numbers; a line that begins with a gap goes on with the one before
/// (RFC 6350 §3.2).
fn unfold(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, before))) => before.push_str(rest),
            (Some(_), None) | (None, _) => lines.push((at + 1, line.to_owned())),
        }
    }
    lines
}

/// Splits a line at its first colon outside of quotes.
fn split(raw: &str) -> Option<Line<'_>> {
    let mut is_quoted = false;
    let colon = raw.char_indices().find(|(_, letter)| {
        is_quoted ^= *letter == '"';
        *letter == ':' && !is_quoted
    });
    let (head, value) = raw.split_at(colon?.0);
    let (name, params) = head.split_once(';').unwrap_or((head, ""));
    let name = name.rsplit('.').next().unwrap_or(name).trim().to_ascii_uppercase();
    (!name.is_empty()).then_some(Line { name, params, value: &value[1..] })
}

/// A vCard being read.
#[derive(Default)]
struct Card {
    name: Option<String>,
    structured: Option<String>,
    nicknames: Vec<String>,
    addresses: Vec<ContactAddress>,
    others: Vec<String>,
    bytes: usize,
}

impl Card {
    fn take(&mut self, line: &Line<'_>, raw: &str) {
        match line.name.as_str() {
            "FN" if self.name.is_none() => {
                let name = unescape(line.value);
                self.name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
            }
            "NICKNAME" => self.nicknames.extend(
                list(line.value)
                    .into_iter()
                    .map(|name| name.trim().to_owned())
                    .filter(|name| !name.is_empty()),
            ),
            "TEL" | "IMPP" if self.addresses.len() < MAX_ADDRESSES => {
                let text = unescape(line.value).trim().to_owned();
                let preference = preference(line.params);
                self.addresses
                    .extend((!text.is_empty()).then_some(ContactAddress { text, preference }));
            }
            "VERSION" => {}
            "N" => {
                self.structured = Some(unescape(line.value));
                self.others.push(raw.to_owned());
            }
            _ => self.others.push(raw.to_owned()),
        }
    }

    fn close(&mut self) -> Option<Contact> {
        let card = std::mem::take(self);
        let given = |structured: String| {
            let parts: Vec<&str> = structured.split(';').collect();
            let name =
                [parts.get(1), parts.first()].into_iter().flatten().copied().collect::<Vec<_>>();
            Some(name.join(" ").trim().to_owned()).filter(|name| !name.is_empty())
        };
        let name = card.name.or_else(|| card.structured.and_then(given))?;
        let mut addresses = card.addresses;
        addresses.sort_by_key(|address| address.preference);
        Some(Contact { name, nicknames: card.nicknames, addresses, others: card.others })
    }
}

/// `PREF=1` to 100 (RFC 6350 §5.3); `TYPE=pref` of vCard 3 is 1; without either, the worst.
fn preference(params: &str) -> u8 {
    for param in params.split(';') {
        let (name, value) = param.split_once('=').unwrap_or(("TYPE", param));
        let value = value.trim_matches('"').to_ascii_lowercase();
        if name.eq_ignore_ascii_case("PREF")
            && let Some(preference) =
                value.parse().ok().filter(|preference| (1..=100).contains(preference))
        {
            return preference;
        }
        if name.eq_ignore_ascii_case("TYPE") && value.split(',').any(|word| word == "pref") {
            return 1;
        }
    }
    100
}

/// The parts between commas that are not escaped (RFC 6350 §3.3).
fn list(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ',' => parts.push(String::new()),
            '\\' => {
                let part = parts.last_mut().expect("there is always one");
                part.push('\\');
                part.extend(letters.next());
            }
            letter => parts.last_mut().expect("there is always one").push(letter),
        }
    }
    parts.iter().map(|part| unescape(part)).collect()
}

/// RFC 6350 §3.4.
fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            letter => out.push(letter),
        }
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\\' | ',' | ';' => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    out
}

/// The vCard of a contact.
pub(super) fn render(contact: &Contact) -> String {
    let mut out = String::new();
    fold(&mut out, "BEGIN:VCARD");
    fold(&mut out, "VERSION:4.0");
    fold(&mut out, &format!("FN:{}", escape(&contact.name)));
    if !contact.nicknames.is_empty() {
        let names: Vec<String> = contact.nicknames.iter().map(|name| escape(name)).collect();
        fold(&mut out, &format!("NICKNAME:{}", names.join(",")));
    }
    for ContactAddress { text, preference } in &contact.addresses {
        let is_uri = text.split_once(':').is_some_and(|(word, _)| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic())
        });
        let is_tel = text.starts_with("tel:");
        let name = if is_uri && !is_tel { "IMPP" } else { "TEL;VALUE=" };
        let kind = match (is_uri, is_tel) {
            (true, false) => "",
            (true, true) => "uri",
            (false, _) => "text",
        };
        fold(&mut out, &format!("{name}{kind};PREF={preference}:{}", escape(text)));
    }
    contact.others.iter().for_each(|line| fold(&mut out, line));
    fold(&mut out, "END:VCARD");
    out
}

/// Writes a line in pieces of at most 75 bytes, none of which ends inside a letter.
fn fold(out: &mut String, line: &str) {
    let mut room = MAX_LINE_BYTES;
    for letter in line.chars() {
        if letter.len_utf8() > room {
            out.push_str("\r\n ");
            room = MAX_LINE_BYTES - 1;
        }
        room -= letter.len_utf8();
        out.push(letter);
    }
    writeln!(out, "\r").expect("writing to a string cannot fail");
}
