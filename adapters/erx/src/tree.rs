//! Reading XML into a plain tree: elements by their local names, and text.
//!
//! What comes over a wire is not trusted: document types and entities beyond
//! the five predefined ones are refused, depth and size are bounded. Unknown
//! elements are kept and simply not asked for.

use quick_xml::{Reader, escape::resolve_predefined_entity, events::Event};

/// The largest message that is read.
const MOST_BYTES: usize = 1 << 20;
const MOST_DEPTH: usize = 48;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// The name without its prefix.
    pub name: String,
    /// The text directly below, in one piece.
    pub text: String,
    pub children: Vec<Element>,
}

#[derive(Debug, thiserror::Error)]
pub enum NotWellFormed {
    #[error("the XML is malformed: {0}")]
    Syntax(#[from] quick_xml::Error),
    #[error("the XML has a reference that cannot be resolved")]
    Reference,
    #[error("the XML is {0}")]
    Refused(&'static str),
}

impl Element {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<Self, NotWellFormed> {
        if text.len() > MOST_BYTES {
            return Err(NotWellFormed::Refused("too large"));
        }
        let mut reader = Reader::from_str(text);
        reader.config_mut().enable_all_checks(true);
        let mut open: Vec<Self> = Vec::new();
        let mut root: Option<Self> = None;
        loop {
            let event = reader.read_event()?;
            match event {
                Event::Start(start) => {
                    if root.is_some() {
                        return Err(NotWellFormed::Refused("more than one document"));
                    }
                    if open.len() == MOST_DEPTH {
                        return Err(NotWellFormed::Refused("too deep"));
                    }
                    open.push(Self::named(start.local_name().as_ref()));
                }
                Event::Empty(start) => {
                    if root.is_some() {
                        return Err(NotWellFormed::Refused("more than one document"));
                    }
                    let element = Self::named(start.local_name().as_ref());
                    close(element, &mut open, &mut root);
                }
                Event::End(_) => {
                    let element = open.pop().ok_or(NotWellFormed::Refused("closed twice"))?;
                    close(element, &mut open, &mut root);
                }
                Event::Text(piece) => add_text(&piece.xml10_content(), &mut open)?,
                Event::CData(piece) => add_text(&piece.xml10_content(), &mut open)?,
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref() {
                        Ok(Some(character)) => character.to_string(),
                        Ok(None) => resolve_predefined_entity(&reference.xml10_content())
                            .ok_or(NotWellFormed::Reference)?
                            .to_owned(),
                        Err(_) => return Err(NotWellFormed::Reference),
                    };
                    add_text(&resolved, &mut open)?;
                }
                Event::DocType(_) => return Err(NotWellFormed::Refused("with a document type")),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        if !open.is_empty() {
            return Err(NotWellFormed::Refused("cut short"));
        }
        root.ok_or(NotWellFormed::Refused("empty"))
    }

    fn named(name: impl AsRef<str>) -> Self {
        Self { name: name.as_ref().to_owned(), ..Self::default() }
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The element at the end of a path, as in `Header/MessageID`.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |element, name| element.child(name))
    }

    /// The text at the end of a path, trimmed; `None` when it is missing or
    /// blank.
    pub fn text_at(&self, path: &str) -> Option<&str> {
        self.at(path).map(|element| element.text.trim()).filter(|text| !text.is_empty())
    }
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *root = Some(element),
    }
}

fn add_text(piece: &str, open: &mut [Element]) -> Result<(), NotWellFormed> {
    // The library checks neither what is written nor what a reference names.
    if !piece.chars().all(is_xml) {
        return Err(NotWellFormed::Refused("with a character that XML does not have"));
    }
    match open.last_mut() {
        Some(element) => element.text.push_str(piece),
        None if piece.trim().is_empty() => {}
        None => return Err(NotWellFormed::Refused("with text outside its root")),
    }
    Ok(())
}

/// The characters of XML 1.0 (section 2.2).
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_unknown_elements_and_references_are_read() {
        let text = "<?xml version=\"1.0\"?><s:Message xmlns:s=\"urn:x\"><New/><Header>\
                    <MessageID> a&amp;b&#x41;<![CDATA[<c>]]> </MessageID></Header></s:Message>";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.name, "Message");
        assert_eq!(root.text_at("Header/MessageID"), Some("a&bA<c>"));
        assert_eq!(root.text_at("Header/Nothing"), None);
        assert_eq!(root.text_at("New"), None);
    }

    #[test]
    fn what_is_not_well_formed_or_dangerous_is_refused() {
        let deep = "<a>".repeat(60) + &"</a>".repeat(60);
        let bomb = "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>";
        for bad in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a>&unknown;</a>",
            "</a>",
            "<a/>x",
            "<a>b\0</a>",
            "<a>b&#0;</a>",
            "<a>b&#x1;</a>",
            "<a><![CDATA[\u{FFFF}]]></a>",
            &deep,
            bomb,
        ] {
            assert!(Element::parse(bad).is_err(), "{bad}");
        }
        let large = format!("<a>{}</a>", "x".repeat(MOST_BYTES));
        assert!(Element::parse(&large).is_err());
    }
}
