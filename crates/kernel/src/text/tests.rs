use proptest::prelude::*;

use super::*;

const LINE: Rule = Rule { shape: Shape::Line, least: 1, most: 40 };
const PARAGRAPH: Rule = Rule { shape: Shape::Paragraph, least: 1, most: 40 };
const DOCUMENT: Rule = Rule { shape: Shape::Document, least: 1, most: 40 };
const OPTIONAL: Rule = Rule { shape: Shape::Line, least: 0, most: 40 };

fn code(rule: Rule, text: &str) -> Option<String> {
    rule.check("it", text).err().map(|error| error.code)
}

#[test]
fn what_people_write_is_kept_as_it_is() {
    for text in [
        "5 mg",
        "Zoë O’Brien & Söhne <\"'>",
        "李小龙",
        "می\u{200C}نا",
        "क\u{94D}\u{200D}ष",
        "❤\u{FE0F}\u{200D}🔥",
        "👩🏽\u{200D}⚕\u{FE0F} 1\u{FE0F}\u{20E3}",
        "葛\u{E0100}城市",
        "½ tablet – twice",
        "a\u{A0}b",
    ] {
        assert_eq!(LINE.take("it", text).as_deref(), Ok(text));
    }
    assert_eq!(PARAGRAPH.take("it", "one\n\ntwo").as_deref(), Ok("one\n\ntwo"));
    assert_eq!(DOCUMENT.take("it", "- a\n\t- b").as_deref(), Ok("- a\n\t- b"));
}

#[test]
fn what_nobody_sees_or_no_field_keeps_is_refused() {
    for hidden in [
        "\u{200B}",
        "\u{FEFF}",
        "\u{2060}",
        "\u{AD}",
        "\u{200E}",
        "\u{200F}",
        "\u{61C}",
        "\u{202A}",
        "\u{202E}",
        "\u{2066}",
        "\u{2069}",
        "\u{2028}",
        "\u{2029}",
        "\u{85}",
        "\u{9B}",
        "\u{7}",
        "\u{7F}",
        "\r",
        "\u{FFFE}",
        "\u{FFFF}",
        "\u{FDD0}",
        "\u{1FFFE}",
        "\u{E000}",
        "\u{F0000}",
        "\u{E0041}",
        "\u{3164}",
        "\u{FFA0}",
        "\u{115F}",
        "\u{FFFC}",
        "\u{200D}",
        "\u{FE0F}",
        "\u{34F}",
        "\u{180E}",
    ] {
        for text in [hidden.to_owned(), format!("a{hidden}b"), format!("{hidden}a")] {
            for rule in [LINE, PARAGRAPH, DOCUMENT, OPTIONAL] {
                assert_eq!(code(rule, &text).as_deref(), Some("character"), "{text:?}");
            }
        }
    }
    assert_eq!(code(LINE, "a\0").as_deref(), Some("nul_character"));
    assert_eq!(code(LINE, "5\r0 mg").as_deref(), Some("character"));
    assert_eq!(code(LINE, "a\nb").as_deref(), Some("character"));
    assert_eq!(code(PARAGRAPH, "a\tb").as_deref(), Some("character"));
    assert_eq!(code(PARAGRAPH, "a\r\nb").as_deref(), Some("character"));
}

#[test]
fn a_joiner_stands_between_what_it_joins() {
    for text in ["é\u{200D}", "é\u{200D}\u{200D}e", "a\u{200C}b", " \u{200D}é", "é\u{FE0F}\u{FE0F}"]
    {
        assert_eq!(code(LINE, text).as_deref(), Some("character"), "{text:?}");
    }
}

#[test]
fn a_text_says_something() {
    for blank in ["", " ", "\u{A0}\u{3000}", "\u{2800}", "\u{301}"] {
        assert_eq!(code(LINE, blank).as_deref(), Some("required"), "{blank:?}");
    }
    assert_eq!(code(OPTIONAL, " \t\n"), None);
    assert_eq!(code(OPTIONAL, "\u{2800}").as_deref(), Some("required"));
}

