//! Compression of whole text objects, told by the suffix of their names.

/// A compression of text formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
    /// `.bz2`
    Bzip2,
}

impl Codec {
    const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::Bzip2];

    /// The codec that a file name ends in; `None` for content that is not compressed.
    pub(crate) fn of(file_name: &str) -> Option<Self> {
        let (_, suffix) = file_name.rsplit_once('.')?;
        Self::ALL.into_iter().find(|codec| suffix.eq_ignore_ascii_case(codec.suffix()))
    }

    /// The codec whose magic number some content begins with.
    pub(crate) fn of_content(start: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| start.starts_with(codec.magic()))
    }

    /// End of the names of such objects, without the dot.
    pub(crate) fn suffix(self) -> &'static str {
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

    fn magic(self) -> &'static [u8] {
        match self {
            Self::Gzip => &[0x1F, 0x8B],
            Self::Zstd => &[0x28, 0xB5, 0x2F, 0xFD],
            Self::Bzip2 => b"BZh",
        }
    }
}
