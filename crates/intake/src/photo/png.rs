//! PNG: chunks, each with its length, its name and a check sum.

use super::{
    exif,
    image::{Fault, Stripped, take, take_array},
};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
const END: &[u8] = b"\0\0\0\0IEND\xAE\x42\x60\x82";

/// What is needed to show the picture in its colours.
const KEPT: [&[u8; 4]; 10] =
    [b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"pHYs"];
/// A profile is compressed, and nobody's is as large as this.
const LARGEST_PROFILE: usize = 256 * 1024;

pub fn strip(bytes: &[u8]) -> Result<Stripped, Fault> {
    let mut rest = bytes;
    if take_array(&mut rest)? != SIGNATURE {
        return Err(Fault::Unreadable);
    }
    let header = take(&mut rest, 25)?;
    let Some(size) = header.strip_prefix(b"\0\0\0\x0DIHDR") else { return Err(Fault::Unreadable) };
    let mut size = size;
    let width = u32::from_be_bytes(take_array(&mut size)?);
    let height = u32::from_be_bytes(take_array(&mut size)?);

    let (mut orientation, mut pictured) = (None, false);
    let mut body = Vec::with_capacity(bytes.len());
    loop {
        let chunk = rest;
        let length = u32::from_be_bytes(take_array(&mut rest)?);
        let name: [u8; 4] = take_array(&mut rest)?;
        let length = usize::try_from(length).map_err(|_| Fault::Unreadable)?;
        let data = take(&mut rest, length)?;
        take(&mut rest, 4)?;
        // Whatever follows the end is no part of the picture.
        if &name == b"IEND" {
            break;
        }
        if &name == b"eXIf" {
            orientation = orientation.or_else(|| exif::orientation(data));
        } else if KEPT.contains(&&name) {
            if &name == b"iCCP" && data.len() > LARGEST_PROFILE {
                return Err(Fault::Unreadable);
            }
            pictured |= &name == b"IDAT";
            body.extend(&chunk[..length + 12]);
        } else if name[0].is_ascii_uppercase() {
            // A picture cannot be shown without knowing such a chunk.
            return Err(Fault::Unreadable);
        }
    }
    if !pictured {
        return Err(Fault::Unreadable);
    }
    let mut out = Vec::with_capacity(body.len() + 96);
    out.extend(SIGNATURE);
    out.extend(header);
    if let Some(orientation) = orientation {
        out.extend(chunk(*b"eXIf", &exif::saying(orientation)));
    }
    out.append(&mut body);
    out.extend(END);
    Ok(Stripped { width, height, bytes: out })
}

/// A chunk of a few bytes.
pub fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut chunk = length.to_be_bytes().to_vec();
    chunk.extend(name);
    chunk.extend(data);
    let sum = check_sum(&chunk[4..]);
    chunk.extend(sum.to_be_bytes());
    chunk
}

/// The CRC-32 of ISO 3309.
fn check_sum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 }
        })
    })
}
