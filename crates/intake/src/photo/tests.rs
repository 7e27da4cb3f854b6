//! What of a file is kept, for files as cameras write them, for such as only
//! an attacker writes, and for whatever a generator makes up.

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::{png::chunk, *};
use crate::{Answers, RawAnswers};

/// What no photo may still say when it is kept.
const SECRET: &[u8] = b"GPS 48.2082 N 16.3738 E";

fn says(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

/// An Exif block with an orientation, a pointer to where it was taken, and the
/// place itself.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x02\0".to_vec();
    block.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    block.extend([0x25, 0x88, 4, 0, 1, 0, 0, 0, 38, 0, 0, 0]);
    block.extend([0; 4]);
    block.extend(SECRET);
    block
}

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
    [&[0xFF, marker], &length[..], payload].concat()
}

fn frame(width: u16, height: u16) -> Vec<u8> {
    let (width, height) = (width.to_be_bytes(), height.to_be_bytes());
    segment(0xC2, &[&[8], &height[..], &width, &[1, 1, 0x11, 0]].concat())
}

/// A progressive JPEG that tells where it was taken in every way there is.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let jfif = [b"JFIF\0\x01\x01\x00\0\x48\0\x48\x01\x01", &b"GPS"[..]].concat();
    let told = [b"Exif\0\0", &exif(6)[..]].concat();
    [
        vec![0xFF, 0xD8],
        segment(0xE0, &jfif),
        segment(0xE1, &told),
        segment(0xE1, &[b"http://ns.adobe.com/xap/1.0/\0", SECRET].concat()),
        segment(0xE2, b"ICC_PROFILE\0\x01\x01the colours"),
        segment(0xE2, &[b"MPF\0", SECRET].concat()),
        segment(0xED, &[b"Photoshop 3.0\0", SECRET].concat()),
        segment(0xEE, &[b"Adobe\0\x64\0\0\0\0\x01", SECRET].concat()),
        segment(0xFE, SECRET),
        SECRET.to_vec(),
        segment(0xDB, &[0; 65]),
        frame(width, height),
        segment(0xC4, &[0; 20]),
        segment(0xDA, &[1, 1, 0, 0, 0, 0]),
        b"first scan \xFF\x00 \xFF\xD0 goes on \xFF\xFF".to_vec(),
        // Between two scans, where hardly anybody looks.
        segment(0xE1, &told),
        segment(0xFE, SECRET),
        segment(0xDA, &[1, 1, 0, 1, 63, 0]),
        b"second scan".to_vec(),
        vec![0xFF, 0xD9],
        b"\xFF\xD8\xFF\xE1".to_vec(),
        SECRET.to_vec(),
    ]
    .concat()
}

fn png_header(width: u32, height: u32) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(*b"IHDR", &[&size[..], &[8, 2, 0, 0, 0]].concat())
}

fn png(width: u32, height: u32) -> Vec<u8> {
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        png_header(width, height),
        chunk(*b"pHYs", &[0; 9]),
        chunk(*b"iCCP", b"P3\0\0the colours"),
        chunk(*b"eXIf", &exif(8)),
        chunk(*b"tEXt", &[b"Comment\0", SECRET].concat()),
        chunk(*b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", SECRET].concat()),
        chunk(*b"tIME", &[7, 0xEA, 3, 2, 12, 0, 0]),
        chunk(*b"IDAT", b"the picture"),
        chunk(*b"prVt", SECRET),
        chunk(*b"IDAT", b"goes on"),
        chunk(*b"IEND", b""),
        SECRET.to_vec(),
    ]
    .concat()
}

fn riff(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut inner = b"WEBP".to_vec();
    for (name, data) in chunks {
        inner.extend(*name);
        inner.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        inner.extend(data);
        inner.extend(vec![0; data.len() % 2]);
    }
    [b"RIFF", &u32::try_from(inner.len()).unwrap().to_le_bytes()[..], &inner].concat()
}

fn canvas(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let edge = |edge: u32| (edge - 1).to_le_bytes()[..3].to_vec();
    [vec![flags, 0, 0, 0], edge(width), edge(height)].concat()
}

fn lossy(width: u16, height: u16) -> Vec<u8> {
    let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
    [&[0x10, 0, 0, 0x9D, 0x01, 0x2A], &size[..], b"odd"].concat()
}

