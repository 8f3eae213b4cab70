//! What keys are called, as learned from the objects before.

/// Keys of a level that are remembered; no more are compared one by one.
const MOST: usize = 64;

/// The keys of one level, in the order in which they came first.
///
/// Objects of one producer are alike: a key is compared with the one that came next before, and hardly ever searched for.
#[derive(Debug, Default)]
pub(super) struct Order {
    known: Vec<Known>,
    next: usize,
}

#[derive(Debug)]
struct Known {
    key: Box<[u8]>,
    /// Its name where that is another, as the inside of a JSON string.
    name: Option<Box<str>>,
    /// The level of its values.
    level: usize,
}

impl Order {
    /// An object begins.
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }

    /// The name of a key where it is another, and the level of its values; `search` is asked for a key that is not remembered.
    pub(super) fn named<'a>(
        &'a mut self,
        key: &[u8],
        search: impl FnOnce() -> (Option<&'a str>, usize),
    ) -> (Option<&'a str>, usize) {
        let (before, after) = self.known.split_at(self.next.min(self.known.len()));
        let place = match after.iter().position(|known| *known.key == *key) {
            Some(ahead) => Some(before.len() + ahead),
            None => before.iter().position(|known| *known.key == *key),
        };
        let place = match place {
            Some(place) => place,
            None => {
                let (name, level) = search();
                let name = name.filter(|name| name.as_bytes() != key);
                if self.known.len() == MOST {
                    return (name, level);
                }
                self.known.push(Known { key: key.into(), name: name.map(Into::into), level });
                self.known.len() - 1
            }
        };
        self.next = place + 1;
        let known = &self.known[place];
        (known.name.as_deref(), known.level)
    }
}
