//! The order of what happened to one key.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// S3's sequencer: hexadecimal digits that order the events of *one* key. Duplicates of an event have the same.
///
/// They differ in length: the shorter one counts as if zeros followed, and then the order is that of the texts.
#[derive(Debug, Clone)]
pub struct Sequencer(String);

impl Sequencer {
    /// A sequencer; `None` if the text has other characters than hexadecimal digits, so that it has no order.
    pub fn new(text: &str) -> Option<Self> {
        let is_hexadecimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hexadecimal.then(|| Self(text.to_owned()))
    }

    /// As it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is compared. No digit sorts before `0`, so that dropping zeros at the end equals adding them; and S3 has been seen
    /// to write letters in upper case as well as in lower case.
    fn digits(&self) -> impl Iterator<Item = u8> {
        self.0.trim_end_matches('0').bytes().map(|byte| byte.to_ascii_uppercase())
    }
}

impl PartialEq for Sequencer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Sequencer {}

impl PartialOrd for Sequencer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sequencer {
    fn cmp(&self, other: &Self) -> Ordering {
        self.digits().cmp(other.digits())
    }
}

impl Hash for Sequencer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for digit in self.digits() {
            digit.hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use proptest::prelude::*;

    use super::*;

    fn sequencer(text: &str) -> Sequencer {
        Sequencer::new(text).expect("a sequencer")
    }

    fn hash(sequencer: &Sequencer) -> u64 {
        let mut hasher = DefaultHasher::new();
        sequencer.hash(&mut hasher);
        hasher.finish()
    }

    /// The rule word for word: pad with zeros on the right, compare the texts.
    fn padded(one: &str, other: &str) -> Ordering {
        let longest = one.len().max(other.len());
        let pad = |text: &str| format!("{text:0<longest$}").to_ascii_uppercase();
        pad(one).cmp(&pad(other))
    }

    #[test]
    fn the_shorter_one_is_padded_on_the_right() {
        let older = sequencer("0055AED6DCD90281E5");
        for newer in ["0055AED6DCD90281E6", "0055AED6DCD90281E501", "0055AED7", "1", "0055aed6dcd90281e6"] {
            assert!(older < sequencer(newer), "{newer}");
        }
        assert_eq!(sequencer("0055AE"), sequencer("0055AE00"), "zeros at the end say nothing");
        assert_eq!(sequencer("0055ae"), sequencer("0055AE"));
        assert_eq!(sequencer("00"), sequencer("0"));
    }

    #[test]
    fn other_texts_have_no_order() {
        for text in ["", " ", "0x12", "12-34", "ü", "the first"] {
            assert_eq!(Sequencer::new(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_the_rule(one in "[0-9a-fA-F]{1,20}", other in "[0-9a-fA-F]{1,20}") {
            prop_assert_eq!(sequencer(&one).cmp(&sequencer(&other)), padded(&one, &other));
        }

        /// Few digits, so that equal ones and prefixes of each other are frequent.
        #[test]
        fn it_is_a_total_order(mut texts in prop::collection::vec("[01aA]{1,4}", 3)) {
            texts.sort_by_key(|text| sequencer(text));
            let all: Vec<Sequencer> = texts.iter().map(|text| sequencer(text)).collect();
            prop_assert!(all[0] <= all[1] && all[1] <= all[2] && all[0] <= all[2]);
            prop_assert_eq!(all[0].cmp(&all[2]), all[2].cmp(&all[0]).reverse());
            for (one, other) in [(&all[0], &all[1]), (&all[1], &all[2])] {
                prop_assert!(one != other || hash(one) == hash(other));
            }
        }
    }
}
