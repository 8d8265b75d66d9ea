//! The parts of SentencePiece's `ModelProto` that decide how text is cut, read from its protobuf bytes.

/// What a piece is for; the numbers are those of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// One entry of the vocabulary; its place is its id.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub text: String,
    pub score: f32,
    pub kind: Kind,
}

/// How text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Unigram,
    Bpe,
}

/// A model file. What it leaves out has SentencePiece's defaults.
#[derive(Debug)]
pub(super) struct Model {
    pub pieces: Vec<Piece>,
    pub algorithm: Algorithm,
    pub byte_fallback: bool,
    /// Id of begin-of-text; below 0 where there is none.
    pub bos: i32,
    /// Compiled rules that replace characters; empty for none.
    pub rules: Vec<u8>,
    /// Whether a space goes before the text.
    pub dummy_prefix: bool,
    /// Whether spaces at both ends go and runs of them shrink to one.
    pub squeeze: bool,
}

impl Model {
    /// Reads the bytes of a `tokenizer.model`.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence about the file.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut model = Self {
            pieces: Vec::new(),
            algorithm: Algorithm::Unigram,
            byte_fallback: false,
            bos: 1,
            rules: Vec::new(),
            dummy_prefix: true,
            squeeze: true,
        };
        let mut complete = false;
        fields(bytes, |field, value| {
            match (field, value) {
                (1, Value::Bytes(piece)) => model.pieces.push(read_piece(piece)?),
                (2, Value::Bytes(trainer)) => {
                    model.read_trainer(trainer)?;
                    complete = true;
                }
                (3, Value::Bytes(normaliser)) => model.read_normaliser(normaliser)?,
                _ => {}
            }
            Ok(())
        })?;
        if model.pieces.is_empty() {
            return Err("it holds no pieces".into());
        }
        if !complete {
            return Err("it is damaged: it ends after its pieces".into());
        }
        Ok(model)
    }

    fn read_trainer(&mut self, bytes: &[u8]) -> Result<(), String> {
        fields(bytes, |field, value| {
            match (field, value) {
                (3, Value::Number(1)) => self.algorithm = Algorithm::Unigram,
                (3, Value::Number(2)) => self.algorithm = Algorithm::Bpe,
                (3, Value::Number(other)) => {
                    let name = match other {
                        3 => "word",
                        4 => "char",
                        _ => "unknown",
                    };
                    return Err(format!("it is of the type `{name}`; only `bpe` and `unigram` can be used"));
                }
                (24, Value::Number(1)) => {
                    return Err("it writes spaces behind words, which is not supported".into());
                }
                (35, Value::Number(on)) => self.byte_fallback = on != 0,
                // A negative number fills all 64 bits, of which the lower half is the i32.
                (41, Value::Number(id)) => self.bos = id as i32,
                _ => {}
            }
            Ok(())
        })
    }

    fn read_normaliser(&mut self, bytes: &[u8]) -> Result<(), String> {
        fields(bytes, |field, value| {
            match (field, value) {
                (2, Value::Bytes(rules)) => self.rules = rules.to_vec(),
                (3, Value::Number(on)) => self.dummy_prefix = on != 0,
                (4, Value::Number(on)) => self.squeeze = on != 0,
                (5, Value::Number(0)) => {
                    return Err("it keeps spaces as they are, which is not supported".into());
                }
                _ => {}
            }
            Ok(())
        })
    }
}

fn read_piece(bytes: &[u8]) -> Result<Piece, String> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    fields(bytes, |field, value| {
        match (field, value) {
            (1, Value::Bytes(text)) => {
                piece.text = String::from_utf8(text.to_vec()).map_err(|_| "a piece is no text")?;
            }
            (2, Value::Fixed32(bits)) => piece.score = f32::from_bits(bits),
            (3, Value::Number(kind)) => {
                piece.kind = match kind {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    other => return Err(format!("a piece has the unknown type {other}")),
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(piece)
}

/// The value of a field, by its wire type.
enum Value<'a> {
    Number(u64),
    Fixed32(u32),
    Fixed64,
    Bytes(&'a [u8]),
}

/// Calls `each` with every field of a message.
fn fields<'a>(
    mut bytes: &'a [u8],
    mut each: impl FnMut(u64, Value<'a>) -> Result<(), String>,
) -> Result<(), String> {
    const DAMAGED: &str = "it is no SentencePiece model, or it is damaged";
    while !bytes.is_empty() {
        let tag = number(&mut bytes).ok_or(DAMAGED)?;
        let value = match tag & 7 {
            0 => Value::Number(number(&mut bytes).ok_or(DAMAGED)?),
            1 => take(&mut bytes, 8).map(|_| Value::Fixed64).ok_or(DAMAGED)?,
            2 => {
                let length = number(&mut bytes).and_then(|n| usize::try_from(n).ok()).ok_or(DAMAGED)?;
                Value::Bytes(take(&mut bytes, length).ok_or(DAMAGED)?)
            }
            5 => match take(&mut bytes, 4) {
                Some(&[a, b, c, d]) => Value::Fixed32(u32::from_le_bytes([a, b, c, d])),
                _ => return Err(DAMAGED.into()),
            },
            _ => return Err(DAMAGED.into()),
        };
        each(tag >> 3, value)?;
    }
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// A base-128 number, lowest digits first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(bytes: &[u8], message: &str) {
        let error = Model::read(bytes).unwrap_err();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn damaged_files_are_errors() {
        refused(b"", "holds no pieces");
        refused(b"{\"model\": 3}", "no SentencePiece model");
        refused(&[0x0A, 0x05, 0x0A], "no SentencePiece model");
        refused(
            &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            "no SentencePiece model",
        );
        refused(&[0x0A, 0x02, 0x18, 0x09], "unknown type 9");
        refused(&[0x12, 0x02, 0x18, 0x03], "type `word`");
        refused(&[0x0A, 0x03, 0x0A, 0x01, b'a'], "ends after its pieces");
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let model = Model::read(&[0x0A, 0x03, 0x0A, 0x01, b'a', 0x12, 0x00]).unwrap();
        assert_eq!(model.pieces, [Piece { text: "a".into(), score: 0.0, kind: Kind::Normal }]);
        assert!(model.dummy_prefix && model.squeeze && !model.byte_fallback && model.bos == 1);
        let minus_one = [0x12, 0x0C, 0xC8, 0x02, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        let model = Model::read(&[&[0x0A, 0x03, 0x0A, 0x01, b'a'][..], &minus_one[..]].concat());
        assert_eq!(model.unwrap().bos, -1);
    }
}
