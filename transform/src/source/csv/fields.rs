//! Where the fields of CSV records end: found 64 bytes at a time, without looking at each of them.

use wide::u8x16;

use crate::source::records::Symbols;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Bytes that one comparison looks at.
const LANES: usize = 16;

/// The ends of the fields of some whole records.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Offsets of the bytes that end fields, one field after the other; what comes behind the last record may be among them.
    ends: Vec<u32>,
    /// For each record, which field is its last.
    last: Vec<usize>,
    /// Bytes of the records.
    pub(super) bytes: usize,
    /// Whether there are quotes.
    pub(super) quoted: bool,
    /// Whether there are lines that end with a carriage return.
    pub(super) returns: bool,
}

/// What there is in a block: a bit for each byte.
#[derive(Clone, Copy, Default)]
struct Found {
    delimiters: u64,
    breaks: u64,
    quotes: u64,
    returns: u64,
}

/// What the block before says of the first byte of a block: all bits, or none.
struct Before {
    /// It is inside quotes.
    inside: u64,
    /// It begins a field.
    begins: u64,
    /// A quote was closed before it.
    closed: u64,
    /// There was a carriage return before it.
    returned: u64,
}

impl Fields {
    /// Records that were found.
    pub(super) fn rows(&self) -> usize {
        self.last.len()
    }

    /// Looks for whole records of `width` fields, at most so many, from the start of a record on.
    ///
    /// Returns whether all that was looked at is written plainly: quotes are at both ends of fields and nowhere else, carriage returns in quotes
    /// or at the ends of lines, and records have as many fields as they should. If not, nothing that was found is to be gone by.
    pub(super) fn find(&mut self, bytes: &[u8], symbols: Symbols, width: usize, at_most: usize) -> bool {
        self.ends.clear();
        self.last.clear();
        (self.quoted, self.returns) = (false, false);
        let mut before = Before { inside: 0, begins: 1, closed: 0, returned: 0 };
        // Offsets have 32 bits: more bytes in one piece are left to others.
        if u32::try_from(bytes.len() + BLOCK).is_err() {
            return false;
        }
        let mut offset = 0_u32;
        for block in bytes.chunks(BLOCK) {
            let found = look(block, symbols);
            let inside = up_to_each(found.quotes) ^ before.inside;
            let breaks = found.breaks & !inside;
            let marks = (found.delimiters & !inside) | breaks;
            let returns = found.returns & !inside;
            let closing = found.quotes & !((marks << 1) | before.begins);
            let behind_quotes = (closing << 1) | before.closed;
            let behind_returns = (returns << 1) | before.returned;
            let there = if block.len() < BLOCK { (1 << block.len()) - 1 } else { u64::MAX };
            let is_plain = (behind_quotes & !(marks | returns) | behind_returns & !breaks) & there == 0;
            if !is_plain {
                return false;
            }
            self.quoted |= found.quotes != 0;
            self.returns |= returns != 0;
            let mut rest = breaks;
            while rest != 0 {
                let those_before = marks & ((rest & rest.wrapping_neg()) - 1);
                self.last.push(self.ends.len() + those_before.count_ones() as usize);
                rest &= rest - 1;
            }
            let mut rest = marks;
            while rest != 0 {
                self.ends.push(offset + rest.trailing_zeros());
                rest &= rest - 1;
            }
            before = Before {
                inside: if inside >> (BLOCK - 1) == 1 { u64::MAX } else { 0 },
                begins: marks >> (BLOCK - 1),
                closed: closing >> (BLOCK - 1),
                returned: returns >> (BLOCK - 1),
            };
            offset += BLOCK as u32;
            if self.last.len() >= at_most {
                break;
            }
        }
        self.last.truncate(at_most);
        self.bytes = self.last.last().map_or(0, |last| self.ends[*last] as usize + 1);
        self.last.iter().enumerate().all(|(row, last)| *last + 1 == (row + 1) * width)
    }

    /// The offsets at which the fields of each record of `width` fields end.
    pub(super) fn records(&self, width: usize) -> impl Iterator<Item = &[u32]> {
        self.ends[..self.rows() * width].chunks_exact(width)
    }
}

/// Looks at a block, which may be shorter at the end.
#[inline]
fn look(block: &[u8], symbols: Symbols) -> Found {
    let mut padded = [0; BLOCK];
    let whole: &[u8; BLOCK] = match block.try_into() {
        Ok(whole) => whole,
        Err(_) => {
            padded[..block.len()].copy_from_slice(block);
            &padded
        }
    };
    let [delimiter, line_break, quote, carriage_return] =
        [symbols.delimiter, b'\n', symbols.quote, b'\r'].map(u8x16::splat);
    let mut found = Found::default();
    for (part, lanes) in whole.as_chunks::<LANES>().0.iter().enumerate() {
        let lanes = u8x16::new(*lanes);
        let bits = |symbol: u8x16| u64::from(lanes.simd_eq(symbol).to_bitmask()) << (part * LANES);
        found.delimiters |= bits(delimiter);
        found.breaks |= bits(line_break);
        found.quotes |= bits(quote);
        found.returns |= bits(carriage_return);
    }
    if block.len() < BLOCK {
        // NUL may be the delimiter.
        found.delimiters &= (1 << block.len()) - 1;
    }
    found
}

/// For each bit whether the number of bits that are set up to it, itself included, is odd.
#[inline]
fn up_to_each(mut bits: u64) -> u64 {
    for distance in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << distance;
    }
    bits
}
