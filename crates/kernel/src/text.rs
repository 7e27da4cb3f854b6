//! What people write: which characters a text takes, when it counts as empty,
//! and how long it may be. There is one rule for each kind of text. The edge and
//! the contexts ask the same one, so that what passes arrives unchanged in every
//! message, document and mail, and what cannot be kept is refused by its path.

mod kinds;
mod notation;

use std::borrow::Cow;

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory as Category},
};
use strum::IntoEnumIterator as _;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use crate::FieldError;

pub use kinds::*;
pub use notation::Notation;

/// The form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A line that names a person: it has a letter, and reads as no link.
    Name,
    /// One line.
    Line,
    /// Lines, which end in LF.
    Paragraph,
    /// Lines that may hold tabs, as Markdown does.
    Document,
    /// A code, a number or an address that the domain reads.
    Coded(Notation),
}

impl Shape {
    /// The `format` of the schema of such a text.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "person-name",
            Self::Line => "line",
            Self::Paragraph => "paragraph",
            Self::Document => "document",
            Self::Coded(notation) => notation.into(),
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        let written = [Self::Name, Self::Line, Self::Paragraph, Self::Document];
        let coded = Notation::iter().map(Self::Coded);
        written.into_iter().chain(coded).find(|shape| shape.word() == word)
    }

    fn takes(self, c: char) -> bool {
        match c {
            ' '..='~' => true,
            '\n' => matches!(self, Self::Paragraph | Self::Document),
            '\t' => self == Self::Document,
            _ if is_variation_selector(c) => self != Self::Name,
            _ => is_joiner(c) || is_text(c),
        }
    }
}

/// What a text has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub shape: Shape,
    /// The fewest characters; with none, the text may be empty.
    pub least: usize,
    /// The most characters.
    pub most: usize,
}

/// A kind of text, named for what it is in the domain.
pub trait TextKind: Send + Sync + 'static {
    const RULE: Rule;

    /// The text as it is kept, or what is wrong with it at `path`.
    fn take(path: &str, text: &str) -> Result<String, FieldError> {
        Self::RULE.take(path, text)
    }

    /// Adds to `errors` what is wrong with a text at `path`.
    fn check(errors: &mut Vec<FieldError>, path: &str, text: &str) {
        errors.extend(Self::RULE.check(path, text).err());
    }

    /// The text as it is kept, for a text that may be left out: one that says nothing is left
    /// out.
    fn take_optional(path: &str, text: Option<&str>) -> Result<Option<String>, FieldError> {
        let text = text.map(|text| Self::take(path, text)).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    }
}

impl Rule {
    /// The text as it is kept: composed as NFC, without white space at its ends.
    /// Nothing else of it is ever changed.
    pub fn take(&self, path: &str, text: &str) -> Result<String, FieldError> {
        let text = kept(text);
        self.examine(path, &text)?;
        Ok(text)
    }

    /// What is wrong with a text at `path`.
    pub fn check(&self, path: &str, text: &str) -> Result<(), FieldError> {
        self.examine(path, normal(text).trim_matches(is_space))
    }

    fn examine(&self, path: &str, text: &str) -> Result<(), FieldError> {
        if let Some(c) = self.refused(text) {
            return Err(refusal(path, c));
        }
        let seen = text.chars().any(is_visible);
        if !(seen || self.least == 0 && text.is_empty()) {
            return Err(FieldError::required(path));
        }
        if let Shape::Coded(notation) = self.shape {
            let reads = text.is_empty() || notation.reads(text);
            let wrong = || FieldError::new(path, "invalid", notation.sentence());
            return if reads { Ok(()) } else { Err(wrong()) };
        }
        let length = text.chars().count();
        if length < self.least || length > self.most {
            let message = match self.least {
                0 | 1 => format!("At most {} characters; this has {length}.", self.most),
                least => format!("From {least} to {} characters; this has {length}.", self.most),
            };
            return Err(FieldError::new(path, "length", message));
        }
        if self.shape == Shape::Name {
            check_name(path, text)?;
        }
        Ok(())
    }

    /// The first character that the text may not hold where it stands.
    fn refused(&self, text: &str) -> Option<char> {
        let mut before = None;
        for c in text.chars() {
            if !self.shape.takes(c) || !joins(before, c) {
                return Some(c);
            }
            before = Some(c);
        }
        before.filter(|last| is_joiner(*last))
    }
}

/// A text as it is kept, where its characters are held against a rule later.
pub fn kept(text: &str) -> String {
    normal(text).trim_matches(is_space).to_owned()
}

fn normal(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}

/// White space that a text may begin or end with. A carriage return is none:
/// taking it away would change what was written.
fn is_space(c: char) -> bool {
    matches!(c, '\n' | '\t') || category(c) == Category::SpaceSeparator
}

fn category(c: char) -> Category {
    CodePointMapData::<Category>::new().get(c)
}