fn webp(width: u16, height: u16) -> Vec<u8> {
    let mut file = riff(&[
        (b"VP8X", canvas(0x20 | 0x10 | 0x08 | 0x04, width.into(), height.into())),
        (b"ICCP", b"the colours".to_vec()),
        (b"ALPH", b"alpha".to_vec()),
        (b"VP8 ", lossy(width, height)),
        (b"EXIF", [b"Exif\0\0", &exif(3)[..]].concat()),
        (b"XMP ", SECRET.to_vec()),
        (b"PRIV", SECRET.to_vec()),
    ]);
    file.extend(SECRET);
    file
}

fn code(bytes: &[u8]) -> String {
    let fault = prepare(bytes).expect_err("it is refused");
    assert_eq!(fault.path, "photo");
    fault.code
}

#[test]
fn of_a_photo_the_picture_the_colours_and_the_way_up_are_kept() {
    for (file, media_type, upright, words) in [
        (
            jpeg(40, 30),
            MediaType::Jpeg,
            6,
            &[&b"first scan \xFF\x00 \xFF\xD0 goes on "[..], b"second scan"],
        ),
        (png(40, 30), MediaType::Png, 8, &[&b"the picture"[..], b"goes on"]),
        (webp(40, 30), MediaType::Webp, 3, &[&b"alpha"[..], b"odd"]),
    ] {
        assert!(says(&file, SECRET));
        let photo = prepare(&file).unwrap();
        assert_eq!((photo.media_type, photo.width, photo.height), (media_type, 40, 30));
        assert!(!says(&photo.bytes, b"GPS"), "{media_type} tells where it was taken");
        assert!(!says(&photo.bytes, b"48.2082"));
        assert!(says(&photo.bytes, b"the colours"), "{media_type}");
        assert!(says(&photo.bytes, &super::exif::saying(upright)), "{media_type}");
        for word in words {
            assert!(says(&photo.bytes, word), "{media_type} lacks {word:?}");
        }
        // What was cleaned is clean.
        assert_eq!(prepare(&photo.bytes).unwrap(), photo);
    }
}

#[test]
fn an_upright_photo_has_no_exif_at_all() {
    for upright in [0, 1, 9] {
        assert_eq!(super::exif::orientation(&exif(upright)), None);
    }
    for turned in 2..=8 {
        assert_eq!(super::exif::orientation(&exif(turned)), Some(turned));
        assert_eq!(super::exif::orientation(&super::exif::saying(turned)), Some(turned));
    }
    let plain = riff(&[(b"VP8 ", lossy(4, 3))]);
    assert_eq!(prepare(&plain).unwrap().bytes, plain);
}

#[test]
fn a_kept_webp_has_the_flags_of_what_is_left() {
    let kept = prepare(&webp(40, 30)).unwrap().bytes;
    assert_eq!(&kept[12..16], b"VP8X");
    assert_eq!(kept[20], 0x20 | 0x10 | 0x08, "profile, alpha, Exif, and no XMP");
    let length = u32::from_le_bytes(kept[4..8].try_into().unwrap());
    assert_eq!(usize::try_from(length).unwrap() + 8, kept.len());
}

#[test]
fn the_check_sum_is_that_of_png() {
    assert_eq!(chunk(*b"IEND", b""), b"\0\0\0\0IEND\xAE\x42\x60\x82");
}

#[test]
fn the_content_alone_says_what_a_file_is() {
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic rest of the file";
    for (file, wanted) in [
        (&b""[..], "required"),
        (b"%PDF-1.7 and so on", "unsupported_type"),
        (b"GIF89a and so on", "unsupported_type"),
        (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "unsupported_type"),
        (b"just words", "unsupported_type"),
        (heic, "unsupported_type"),
        (&riff(&[(b"VP8X", canvas(2, 4, 3)), (b"ANMF", vec![0; 20])]), "unsupported_type"),
        (&riff(&[(b"VP8X", canvas(2, 4, 3)), (b"VP8 ", lossy(4, 3))]), "unsupported_type"),
        // The first bytes of a photo, and then something else.
        (b"\xFF\xD8\xFF<script>alert(1)</script>", "unreadable"),
        (b"\x89PNG\r\n\x1a\n<script>alert(1)</script>", "unreadable"),
        (b"RIFF\x20\0\0\0WEBP<script>alert(1)</script>    ", "unreadable"),
        (&jpeg(4, 3)[..60], "unreadable"),
        (&png(4, 3)[..60], "unreadable"),
        (&webp(4, 3)[..60], "unreadable"),
    ] {
        assert_eq!(code(file), wanted, "{}", String::from_utf8_lossy(file));
    }
    let told = prepare(heic).unwrap_err().message;
    assert!(told.contains("HEIC") && told.contains("JPEG"), "{told}");
}

