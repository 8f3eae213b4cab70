//! Where the fields of CSV records end: 64 bytes at a time, and without looking at each of them.

use wide::u8x16;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Bytes that one comparison looks at.
const LANES: usize = 16;

/// The ends of the fields of some whole records, which have as many fields as are expected.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Offsets of the bytes that end fields, one field after the other; what comes behind the last record is among them.
    ends: Vec<u32>,
    /// For each line, which field is its last.
    lines: Vec<usize>,
    /// Records.
    pub(super) rows: usize,
    /// Bytes of the records.
    pub(super) bytes: usize,
    /// Quotes in them.
    pub(super) quotes: usize,
}

/// What there is in a block: a bit for each byte.
#[derive(Clone, Copy, Default)]
struct Found {
    delimiters: u64,
    breaks: u64,
    quotes: u64,
}

impl Fields {
    /// Looks for whole records of `width` fields, at most so many, from the start of a record on. Delimiters and line breaks count outside
    /// of quotes, as if quotes were only at both ends of fields: whoever uses this must see to it.
    ///
    /// Returns whether the lines have as many fields as they should.
    ///
    /// # Panics
    /// None; offsets of more than 4 GiB are not looked for.
    pub(super) fn find(&mut self, bytes: &[u8], delimiter: u8, quote: u8, width: usize, at_most: usize) -> bool {
        self.ends.clear();
        self.lines.clear();
        let (mut quotes, mut inside, mut seen) = (0, 0, 0);
        let bytes = &bytes[..bytes.len().min(u32::MAX as usize - BLOCK)];
        for block in bytes.chunks(BLOCK) {
            let found = look(block, delimiter, quote);
            quotes += found.quotes.count_ones() as usize;
            let quoted = up_to_each(found.quotes) ^ inside;
            inside = if quoted >> (BLOCK - 1) == 1 { u64::MAX } else { 0 };
            let breaks = found.breaks & !quoted;
            let mut marks = (found.delimiters & !quoted) | breaks;
            let mut rest = breaks;
            while rest != 0 {
                let before = marks & ((rest & rest.wrapping_neg()) - 1);
                self.lines.push(self.ends.len() + before.count_ones() as usize);
                rest &= rest - 1;
            }
            while marks != 0 {
                self.ends.push(seen as u32 + marks.trailing_zeros());
                marks &= marks - 1;
            }
            seen += block.len();
            if self.lines.len() >= at_most {
                break;
            }
        }
        self.rows = self.lines.len().min(at_most);
        self.lines.truncate(self.rows);
        self.bytes = self.lines.last().map_or(0, |last| self.ends[*last] as usize + 1);
        self.quotes = quotes - bytes[self.bytes..seen].iter().filter(|byte| **byte == quote).count();
        self.lines.iter().enumerate().all(|(row, last)| *last + 1 == (row + 1) * width)
    }

    /// Where a field begins and ends; of the fields of all records, counted one after the other.
    pub(super) fn span(&self, field: usize) -> (usize, usize) {
        let from = if field == 0 { 0 } else { self.ends[field - 1] as usize + 1 };
        (from, self.ends[field] as usize)
    }
}

/// Looks at a block, which may be shorter at the end.
fn look(block: &[u8], delimiter: u8, quote: u8) -> Found {
    let mut padded = [0; BLOCK];
    let whole: &[u8; BLOCK] = match block.try_into() {
        Ok(whole) => whole,
        Err(_) => {
            padded[..block.len()].copy_from_slice(block);
            &padded
        }
    };
    let [delimiter, line_break, quote] = [delimiter, b'\n', quote].map(u8x16::splat);
    let mut found = Found::default();
    for (part, lanes) in whole.as_chunks::<LANES>().0.iter().enumerate() {
        let lanes = u8x16::new(*lanes);
        let bits = |symbol: u8x16| u64::from(lanes.simd_eq(symbol).to_bitmask()) << (part * LANES);
        found.delimiters |= bits(delimiter);
        found.breaks |= bits(line_break);
        found.quotes |= bits(quote);
    }
    let there = if block.len() < BLOCK { (1 << block.len()) - 1 } else { u64::MAX };
    Found { delimiters: found.delimiters & there, breaks: found.breaks & there, quotes: found.quotes & there }
}

/// For each bit whether the number of bits that are set up to it, itself included, is odd.
fn up_to_each(mut bits: u64) -> u64 {
    for distance in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << distance;
    }
    bits
}
