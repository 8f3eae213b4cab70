//! Headers of Parquet's pages, as far as pages are compressed and decompressed here: Thrift's compact protocol.

/// A page header. Its first fields are the type of the page and its sizes, without compression and with it.
pub(crate) struct Header<'a> {
    pub(crate) page_type: u64,
    /// Bytes of the values without compression.
    pub(crate) uncompressed: usize,
    /// Bytes of the values as they lie in the file.
    pub(crate) compressed: usize,
    before_size: &'a [u8],
    /// How the field after the size and a checksum begins.
    next: u8,
    rest: &'a [u8],
}

/// Types of pages in headers. What there is besides is not made any more (indexes), or not compressed as a whole (version 2).
pub(crate) const DATA: u64 = 0;
pub(crate) const DICTIONARY: u64 = 2;

/// A field of 32 bits that follows the field before.
const NEXT_I32: u8 = 0x15;
/// Structures within structures: a header has a data page's header, which has its statistics.
const DEEPEST: usize = 4;

impl<'a> Header<'a> {
    /// The header that bytes begin with, and the bytes behind it; `None` if there is none.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut rest = bytes;
        let page_type = next_i32(&mut rest)?;
        let uncompressed = usize::try_from(next_i32(&mut rest)?).ok()?;
        // The field's own type stays.
        let before_size = bytes.get(..bytes.len() - rest.len() + 1)?;
        let compressed = usize::try_from(next_i32(&mut rest)?).ok()?;
        let has_checksum = rest.first() == Some(&NEXT_I32);
        if has_checksum {
            take(&mut rest, 1)?;
            varint(&mut rest)?;
        }
        let mut next = *rest.first()?;
        let fields = rest;
        skip_struct(&mut rest, DEEPEST)?;
        if has_checksum && next != 0 {
            // Fields are numbered by their distance to the one before.
            next = next.checked_add(0x10).filter(|next| next >> 4 > 1)?;
        }
        let fields = &fields[1..fields.len() - rest.len()];
        Some((Self { page_type, uncompressed, compressed, before_size, next, rest: fields }, rest))
    }

    /// The header of the same page with other bytes, so many of them, and no checksum of those that it had.
    pub(crate) fn resized(&self, size: usize) -> Vec<u8> {
        let mut header = Vec::with_capacity(self.before_size.len() + self.rest.len() + 6);
        header.extend_from_slice(self.before_size);
        let mut left = (size as u64) << 1;
        while left >= 0x80 {
            header.push(left as u8 | 0x80);
            left >>= 7;
        }
        header.push(left as u8);
        header.push(self.next);
        header.extend_from_slice(self.rest);
        header
    }
}

/// Takes a field of 32 bits that is not negative.
fn next_i32(rest: &mut &[u8]) -> Option<u64> {
    if take(rest, 1)? != [NEXT_I32] {
        return None;
    }
    let number = varint(rest)?;
    (number & 1 == 0 && number <= u64::from(u32::MAX)).then_some(number >> 1)
}

/// Takes the fields of a structure that are left, and its end.
fn skip_struct(rest: &mut &[u8], depth: usize) -> Option<()> {
    loop {
        let &[field] = take(rest, 1)? else { return None };
        if field == 0 {
            return Some(());
        }
        if field >> 4 == 0 {
            // The field's number by itself instead of its distance to the one before.
            varint(rest)?;
        }
        match field & 0x0f {
            // A boolean is its type.
            1 | 2 => {}
            3 => drop(take(rest, 1)?),
            4..=6 => drop(varint(rest)?),
            7 => drop(take(rest, 8)?),
            8 => {
                let length = usize::try_from(varint(rest)?).ok()?;
                take(rest, length)?;
            }
            12 => skip_struct(rest, depth.checked_sub(1)?)?,
            // Page headers have no lists and no maps.
            _ => return None,
        }
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let &[byte] = take(rest, 1)? else { return None };
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data page of 300 bytes, five rows, with statistics.
    const HEADER: [u8; 24] = [
        0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0xd8, 0x04, 0x2c, 0x15, 0x0a, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x1c,
        0x36, 0x00, 0x28, 0x00, 0x00, 0x00,
    ];

    #[test]
    fn a_header_says_the_size_of_what_was_compressed() {
        let bytes = [HEADER.as_slice(), &[0, 7, 7]].concat();
        let (parsed, rest) = Header::parse(&bytes).unwrap();
        assert_eq!((parsed.page_type, parsed.uncompressed, parsed.compressed), (DATA, 300, 300));
        assert_eq!(rest, [7, 7]);
        assert_eq!(parsed.resized(300), bytes[..25]);
        let smaller = parsed.resized(7);
        assert_eq!(smaller, [&bytes[..5], &[0x15, 0x0e], &bytes[8..25]].concat());
        assert_eq!(Header::parse(&smaller).unwrap().0.compressed, 7);
    }

    /// Those of Spark and Hive have one.
    #[test]
    fn a_checksum_is_of_the_bytes_that_it_was_made_for() {
        let without = [HEADER.as_slice(), &[0]].concat();
        let with = [&HEADER[..8], &[0x15, 0x9d, 0xd2, 0x85, 0xd8, 0x0c, 0x1c], &HEADER[9..], &[0, 7]].concat();
        let (parsed, rest) = Header::parse(&with).unwrap();
        assert_eq!((parsed.compressed, rest), (300, [7].as_slice()));
        assert_eq!(parsed.resized(300), without);
        assert_eq!(Header::parse(&without).unwrap().0.resized(7), parsed.resized(7));
    }

    #[test]
    fn what_is_no_header_is_none() {
        for length in 0..HEADER.len() {
            assert!(Header::parse(&HEADER[..length]).is_none(), "{length}");
        }
        // Another field first, a size below zero, one that does not end, structures without end.
        assert!(Header::parse(&[0x25, 0x00]).is_none());
        assert!(Header::parse(&[0x15, 0x00, 0x15, 0x01, 0x15, 0x02, 0x00]).is_none());
        assert!(Header::parse(&[[0x15, 0x00, 0x15].as_slice(), &[0xff; 20]].concat()).is_none());
        assert!(Header::parse(&[[0x15, 0x00, 0x15, 0x02, 0x15, 0x02].as_slice(), &[0x1c; 200]].concat()).is_none());
    }
}