#[test]
fn a_bomb_is_known_by_its_size() {
    assert!(prepare(&png(8_000, 8_000)).is_ok());
    for bomb in [
        png(8_001, 8_000),
        png(16_385, 1),
        png(u32::MAX, u32::MAX),
        jpeg(65_000, 65_000),
        webp(16_000, 16_000),
        riff(&[(b"VP8L", [&[0x2F][..], &0x0FFF_FFFF_u32.to_le_bytes(), b"x"].concat())]),
    ] {
        assert_eq!(code(&bomb), "too_many_pixels");
    }
    for nothing in [png(0, 5), jpeg(5, 0), webp(5, 5).replace_size(0)] {
        assert_eq!(code(&nothing), "unreadable");
    }
    // A small canvas does not hide a large picture.
    let hidden = riff(&[(b"VP8X", canvas(0, 4, 3)), (b"VP8 ", lossy(16_000, 16_000))]);
    assert_eq!(code(&hidden), "unreadable");
    let twice = riff(&[(b"VP8 ", lossy(4, 3)), (b"VP8 ", lossy(4, 3))]);
    assert_eq!(code(&twice), "unreadable");
}

trait ReplaceSize {
    fn replace_size(self, width: u16) -> Self;
}

impl ReplaceSize for Vec<u8> {
    /// Another width in the picture of a WebP file.
    fn replace_size(mut self, width: u16) -> Self {
        let start = b"\x9D\x01\x2A";
        let at = self.windows(3).position(|window| window == start).expect("a picture");
        self[at + 3..at + 5].copy_from_slice(&width.to_le_bytes());
        self
    }
}

#[test]
fn photos_are_found_wherever_an_answer_names_them() {
    let id = |number: u128| PhotoId(kernel::Uuid::from_u128(number));
    let row = |number| Answers::from([("inner".to_owned(), Answer::Photos(vec![id(number)]))]);
    let answers = Answers::from([
        ("face".to_owned(), Answer::Photos(vec![id(2), id(1)])),
        ("rows".to_owned(), Answer::Rows(vec![Answers::new(), row(3)])),
        ("words".to_owned(), Answer::Text(id(4).to_string())),
    ]);
    let named: Vec<(String, PhotoId)> = named_in(&answers);
    let named: Vec<(&str, PhotoId)> = named.iter().map(|(path, id)| (path.as_str(), *id)).collect();
    assert_eq!(
        named,
        [("answers.face", id(2)), ("answers.face", id(1)), ("answers.rows[1].inner", id(3))]
    );
    assert_eq!(id_in(&address(id(7))), Some(id(7)));
    assert_eq!(id_in("https://salus.example/api/photos/nobody"), None);
    let raw: RawAnswers = RawAnswers::from([("face".to_owned(), json!([id(2), id(1)]))]);
    assert_eq!(answers["face"].to_raw(), raw["face"]);
}

fn any_file() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(jpeg(40, 30)), Just(png(40, 30)), Just(webp(40, 30))]
}

proptest! {
    /// However a file is cut and altered, it is refused or made clean, and what
    /// was made clean stays as it is.
    #[test]
    fn whatever_is_kept_is_kept_as_it_is(
        file in any_file(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in option_index(),
    ) {
        let mut file = file;
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len() + 1));
        }
        if let Ok(photo) = prepare(&file) {
            prop_assert_eq!(prepare(&photo.bytes).unwrap(), photo);
        }
    }

    #[test]
    fn no_file_is_too_strange_to_be_refused(start in any_file(), kept in 0_usize..40, rest: Vec<u8>) {
        let file = [&start[..kept.min(start.len())], &rest].concat();
        if let Ok(photo) = prepare(&file) {
            prop_assert_eq!(prepare(&photo.bytes).unwrap(), photo);
        }
    }

    #[test]
    fn an_exif_block_is_read_wherever_it_is_cut(block in vec(any::<u8>(), 0..80), cut in 0_usize..60) {
        let told = super::exif::orientation(&[b"II*\0", &block[..]].concat());
        prop_assert!(told.is_none_or(|told| (2..=8).contains(&told)));
        let whole = exif(6);
        let told = super::exif::orientation(&whole[..cut.min(whole.len())]);
        prop_assert!(matches!(told, None | Some(6)));
    }
}

fn option_index() -> impl Strategy<Value = Option<prop::sample::Index>> {
    proptest::option::of(any::<prop::sample::Index>())
}
