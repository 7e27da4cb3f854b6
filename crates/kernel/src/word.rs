//! Words: the values of an enumeration that programs read, with one text from the API to
//! the column. `#[derive(Word)]` describes one.

/// A text that is none of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such word")]
pub struct UnknownWord;

/// Without the feature there are no rows.
#[cfg(not(feature = "rows"))]
#[doc(hidden)]
#[macro_export]
macro_rules! word_in_rows {
    ($name:ident) => {};
}

/// Without the feature there is no wire.
#[cfg(not(feature = "wire"))]
#[doc(hidden)]
#[macro_export]
macro_rules! word_on_the_wire {
    ($name:ident, $wire:expr, $docs:expr) => {};
}

#[cfg(test)]
mod tests {
    use crate::Word;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
    enum Visit {
        ByVideo,
        #[word("async")]
        Asynchronous,
    }

    #[test]
    fn a_word_reads_what_it_writes_and_nothing_else() {
        assert_eq!(Visit::WORDS, ["by_video", "async"]);
        for visit in Visit::ALL {
            assert_eq!(visit.to_string().parse(), Ok(*visit));
        }
        assert_eq!("ByVideo".parse::<Visit>(), Err(crate::UnknownWord));
    }
}
