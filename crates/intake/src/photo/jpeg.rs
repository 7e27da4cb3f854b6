//! JPEG: segments, each after a marker, and scans between them.

use super::{
    exif,
    image::{Fault, Stripped, take, take_array},
};

const START: [u8; 2] = [0xFF, 0xD8];
const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;
const APP14: u8 = 0xEE;
const APP15: u8 = 0xEF;
const COMMENT: u8 = 0xFE;

const JFIF: &[u8] = b"JFIF\0";
const EXIF: &[u8] = b"Exif\0\0";

pub fn strip(bytes: &[u8]) -> Result<Stripped, Fault> {
    let mut rest = bytes;
    if take_array(&mut rest)? != START {
        return Err(Fault::Unreadable);
    }
    let (mut jfif, mut orientation, mut size) = (None, None, None);
    let mut scanned = false;
    let mut body = Vec::with_capacity(bytes.len());
    loop {
        let marker = next_marker(&mut rest)?;
        // Whatever follows the end is no part of the picture: previews, second
        // pictures, the film of a live photo.
        if marker == END {
            break;
        }
        let length = usize::from(u16::from_be_bytes(take_array(&mut rest)?));
        let payload = take(&mut rest, length.checked_sub(2).ok_or(Fault::Unreadable)?)?;
        match marker {
            // Tables: Huffman, arithmetic, quantization, restart interval.
            0xC4 | 0xCC | 0xDB | 0xDD => keep(&mut body, marker, payload),
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF if size.is_none() => {
                size = Some(size_of(payload)?);
                keep(&mut body, marker, payload);
            }
            SCAN if size.is_some() => {
                keep(&mut body, marker, payload);
                copy_scan(&mut rest, &mut body)?;
                scanned = true;
            }
            APP0 if jfif.is_none() && payload.starts_with(JFIF) => {
                jfif = Some(plain_jfif(payload)?)
            }
            APP1 if orientation.is_none() => {
                orientation = payload.strip_prefix(EXIF).and_then(exif::orientation);
            }
            // Without its profile the colours of a skin would be others.
            APP2 if payload.starts_with(b"ICC_PROFILE\0") => keep(&mut body, marker, payload),
            // It says how the colours are encoded.
            APP14 if payload.starts_with(b"Adobe") && payload.len() >= 12 => {
                keep(&mut body, marker, &payload[..12]);
            }
            APP0..=APP15 | COMMENT => {}
            _ => return Err(Fault::Unreadable),
        }
    }
    let (Some((width, height)), true) = (size, scanned) else { return Err(Fault::Unreadable) };
    let mut out = Vec::with_capacity(body.len() + 64);
    out.extend(START);
    if let Some(jfif) = jfif {
        keep(&mut out, APP0, &jfif);
    }
    if let Some(orientation) = orientation {
        keep(&mut out, APP1, &[EXIF, &exif::saying(orientation)].concat());
    }
    out.append(&mut body);
    out.extend([0xFF, END]);
    Ok(Stripped { width, height, bytes: out })
}

/// The next marker; what stands before it belongs to nothing and is left out.
fn next_marker(rest: &mut &[u8]) -> Result<u8, Fault> {
    let at = rest.iter().position(|byte| *byte == 0xFF).ok_or(Fault::Unreadable)?;
    *rest = &rest[at..];
    loop {
        match take_array(rest)? {
            [0xFF] => {}
            [marker] => return Ok(marker),
        }
    }
}

/// `payload` is as long as a segment's or shorter.
fn keep(out: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    let length = u16::try_from(payload.len() + 2).unwrap_or(u16::MAX);
    out.extend([0xFF, marker]);
    out.extend(length.to_be_bytes());
    out.extend(payload);
}

fn size_of(frame: &[u8]) -> Result<(u32, u32), Fault> {
    let mut rest = frame;
    take(&mut rest, 1)?;
    let height = u16::from_be_bytes(take_array(&mut rest)?);
    let width = u16::from_be_bytes(take_array(&mut rest)?);
    Ok((width.into(), height.into()))
}

/// The density without the small preview that may follow it.
fn plain_jfif(payload: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut jfif = payload.get(..12).ok_or(Fault::Unreadable)?.to_vec();
    jfif.extend([0, 0]);
    Ok(jfif)
}

/// Copies the entropy-coded data up to the marker that ends it.
fn copy_scan(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    loop {
        let at = rest.iter().position(|byte| *byte == 0xFF).ok_or(Fault::Unreadable)?;
        out.extend(&rest[..at]);
        *rest = &rest[at..];
        match rest.get(1).ok_or(Fault::Unreadable)? {
            // A stuffed byte, or one of the restart markers.
            0x00 | 0xD0..=0xD7 => out.extend(take(rest, 2)?),
            0xFF => *rest = &rest[1..],
            _ => return Ok(()),
        }
    }
}
