//! What can be wrong with a JPEG: faults end the decoding, damage leaves something to look at.

/// Why there are no pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The file ends before its image does.
    Truncated,
    /// A kind of JPEG that is sound and not read here, in words.
    Unsupported(String),
    /// The file contradicts itself or the standard, in words.
    Broken(String),
}

impl Fault {
    pub(super) fn broken(words: impl Into<String>) -> Self {
        Self::Broken(words.into())
    }
}

/// What was wrong within the compressed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The file, or the data before a marker, ends early; zeros were read instead.
    EndsEarly,
    /// Bits that no code begins with.
    WrongCode,
    /// Another marker where a restart marker should have been.
    Restart,
    /// So many bytes were left when everything had been decoded.
    LeftOver(usize),
    /// A colour component that no scan describes.
    MissingComponent,
    /// A scan that refines what was never begun.
    Progression,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EndsEarly => f.write_str("its data ends early"),
            Self::WrongCode => f.write_str("a code in its data is none"),
            Self::Restart => f.write_str("a restart marker is missing"),
            Self::LeftOver(bytes) => write!(f, "{bytes} bytes of its data were left over"),
            Self::MissingComponent => f.write_str("a colour component is missing"),
            Self::Progression => f.write_str("its scans do not follow from each other"),
        }
    }
}

/// Bytes that may be left over without being called damage: some encoders of video streams align their frames so.
const ALIGNMENT: usize = 16;

/// The first damage that was met; pixels from there on may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(super) cause: Cause,
    /// The line of the image where it was met, from 1 on.
    pub(super) line: u32,
}

impl Damage {
    /// The line of the image where it was met, from 1 on.
    pub(crate) fn line(&self) -> u32 {
        self.line
    }

    /// Whether it may be nothing: all that was asked for was there, and a few bytes more.
    pub(crate) fn is_mild(&self) -> bool {
        matches!(self.cause, Cause::LeftOver(bytes) if bytes <= ALIGNMENT)
    }

    /// How many bytes were left over.
    pub(crate) fn bytes(&self) -> u32 {
        match self.cause {
            Cause::LeftOver(bytes) => bytes.try_into().unwrap_or(u32::MAX),
            _ => 0,
        }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, near line {}", self.cause, self.line)
    }
}