#[test]
fn a_length_is_counted_of_what_is_kept() {
    let most = "ä".repeat(40);
    assert_eq!(LINE.take("it", &format!("  {most} ")), Ok(most.clone()));
    assert_eq!(LINE.take("it", &"a\u{308}".repeat(40)), Ok(most.clone()));
    assert_eq!(code(LINE, &format!("{most}ä")).as_deref(), Some("length"));
    let reason = Rule { least: 10, ..PARAGRAPH };
    assert_eq!(code(reason, &format!("short{}", " ".repeat(20))).as_deref(), Some("length"));
    assert_eq!(code(reason, "long enough"), None);
}

#[test]
fn what_comes_from_outside_is_shown_with_its_gaps() {
    assert_eq!(legible("one\r\ntwo\r3\u{202E}4\u{200B}"), "one\ntwo\u{FFFD}3\u{FFFD}4\u{FFFD}");
}

#[test]
fn a_shape_is_found_by_its_word() {
    for (kind, rule) in KINDS {
        assert_eq!(Shape::from_word(rule.shape.word()), Some(rule.shape), "{kind}");
    }
    assert_eq!(Shape::from_word("uuid"), None);
}

/// What each notation takes and what it does not, and that the lengths of its
/// kind leave room for it.
#[test]
fn a_notation_is_read_by_its_type() {
    for (notation, good, bad) in [
        (Notation::Currency, "USD", "XXX"),
        (Notation::Dea, "AB1234563", "AB1234564"),
        (Notation::Email, "ada@example.com", "ada@example"),
        (Notation::Icd10, "F41.1", "41.1"),
        (Notation::NcpdpId, "0123454", "012345"),
        (Notation::Ndc, "16714-612-01", "1671461201"),
        (Notation::Npi, "1234567893", "1234567890"),
        (Notation::Phone, "(617) 555-0123", "555-0123"),
        (Notation::RxNorm, "200172", "RX200172"),
        (Notation::TimeZone, "America/New_York", "America/Atlantis"),
        (Notation::UsState, "ma", "XX"),
        (Notation::UsZip, "02139-4307", "0213"),
    ] {
        let of = |(_, rule): &&(&str, Rule)| rule.shape == Shape::Coded(notation);
        let (kind, rule) = KINDS.iter().find(of).expect("a kind of every notation");
        assert_eq!(rule.take("it", &format!(" {good} ")).as_deref(), Ok(good), "{kind}");
        assert!((rule.least..=rule.most).contains(&good.len()), "{kind}");
        assert_eq!(code(*rule, bad).as_deref(), Some("invalid"), "{kind}");
        assert_eq!(code(*rule, &format!("{good}\u{200B}")).as_deref(), Some("character"), "{kind}");
        assert_eq!(code(*rule, " ").as_deref(), Some("required"), "{kind}");
    }
    assert_eq!(KINDS.iter().filter(|(_, rule)| matches!(rule.shape, Shape::Coded(_))).count(), 12);
}

proptest! {
    #[test]
    fn what_passes_is_normal_visible_and_kept_again_unchanged(text in "\\PC{0,40}") {
        for rule in [LINE, PARAGRAPH, DOCUMENT, PersonName::RULE] {
            let Ok(kept) = rule.take("it", &text) else { continue };
            prop_assert!(kept.nfc().eq(kept.chars()));
            prop_assert!(kept.chars().any(is_visible));
            prop_assert!(!kept.chars().any(is_refused_everywhere));
            prop_assert_eq!(kept.nfc().count(), text.nfc().collect::<String>().trim_matches(is_space).chars().count());
            prop_assert_eq!(rule.take("it", &kept), Ok(kept));
        }
    }

    #[test]
    fn what_no_field_keeps_no_kind_takes(c in any::<char>(), before in "[a-zé]{1,3}", after in "[a-z]{1,3}") {
        let text = format!("{before}{c}{after}");
        if is_refused_everywhere(c) {
            for (_, rule) in KINDS {
                prop_assert!(rule.check("it", &text).is_err());
            }
        }
        prop_assert!(Shape::Paragraph.takes(c) || legible(&text).contains(char::REPLACEMENT_CHARACTER));
    }
}
