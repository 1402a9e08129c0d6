//! The little XML that notifications are made of, read within narrow limits: no document type, no
//! processing instruction, no entity but the five of XML itself.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, Event};

/// The longest document read, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// The most elements, nested or side by side.
const MAX_ELEMENTS: usize = 64;
/// The deepest nesting.
const MAX_DEPTH: usize = 8;

/// An element, its name without prefix.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    /// All text directly in it, trimmed.
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

impl Element {
    /// The first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads a document; `None` when it is none, or goes beyond the limits.
pub(super) fn parse(bytes: &[u8]) -> Option<Element> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_BYTES)?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut count = 0;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                count += 1;
                if count > MAX_ELEMENTS || open.len() >= MAX_DEPTH {
                    return None;
                }
                open.push(named(start.local_name().as_ref())?);
            }
            Event::Empty(start) => {
                count += 1;
                let element = named(start.local_name().as_ref())?;
                match open.last_mut() {
                    Some(parent) if count <= MAX_ELEMENTS => parent.children.push(element),
                    Some(_) => return None,
                    None => return Some(element),
                }
            }
            Event::End(_) => {
                let mut element = open.pop()?;
                element.text = element.text.trim().to_owned();
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => return Some(element),
                }
            }
            Event::Text(text) => {
                let text = text.decode().ok()?;
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => open.last_mut()?.text.push_str(&resolve(&reference)?),
            Event::CData(data) => open.last_mut()?.text.push_str(&data.decode().ok()?),
            Event::Comment(_) | Event::Decl(_) => {}
            Event::DocType(_) | Event::PI(_) | Event::Eof => return None,
        }
    }
}

fn named(name: &[u8]) -> Option<Element> {
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some(Element { name, ..Element::default() })
}

fn resolve(reference: &BytesRef<'_>) -> Option<String> {
    if let Some(letter) = reference.resolve_char_ref().ok()? {
        return Some(letter.to_string());
    }
    resolve_xml_entity(&reference.decode().ok()?).map(str::to_owned)
}

/// Escapes text for an element.
pub(super) fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}
