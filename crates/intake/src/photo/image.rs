//! From the bytes that a client sent to those that are kept. What they are is
//! decided by the bytes alone, and of their container only what is needed to
//! show the picture is copied: a list of what is let through, so that a kind
//! of metadata that nobody thought of is left behind as well. The picture
//! itself is not decoded.

use kernel::FieldError;

use super::{MediaType, jpeg, png, webp};

/// The most pixels that a photo has; decoded they take four bytes each.
pub const MOST_PIXELS: u64 = 64_000_000;
/// The most pixels along an edge.
pub const MOST_EDGE: u32 = 16_384;

/// A photo that can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub media_type: MediaType,
    pub width: u32,
    pub height: u32,
    pub bytes: Vec<u8>,
}

/// What is left of a file.
pub struct Stripped {
    pub width: u32,
    pub height: u32,
    pub bytes: Vec<u8>,
}

/// Why a file is not taken.
pub enum Fault {
    /// The container is damaged, or has in it what no camera writes.
    Unreadable,
    Animated,
}

/// Recognizes the photo and takes out whatever tells more than the picture.
pub fn prepare(bytes: &[u8]) -> Result<Prepared, FieldError> {
    let refuse = |code: &str, message: String| FieldError::new("photo", code, message);
    if bytes.is_empty() {
        return Err(FieldError::required("photo"));
    }
    let found = infer::get(bytes).map(|kind| kind.mime_type());
    let Some(media_type) = found.and_then(|mime| mime.parse::<MediaType>().ok()) else {
        let message = match found {
            Some("image/heif" | "image/heic") => {
                "HEIC is not taken, for what it tells of the place cannot be removed; send the \
                 photo as JPEG."
                    .to_owned()
            }
            Some(mime) => format!("A photo is a JPEG, PNG or WebP file, and this is {mime}."),
            None => "A photo is a JPEG, PNG or WebP file.".to_owned(),
        };
        return Err(refuse("unsupported_type", message));
    };
    let stripped = match media_type {
        MediaType::Jpeg => jpeg::strip(bytes),
        MediaType::Png => png::strip(bytes),
        MediaType::Webp => webp::strip(bytes),
    };
    let Stripped { width, height, bytes } = stripped.map_err(|fault| match fault {
        Fault::Unreadable => refuse("unreadable", "The file is damaged.".to_owned()),
        Fault::Animated => refuse("unsupported_type", "An animation is no photo.".to_owned()),
    })?;
    if width == 0 || height == 0 {
        return Err(refuse("unreadable", "The photo has no pixels.".to_owned()));
    }
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > MOST_EDGE || pixels > MOST_PIXELS {
        let message = format!(
            "At most {MOST_EDGE} pixels along an edge, and {MOST_PIXELS} pixels in all; this has \
             {width} by {height}."
        );
        return Err(refuse("too_many_pixels", message));
    }
    Ok(Prepared { media_type, width, height, bytes })
}

/// The next bytes, or nothing where there are not as many.
pub fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Fault> {
    let (head, tail) = rest.split_at_checked(count).ok_or(Fault::Unreadable)?;
    *rest = tail;
    Ok(head)
}

pub fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Fault> {
    take(rest, N)?.try_into().map_err(|_| Fault::Unreadable)
}
