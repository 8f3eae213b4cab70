//! Keys of objects: S3's notifications encode them as forms do; how EventBridge writes them is not documented.

use percent_encoding::percent_decode_str;

/// What the key of an object may be. More than one where the sender's encoding is not known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyCandidates {
    first: String,
    second: Option<String>,
}

impl KeyCandidates {
    /// A key as it is.
    pub(super) fn exact(key: &str) -> Self {
        Self { first: key.to_owned(), second: None }
    }

    /// A key that is encoded as in a form. `None` if its bytes are not UTF-8: no such key can be asked for.
    pub(super) fn encoded(key: &str) -> Option<Self> {
        decoded(key).map(|first| Self { first, second: None })
    }

    /// A key that may be encoded, or be meant as it is: that comes first.
    pub(super) fn either(key: &str) -> Self {
        Self { first: key.to_owned(), second: decoded(key).filter(|decoded| decoded != key) }
    }

    /// All of them, the likeliest first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.first.as_str()).chain(self.second.as_deref())
    }

    /// The key, where it is certain, so that nothing needs to be looked up.
    pub fn certain(&self) -> Option<&str> {
        match self.second {
            None => Some(&self.first),
            Some(_) => None,
        }
    }
}

/// What the storage says about an object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Size in bytes.
    pub size: u64,
    /// Etag, with or without quotes round it.
    pub etag: Option<String>,
}

impl Found {
    /// Whether it can be the object with that size and etag, as far as they are known.
    pub(super) fn fits(&self, size: Option<u64>, etag: Option<&str>) -> bool {
        let same_size = size.is_none_or(|size| size == self.size);
        let same_etag = match (etag, self.etag.as_deref()) {
            (Some(one), Some(other)) => unquoted(one) == unquoted(other),
            _ => true,
        };
        same_size && same_etag
    }
}

/// An etag without the quotes that HTTP puts round it and events do not.
pub(super) fn unquoted(etag: &str) -> &str {
    etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(etag)
}

/// By the rules of forms: `+` is a space. A `%` without two digits after it stays as it is.
fn decoded(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::form_urlencoded::byte_serialize;

    use super::*;

    fn all(keys: &KeyCandidates) -> Vec<&str> {
        keys.all().collect()
    }

    #[test]
    fn keys_are_decoded_as_forms_are() {
        for (encoded, key) in [
            ("red+flower.jpg", "red flower.jpg"),
            ("a%2Bb.csv", "a+b.csv"),
            ("raw%2Forders%2Fday%3D2026-01-31%2Fa.csv", "raw/orders/day=2026-01-31/a.csv"),
            ("%C3%A4.csv", "ä.csv"),
            ("ä.csv", "ä.csv"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%2541", "%41"),
        ] {
            let keys = KeyCandidates::encoded(encoded).expect("a key");
            assert_eq!(keys.certain(), Some(key), "{encoded}");
        }
        assert_eq!(KeyCandidates::encoded("%ff.csv"), None, "not UTF-8");
    }

    #[test]
    fn of_an_unknown_encoding_both_are_kept() {
        assert_eq!(all(&KeyCandidates::either("a+b.csv")), ["a+b.csv", "a b.csv"]);
        assert_eq!(all(&KeyCandidates::either("a%2Bb.csv")), ["a%2Bb.csv", "a+b.csv"]);
        assert_eq!(KeyCandidates::either("a+b.csv").certain(), None);
        for plain in ["a b.csv", "day=1/a.csv", "100%", "%ff.csv"] {
            assert_eq!(KeyCandidates::either(plain).certain(), Some(plain));
        }
    }

    #[test]
    fn etags_fit_with_and_without_quotes() {
        let found = |etag: Option<&str>| Found { size: 5, etag: etag.map(str::to_owned) };
        assert!(found(Some("\"x\"")).fits(Some(5), Some("x")));
        assert!(found(None).fits(Some(5), Some("x")), "not every storage has etags");
        assert!(found(Some("x")).fits(None, None));
        assert!(!found(Some("x")).fits(Some(6), Some("x")));
        assert!(!found(Some("y")).fits(Some(5), Some("x")));
        assert!(!found(Some("y")).fits(None, Some("x")));
        assert_eq!(["\"x", "\"", "", "\"\""].map(unquoted), ["\"x", "\"", "", ""]);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(key in "\\PC{0,40}") {
            let encoded: String = byte_serialize(key.as_bytes()).collect();
            let keys = KeyCandidates::encoded(&encoded);
            prop_assert_eq!(keys.as_ref().and_then(KeyCandidates::certain), Some(key.as_str()));
            // Whichever way EventBridge writes it, the true key is among the candidates.
            prop_assert!(KeyCandidates::either(&encoded).all().any(|candidate| candidate == key));
            prop_assert!(KeyCandidates::either(&key).all().any(|candidate| candidate == key));
        }
    }
}
