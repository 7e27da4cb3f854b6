//! Reads JSON, and finds the names that stand twice in an object. Of those one
//! reader takes the first and another the last (RFC 8259, section 4), so that
//! what was checked need not be what is done.

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// How many repetitions are told of.
const MOST_REPEATED: usize = 20;

/// The value, and the paths of the names that stand twice in their object.
pub fn read(bytes: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    // The library reads the value itself: how it hands over a number, with the
    // digits that were written, is its own affair.
    let value = serde_json::from_slice(bytes)?;
    let mut names = Names::default();
    names.deserialize(&mut serde_json::Deserializer::from_slice(bytes))?;
    Ok((value, names.repeated))
}

/// Reads nothing but the names.
#[derive(Default)]
struct Names {
    /// Where the reader is, as errors name it.
    path: String,
    repeated: Vec<String>,
}

impl Names {
    /// Reads what is one step below.
    fn below<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        self.path.push_str(step);
        let read = read(self);
        self.path.truncate(before);
        read
    }
}

impl<'de> DeserializeSeed<'de> for &mut Names {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Names {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            let step = format!("[{index}]");
            if self.below(&step, |names| items.next_element_seed(names))?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let step = if self.path.is_empty() { name.clone() } else { format!(".{name}") };
            if !seen.insert(name) && self.repeated.len() < MOST_REPEATED {
                self.repeated.push(format!("{}{step}", self.path));
            }
            self.below(&step, |names| members.next_value_seed(names))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_found_by_its_path() {
        let text = br#"{"a": 1, "b": [{}, {"c": {"d": 1, "d": 2}}], "\u0061": 2, "e": {"a": 1}}"#;
        let (value, repeated) = read(text).unwrap();
        assert_eq!(repeated, ["b[1].c.d", "a"]);
        assert_eq!(value["a"], 2);
        for broken in ["", "{", "{} {}", "[1,]", "nul", "\"\\ud800\""] {
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(read("[".repeat(200_000).as_bytes()).is_err());
        let (value, _) = read(br#"{"dose": 70.50}"#).unwrap();
        assert_eq!(value.to_string(), r#"{"dose":70.50}"#);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e15..1e15f64).prop_map(|number| json!(number)),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(value in any_value()) {
            let text = value.to_string();
            let expected: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read(text.as_bytes()).unwrap(), (expected, vec![]));
        }
    }
}
