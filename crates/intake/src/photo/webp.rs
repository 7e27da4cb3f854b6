//! WebP: chunks in a RIFF file. A photo has one picture, lossy or lossless,
//! and a header before it where there is more than the picture.

use super::{
    exif,
    image::{Fault, Stripped, take, take_array},
};

/// Flags of the header.
const ANIMATED: u8 = 0x02;
const WITH_EXIF: u8 = 0x08;
const WITH_ALPHA: u8 = 0x10;
const WITH_PROFILE: u8 = 0x20;

pub fn strip(bytes: &[u8]) -> Result<Stripped, Fault> {
    let mut rest = bytes;
    let riff: [u8; 4] = take_array(&mut rest)?;
    let length = u32::from_le_bytes(take_array(&mut rest)?);
    // Whatever follows the file's own length is no part of it.
    let mut rest = take(&mut rest, usize::try_from(length).map_err(|_| Fault::Unreadable)?)?;
    let webp: [u8; 4] = take_array(&mut rest)?;
    if (&riff, &webp) != (b"RIFF", b"WEBP") {
        return Err(Fault::Unreadable);
    }
    let mut header: Option<(u8, u32, u32)> = None;
    let (mut orientation, mut profiled, mut size) = (None, false, None);
    let mut body = Vec::with_capacity(bytes.len());
    let mut first = true;
    while !rest.is_empty() {
        let name: [u8; 4] = take_array(&mut rest)?;
        let length = u32::from_le_bytes(take_array(&mut rest)?);
        let length = usize::try_from(length).map_err(|_| Fault::Unreadable)?;
        let data = take(&mut rest, length)?;
        if length % 2 == 1 && !rest.is_empty() {
            take(&mut rest, 1)?;
        }
        match &name {
            b"VP8X" if first => header = Some(read_header(data)?),
            b"VP8X" => return Err(Fault::Unreadable),
            b"ANIM" | b"ANMF" => return Err(Fault::Animated),
            b"VP8 " | b"VP8L" => {
                let found = if &name == b"VP8 " { lossy(data)? } else { lossless(data)? };
                if size.replace(found).is_some() {
                    return Err(Fault::Unreadable);
                }
                write(&mut body, name, data);
            }
            b"ALPH" if header.is_some() => write(&mut body, name, data),
            b"ICCP" if header.is_some() && !profiled => {
                profiled = true;
                write(&mut body, name, data);
            }
            b"EXIF" => {
                let block = data.strip_prefix(b"Exif\0\0").unwrap_or(data);
                orientation = orientation.or_else(|| exif::orientation(block));
            }
            _ => {}
        }
        first = false;
    }
    let (width, height) = size.ok_or(Fault::Unreadable)?;
    let mut inner = b"WEBP".to_vec();
    if let Some((flags, canvas_width, canvas_height)) = header {
        if flags & ANIMATED != 0 {
            return Err(Fault::Animated);
        }
        // Only an animation has pictures smaller than its canvas.
        if (canvas_width, canvas_height) != (width, height) {
            return Err(Fault::Unreadable);
        }
        let mut kept = flags & WITH_ALPHA;
        kept |= if profiled { WITH_PROFILE } else { 0 };
        kept |= if orientation.is_some() { WITH_EXIF } else { 0 };
        let mut data = vec![kept, 0, 0, 0];
        data.extend(&(width - 1).to_le_bytes()[..3]);
        data.extend(&(height - 1).to_le_bytes()[..3]);
        write(&mut inner, *b"VP8X", &data);
    }
    inner.append(&mut body);
    if let Some(orientation) = orientation.filter(|_| header.is_some()) {
        write(&mut inner, *b"EXIF", &exif::saying(orientation));
    }
    let mut out = Vec::with_capacity(inner.len() + 8);
    write(&mut out, *b"RIFF", &inner);
    Ok(Stripped { width, height, bytes: out })
}

fn write(out: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    out.extend(name);
    out.extend(length.to_le_bytes());
    out.extend(data);
    if data.len() % 2 == 1 {
        out.push(0);
    }
}

/// The flags, the width and the height of the canvas.
fn read_header(data: &[u8]) -> Result<(u8, u32, u32), Fault> {
    let mut rest = data;
    let [flags, _, _, _] = take_array(&mut rest)?;
    let mut edge = || -> Result<u32, Fault> {
        let [low, middle, high] = take_array(&mut rest)?;
        Ok(u32::from_le_bytes([low, middle, high, 0]) + 1)
    };
    Ok((flags, edge()?, edge()?))
}

/// The size of a key frame of VP8.
fn lossy(data: &[u8]) -> Result<(u32, u32), Fault> {
    let mut rest = data;
    let [tag, _, _] = take_array(&mut rest)?;
    let start: [u8; 3] = take_array(&mut rest)?;
    if tag & 1 != 0 || start != [0x9D, 0x01, 0x2A] {
        return Err(Fault::Unreadable);
    }
    let mut edge = || -> Result<u32, Fault> {
        Ok(u32::from(u16::from_le_bytes(take_array(&mut rest)?) & 0x3FFF))
    };
    let (width, height) = (edge()?, edge()?);
    if width == 0 || height == 0 { Err(Fault::Unreadable) } else { Ok((width, height)) }
}

fn lossless(data: &[u8]) -> Result<(u32, u32), Fault> {
    let mut rest = data;
    let [signature] = take_array(&mut rest)?;
    let bits = u32::from_le_bytes(take_array(&mut rest)?);
    if signature != 0x2F {
        return Err(Fault::Unreadable);
    }
    Ok(((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1))
}
