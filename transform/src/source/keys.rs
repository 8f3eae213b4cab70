//! JSON keys in the catalog's spelling: the catalog keeps lower-case names, producers write `orderId`.
//!
//! The decoder matches keys exactly and reads one that it does not know as nothing at all, which would lose data in silence.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// Lowers the ASCII letters of the keys of top-level objects, in a stream of bytes that may be cut anywhere.
#[derive(Debug, Default)]
pub(super) struct KeyFolder {
    /// Open brackets of either kind.
    depth: usize,
    place: Place,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between values, or in a number or a word.
    #[default]
    Value,
    /// After `{` or `,` of a top-level object: the next string is a key.
    BeforeKey,
    Key,
    Text,
    /// After a backslash in a text; keys with escapes are left as they are from there on.
    Escape,
}

impl KeyFolder {
    /// The bytes with their top-level keys in lower case.
    pub(super) fn fold(&mut self, bytes: Bytes) -> Bytes {
        let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        let mut at = 0;
        while at < bytes.len() {
            if self.place == Place::Text {
                // Most of an object is text, in which only two bytes matter.
                match memchr2(b'"', b'\\', &bytes[at..]) {
                    Some(offset) => at += offset,
                    None => break,
                }
            }
            self.step(&mut bytes[at]);
            at += 1;
        }
        bytes.freeze()
    }

    fn step(&mut self, byte: &mut u8) {
        self.place = match (self.place, *byte) {
            (Place::Key, b'"') | (Place::Text, b'"') => Place::Value,
            (Place::Key | Place::Text, b'\\') => Place::Escape,
            (Place::Key, _) => {
                byte.make_ascii_lowercase();
                Place::Key
            }
            (Place::Text, _) | (Place::Escape, _) => Place::Text,
            (Place::BeforeKey, b'"') => Place::Key,
            (_, b'"') => Place::Text,
            (_, b'{' | b'[') => {
                self.depth += 1;
                if self.depth == 1 && *byte == b'{' { Place::BeforeKey } else { Place::Value }
            }
            (_, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                Place::Value
            }
            (_, b',') if self.depth == 1 => Place::BeforeKey,
            (place, _) => place,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str, piece: usize) -> String {
        let mut folder = KeyFolder::default();
        let pieces = text.as_bytes().chunks(piece).map(|piece| folder.fold(Bytes::copy_from_slice(piece)));
        String::from_utf8(pieces.flatten().collect()).unwrap()
    }

    #[test]
    fn only_top_level_keys_are_lowered_wherever_the_bytes_are_cut() {
        let text = "{\"Id\":1,\"A\":{\"In\":\"X\",\"L\":[{\"Y\":\"Z\"},\"W\"]} , \"B\" : \"{\\\"C\\\":\\\\\",\"dE\":null}\n{\"ID\":[\"S\",\"T\"],\"É\":\"É\"}";
        let wanted = "{\"id\":1,\"a\":{\"In\":\"X\",\"L\":[{\"Y\":\"Z\"},\"W\"]} , \"b\" : \"{\\\"C\\\":\\\\\",\"de\":null}\n{\"id\":[\"S\",\"T\"],\"É\":\"É\"}";
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(folded(text, piece), wanted, "pieces of {piece}");
        }
    }
}