/// Whether a character can stand in a text by itself. One that this version of
/// Unicode does not know yet can; it does not count as visible.
pub(crate) fn is_text(c: char) -> bool {
    let apart = matches!(
        category(c),
        Category::Control
            | Category::LineSeparator
            | Category::ParagraphSeparator
            | Category::PrivateUse
            | Category::Surrogate
    );
    // The last are the marks around an annotation and the place of an object.
    !apart
        && !is_noncharacter(c)
        && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        && !matches!(c, '\u{FFF9}'..='\u{FFFC}')
}

fn is_noncharacter(c: char) -> bool {
    matches!(u32::from(c), 0xFDD0..=0xFDEF) || u32::from(c) & 0xFFFE == 0xFFFE
}

/// The joiners that Persian, the scripts of India and emoji are written with.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{180B}'..='\u{180D}' | '\u{180F}' | '\u{E0100}'..='\u{E01EF}')
}

/// Whether a joiner or a variation selector stands where it does something; any
/// other character stands anywhere. After a Latin letter it would only make two
/// texts look alike.
fn joins(before: Option<char>, c: char) -> bool {
    let selector = is_variation_selector(c);
    if !selector && !is_joiner(c) {
        return true;
    }
    before.is_some_and(|before| match before {
        '0'..='9' | '#' | '*' => selector,
        '\0'..='\u{7F}' => false,
        _ if is_variation_selector(before) => !selector,
        _ => !is_joiner(before) && !is_space(before),
    })
}

/// Whether a reader sees something: a letter, a number, punctuation or a symbol.
/// The blank pattern of Braille is a symbol without a mark.
fn is_visible(c: char) -> bool {
    let unseen = matches!(
        category(c),
        Category::NonspacingMark
            | Category::SpacingMark
            | Category::EnclosingMark
            | Category::SpaceSeparator
            | Category::LineSeparator
            | Category::ParagraphSeparator
            | Category::Control
            | Category::Format
            | Category::PrivateUse
            | Category::Surrogate
            | Category::Unassigned
    );
    !unseen && c != '\u{2800}' && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn check_name(path: &str, name: &str) -> Result<(), FieldError> {
    if !name.chars().any(char::is_alphabetic) {
        return Err(FieldError::new(path, "invalid", "A name has a letter."));
    }
    // A mail program would make a link or an address of it, so that whoever
    // registers somebody else's address could send them one in our mails.
    let mut after_stop = name.split('.').skip(1);
    let links = name.contains(['/', '\\', ':', '@', '<', '>'])
        || after_stop.any(|rest| rest.chars().take_while(|c| c.is_alphabetic()).count() > 1);
    if links {
        let message = "A name has none of / \\ : @ < > and, after a full stop, a space.";
        return Err(FieldError::new(path, "invalid", message));
    }
    Ok(())
}

/// Whether no field at all can keep a character: controls but LF and tab, the
/// separators of lines and paragraphs, what turns the writing around, and
/// noncharacters.
pub fn is_refused_everywhere(c: char) -> bool {
    let turns = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let control = c.is_control() && !matches!(c, '\n' | '\t');
    control || turns || matches!(c, '\u{2028}' | '\u{2029}') || is_noncharacter(c)
}

/// Says that a character cannot be kept.
pub fn refusal(path: &str, c: char) -> FieldError {
    let number = u32::from(c);
    let what = match c {
        '\0' => {
            return FieldError::new(path, "nul_character", "A text must not hold a NUL character.");
        }
        '\r' => "a carriage return; lines end in LF",
        '\n' => "a line break; this is one line",
        '\t' => "a tab",
        _ if c.is_control() => "a control character",
        '\u{2028}' | '\u{2029}' => "a separator of lines; lines end in LF",
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => "turns the writing around",
        _ if is_noncharacter(c) => "no character",
        _ if category(c) == Category::PrivateUse => "for private use",
        _ => "invisible here",
    };
    FieldError::new(path, "character", format!("U+{number:04X} cannot be kept: it is {what}."))
}

/// A text that came from outside and cannot be sent back, as people may read it:
/// lines end in LF, and a replacement character stands for what no paragraph
/// takes, so that nothing is lost without a mark.
pub fn legible(text: &str) -> String {
    let mut before = None;
    let mut legible = String::with_capacity(text.len());
    for c in normal(&text.replace("\r\n", "\n")).chars() {
        let sound = Shape::Paragraph.takes(c) && joins(before, c);
        legible.push(if sound { c } else { char::REPLACEMENT_CHARACTER });
        before = Some(c);
    }
    legible.trim_matches(is_space).to_owned()
}

/// The most bytes of an id or a word that a vendor made up.
const MOST_OF_A_VENDOR: usize = 255;

/// An id or a word of a vendor, where it can be kept as it is: not empty, not
/// endless, and without control characters.
pub fn vendor_word(text: &str) -> Option<String> {
    let fits = (1..=MOST_OF_A_VENDOR).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
