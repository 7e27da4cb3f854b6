//! The body of a message, safe to show once it exists.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use kernel::{
    FieldError, TextKind as _, Word,
    text::{MessageText, Rule},
};
use serde::{Deserialize, Serialize};

use crate::CommunicationError;

/// How the text of a body is to be read.
///
/// The two are told apart because `pain<before` is a sentence in plain text
/// and the start of a tag in HTML: taking one for the other loses words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("FormatWord")]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    Plain,
    Html,
}

/// A message's body: not empty, not too long, and, where it is HTML, reduced
/// to the formatting below with links that lead to HTTPS or mail addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageBody {
    format: BodyFormat,
    text: String,
}

impl std::fmt::Debug for MessageBody {
    /// A body is PHI and must not reach a log by way of a debug print.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessageBody({}, {} bytes)", self.format, self.text.len())
    }
}

const TAGS: [&str; 12] =
    ["a", "b", "blockquote", "br", "code", "em", "i", "li", "ol", "p", "strong", "ul"];

static CLEANER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = ammonia::Builder::empty();
    cleaner
        .tags(HashSet::from(TAGS))
        .clean_content_tags(HashSet::from(["script", "style"]))
        .tag_attributes(HashMap::from([("a", HashSet::from(["href"]))]))
        .url_schemes(HashSet::from(["https", "mailto", "tel"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer"));
    cleaner
});

static TEXT_ONLY: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = ammonia::Builder::empty();
    cleaner.clean_content_tags(HashSet::from(["script", "style"]));
    cleaner
});

impl MessageBody {
    /// The longest body, in characters as they were sent.
    pub const MAX_LENGTH: usize = MessageText::RULE.most;

    pub fn parse(format: BodyFormat, text: &str) -> Result<Self, CommunicationError> {
        let text = MessageText::take("body", text)?;
        let text = match format {
            BodyFormat::Plain => text,
            BodyFormat::Html => Self::cleaned(&text)?,
        };
        Ok(Self { format, text })
    }

    /// What is kept of HTML. A character reference can name what the text itself
    /// may not hold, and tags alone say nothing.
    fn cleaned(text: &str) -> Result<String, CommunicationError> {
        // Escaping `&` makes a text longer; that was counted as it was sent.
        let rule = Rule { most: usize::MAX, ..MessageText::RULE };
        let words = TEXT_ONLY.clean(text).to_string().replace("&nbsp;", " ");
        rule.check("body", &words)?;
        // The parser puts U+FFFD where a reference names no character.
        let replaced = |text: &str| text.matches(char::REPLACEMENT_CHARACTER).count();
        if replaced(&words) > replaced(text) {
            let message = "A character reference names no character.";
            return Err(FieldError::new("body", "character", message).into());
        }
        Ok(CLEANER.clean(text).to_string().trim().to_owned())
    }

    /// A body that was parsed before and comes back from the store.
    pub fn stored(format: BodyFormat, text: String) -> Self {
        Self { format, text }
    }

    pub fn format(&self) -> BodyFormat {
        self.format
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn html(text: &str) -> String {
        MessageBody::parse(BodyFormat::Html, text).unwrap().text().to_owned()
    }

    #[test]
    fn scripts_handlers_and_foreign_links_are_removed() {
        assert_eq!(html("<p onclick=\"x()\">Hi<script>alert(1)</script></p>"), "<p>Hi</p>");
        assert_eq!(
            html("<a href=\"https://example.org/a\">a</a>"),
            "<a href=\"https://example.org/a\" rel=\"noopener noreferrer\">a</a>"
        );
        for link in ["javascript:alert(1)", "data:text/html,x", "/relative", "http://plain.org"] {
            let cleaned = html(&format!("<a href=\"{link}\">word</a>"));
            assert_eq!(cleaned, "<a rel=\"noopener noreferrer\">word</a>", "{link}");
        }
        assert_eq!(html("<img src=x onerror=alert(1)>pain"), "pain");
    }

    #[test]
    fn plain_text_keeps_every_word() {
        let body = MessageBody::parse(BodyFormat::Plain, " pain<before & 5 > 3\n").unwrap();
        assert_eq!(body.text(), "pain<before & 5 > 3");
    }

    #[test]
    fn nothing_said_is_not_a_message() {
        for text in ["", "  \n ", "\u{0}\u{7}"] {
            assert!(MessageBody::parse(BodyFormat::Plain, text).is_err());
        }
        for text in ["<p> </p>", "<script>alert(1)</script>", "<br>", "<p>&nbsp;</p>"] {
            assert!(MessageBody::parse(BodyFormat::Html, text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_reference_to_no_character_is_refused() {
        for text in ["5&#0;0 mg", "5&#x0;0 mg", "5&#xD800;0 mg", "5&#x110000;0 mg"] {
            assert!(MessageBody::parse(BodyFormat::Html, text).is_err(), "{text}");
        }
        assert_eq!(html("5\u{FFFD}0 &#109;g"), "5\u{FFFD}0 mg");
    }

    #[test]
    fn the_longest_message_passes_and_one_more_character_does_not() {
        let longest = "ä".repeat(MessageBody::MAX_LENGTH);
        assert!(MessageBody::parse(BodyFormat::Plain, &longest).is_ok());
        assert!(MessageBody::parse(BodyFormat::Plain, &format!("{longest}ä")).is_err());
    }

    #[test]
    fn a_debug_print_says_nothing_of_the_text() {
        let body = MessageBody::parse(BodyFormat::Plain, "hair loss").unwrap();
        assert!(!format!("{body:?}").contains("hair"));
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing(text in "[a-z<>/&\"'= ]{1,200}") {
            if let Ok(once) = MessageBody::parse(BodyFormat::Html, &text) {
                let twice = MessageBody::parse(BodyFormat::Html, once.text()).unwrap();
                prop_assert_eq!(once.text(), twice.text());
            }
        }
    }
}
