//! The one thing of a photo's metadata that is kept: which way is up. Without
//! it a photo of a phone that was held upright would lie on its side.

const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;

/// The orientation that an Exif block has, where it is another than upright.
/// Nothing else of the block is looked at.
pub fn orientation(tiff: &[u8]) -> Option<u8> {
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let offset: [u8; 4] = tiff.get(4..8)?.try_into().ok()?;
    let offset = if little { u32::from_le_bytes(offset) } else { u32::from_be_bytes(offset) };
    let first = usize::try_from(offset).ok()?;
    let entries = (0..usize::from(short(first)?)).map(|index| first + 2 + index * 12);
    for entry in entries {
        if short(entry)? == ORIENTATION && short(entry + 2)? == SHORT {
            return u8::try_from(short(entry + 8)?).ok().filter(|value| (2..=8).contains(value));
        }
    }
    None
}

/// An Exif block that says the orientation and nothing else.
pub fn saying(orientation: u8) -> [u8; 26] {
    let mut block = *b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    block[19] = orientation;
    block
}
