//! Compression of whole objects, told by their first bytes.

/// A compression of whole objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
    /// `.bz2`
    Bzip2,
}

/// Bytes of an object that tell its compression.
pub(crate) const MAGIC: usize = 10;

impl Codec {
    const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::Bzip2];

    /// The codec that a file name promises; `None` for content that is not compressed.
    pub(crate) fn of(file_name: &str) -> Option<Self> {
        let (_, suffix) = file_name.rsplit_once('.')?;
        Self::ALL.into_iter().find(|codec| suffix.eq_ignore_ascii_case(codec.suffix()))
    }

    /// The codec that some content begins with. A text may begin with `BZh`, but not with what follows it.
    pub(crate) fn of_content(start: &[u8]) -> Option<Self> {
        match start {
            [0x1F, 0x8B, ..] => Some(Self::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(Self::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] => {
                let is_one_of = |magic: &[u8; 6]| rest.iter().zip(magic).all(|(byte, magic)| byte == magic);
                // A block, or the end of a stream without any.
                (is_one_of(b"\x31\x41\x59\x26\x53\x59") || is_one_of(b"\x17\x72\x45\x38\x50\x90"))
                    .then_some(Self::Bzip2)
            }
            _ => None,
        }
    }

    /// End of the names of such objects, without the dot.
    fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
            Self::Bzip2 => "bz2",
        }
    }

    /// Name for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_not_taken_for_compressed() {
        assert_eq!(Codec::of_content(b"BZhours,b\n1,2\n"), None);
        assert_eq!(Codec::of_content(b"BZh9 o'clock\n"), None);
        assert_eq!(Codec::of_content(b"BZh91AY&SY"), Some(Codec::Bzip2));
        assert_eq!(Codec::of_content(b"\x1F\x8B\x08"), Some(Codec::Gzip));
        assert_eq!(Codec::of_content(b""), None);
    }
}
