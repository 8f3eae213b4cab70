//! Encodings of texts other than UTF-8.

use bytes::Bytes;
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};

use crate::code::Code;
use crate::error::{Error, Result};

/// The byte order mark of UTF-8.
pub(super) const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Whether the first bytes of an object may be those of a text.
///
/// # Errors
/// [`Code::BadObject`] saying what the object is instead.
pub(crate) fn check_text(start: &[u8]) -> Result<()> {
    let other = if start.starts_with(b"PAR1") {
        "Parquet"
    } else if start.starts_with(b"Obj\x01") {
        "Avro"
    } else if start.starts_with(b"ORC") && start.contains(&0) {
        "ORC"
    } else {
        return Ok(());
    };
    Err(Error::new(Code::BadObject, format!("the content is {other}, and the table's is text"))
        .help("move the object into a table of its own format"))
}

/// The encoding of a text that begins so, if it is another than UTF-8. A byte order mark counts more than what the table declares.
///
/// # Errors
/// [`Code::NotSupported`] for an encoding that nobody knows.
pub(crate) fn of(start: &[u8], declared: Option<&str>) -> Result<Option<&'static Encoding>> {
    let marked = Encoding::for_bom(start).map(|(encoding, _)| encoding);
    let encoding = match (marked, declared) {
        (Some(encoding), _) => encoding,
        (None, None) => UTF_8,
        (None, Some(label)) => Encoding::for_label(label.as_bytes()).ok_or_else(|| {
            Error::new(Code::NotSupported, format!("`{label}` is no encoding of characters"))
                .help("use a label of the Encoding Standard, for example `windows-1252`")
        })?,
    };
    Ok((encoding != UTF_8).then_some(encoding))
}

/// Decodes a stream of bytes that may be cut anywhere.
pub(crate) struct Transcoder(Decoder);

impl Transcoder {
    /// A byte order mark is left out.
    pub(crate) fn new(encoding: &'static Encoding) -> Self {
        Self(encoding.new_decoder())
    }

    /// # Errors
    /// [`Code::BadObject`] for bytes that the encoding does not know.
    pub(crate) fn decode(&mut self, mut bytes: &[u8], is_last: bool) -> Result<Bytes> {
        let mut text = String::new();
        loop {
            let needed = self.0.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len());
            text.reserve(needed);
            let (result, read) = self.0.decode_to_string_without_replacement(bytes, &mut text, is_last);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return Ok(text.into()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    let encoding = self.0.encoding().name();
                    return Err(Error::new(Code::BadObject, format!("the text is not {encoding}"))
                        .help("save the object as UTF-8 and upload it again"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], declared: Option<&str>) -> Result<String> {
        let encoding = of(bytes, declared)?.expect("another encoding than UTF-8");
        let mut transcoder = Transcoder::new(encoding);
        let mut text = Vec::new();
        for piece in bytes.chunks(3) {
            text.extend(transcoder.decode(piece, false)?);
        }
        text.extend(transcoder.decode(&[], true)?);
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn marked_and_declared_encodings() {
        let utf16 = |text: &str, mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            mark.into_iter().chain(text.encode_utf16().flat_map(bytes)).collect::<Vec<_>>()
        };
        assert_eq!(decoded(&utf16("a,é🎉\n", [0xFF, 0xFE], u16::to_le_bytes), None).unwrap(), "a,é🎉\n");
        assert_eq!(decoded(&utf16("a,é🎉\n", [0xFE, 0xFF], u16::to_be_bytes), Some("latin1")).unwrap(), "a,é🎉\n");
        assert_eq!(decoded(b"caf\xE9 \x80", Some("windows-1252")).unwrap(), "café €");
        assert!(of(b"\xEF\xBB\xBFa", Some("utf-16le")).unwrap().is_none());
        assert!(of(b"a", Some("UTF8")).unwrap().is_none());
        assert_eq!(of(b"a", Some("klingon")).unwrap_err().code, Code::NotSupported);
        let cut = utf16("ab", [0xFF, 0xFE], u16::to_le_bytes);
        assert_eq!(decoded(&cut[..5], None).unwrap_err().code, Code::BadObject);
    }
}
