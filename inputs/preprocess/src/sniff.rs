//! What the first bytes of a file say that it is. Names and extensions are not looked at.

use image::ImageFormat;
use serde::Serialize;

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// JPEG: baseline and progressive; grey, YCbCr, RGB, CMYK, YCCK.
    Jpeg,
    /// PNG: all colour types and depths.
    Png,
    /// WebP: lossy and lossless.
    WebP,
    /// GIF: the first frame. Where that is smaller than the screen, black surrounds it (Pillow paints colour 0).
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF: the first page.
    Tiff,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        })
    }
}

impl Format {
    /// The decoder's name for it.
    pub(crate) fn codec(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::WebP => ImageFormat::WebP,
            Self::Gif => ImageFormat::Gif,
            Self::Bmp => ImageFormat::Bmp,
            Self::Tiff => ImageFormat::Tiff,
        }
    }
}

/// How many leading bytes [`sniff`] wants to see.
pub const HEAD: usize = 512;

/// The format of a file that begins with `head`, its first [`HEAD`] bytes.
///
/// # Errors
/// What it is instead, and what to do about it, in words.
pub fn sniff(head: &[u8]) -> Result<Format, String> {
    const SIGNATURES: [(&[u8], Format); 7] = [
        (b"\xff\xd8\xff", Format::Jpeg),
        (b"\x89PNG\r\n\x1a\n", Format::Png),
        (b"GIF87a", Format::Gif),
        (b"GIF89a", Format::Gif),
        (b"BM", Format::Bmp),
        (b"II*\0", Format::Tiff),
        (b"MM\0*", Format::Tiff),
    ];
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Ok(Format::WebP);
    }
    SIGNATURES
        .iter()
        .find(|(signature, _)| head.starts_with(signature))
        .map(|&(_, format)| format)
        .ok_or_else(|| describe(head))
}

const READABLE: &str = "JPEG, PNG, WebP, GIF, BMP and TIFF can be read";

/// What a file is that cannot be read, as far as its first bytes tell.
fn describe(head: &[u8]) -> String {
    let brand = head.get(4..8).filter(|b| *b == b"ftyp").and_then(|_| head.get(8..12));
    match brand {
        Some(b"avif" | b"avis") => return "this is an AVIF image; convert it to PNG first".into(),
        Some(b"heic" | b"heix" | b"heim" | b"hevc" | b"mif1" | b"msf1") => {
            return "this is a HEIC image; convert it to JPEG or PNG first".into();
        }
        Some(_) => return "this is a video or another ISO media file; extract a frame first".into(),
        None => {}
    }
    const OTHERS: [(&[u8], &str); 9] = [
        (b"\xff\x0a", "this is a JPEG XL image; convert it to PNG first"),
        (b"\0\0\0\x0cJXL ", "this is a JPEG XL image; convert it to PNG first"),
        (b"\0\0\0\x0cjP  ", "this is a JPEG 2000 image; convert it to PNG first"),
        (b"%PDF", "this is a PDF; export the page as PNG first"),
        (b"8BPS", "this is a Photoshop file; export it as PNG first"),
        (b"II+\0", "this is a BigTIFF image; convert it to PNG first"),
        (b"MM\0+", "this is a BigTIFF image; convert it to PNG first"),
        (b"PK\x03\x04", "this is a ZIP archive; unpack it first"),
        (b"version https://git-lfs", "this is a Git LFS pointer, not the image; run `git lfs pull`"),
    ];
    if let Some((_, words)) = OTHERS.iter().find(|(signature, _)| head.starts_with(signature)) {
        return (*words).into();
    }
    let text = String::from_utf8_lossy(head).trim_start().to_ascii_lowercase();
    if text.contains("<svg") {
        "this is an SVG drawing; render it to PNG first".into()
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        "this is a web page, perhaps an error message saved in place of the image; fetch it again".into()
    } else if !head.contains(&0) && std::str::from_utf8(&head[..head.len().min(64)]).is_ok() {
        format!("this is text, not an image; {READABLE}")
    } else {
        format!("this is no image of a known format; {READABLE}")
    }
}
