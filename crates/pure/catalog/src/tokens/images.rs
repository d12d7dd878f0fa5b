//! Pictures' tokens by `OpenAI`'s rule: 85 for a glance; for a close look 170 more per tile of 512 × 512, after the picture
//! was scaled to a short side of 768.

use base64::Engine as _;
use tollgate_wire::chat::Media;

/// A glance.
const BASE: u64 = 85;
/// A tile.
const TILE: u64 = 170;
/// Side of a tile, pixels.
const TILE_SIDE: u64 = 512;
/// What the short side is scaled to, pixels.
const SHORT_SIDE: u64 = 768;
/// Longest side after that, pixels (`LiteLLM`'s bound; `OpenAI`'s page says 2048).
const LONG_SIDE: u64 = 2_000;
/// Size of a picture that we do not see, pixels: one on the web is not fetched to be counted.
const UNSEEN: (u64, u64) = (300, 300);
/// So much base64 of a picture is read for its size, characters: JPEG has its size behind its metadata.
const HEAD: usize = 256 << 10;

/// Tokens of a picture that is looked at as `detail` says.
pub(super) fn tokens(source: &Media, detail: Option<&str>) -> u64 {
    if detail != Some("high") {
        return BASE;
    }
    let size = match source {
        Media::Inline { data, .. } => size_of_base64(data),
        Media::Url(_) | Media::FileId(_) => None,
    };
    close_look(size.unwrap_or(UNSEEN))
}

/// Tokens of a close look at what this base64 holds, if it is a picture.
pub(super) fn tokens_of_base64(data: &str) -> Option<u64> {
    size_of_base64(data).map(close_look)
}

fn close_look(size: (u64, u64)) -> u64 {
    let (width, height) = scaled(size);
    BASE + TILE * width.div_ceil(TILE_SIDE) * height.div_ceil(TILE_SIDE)
}

fn scaled((width, height): (u64, u64)) -> (u64, u64) {
    let (short, long) = (width.min(height).max(1), width.max(height));
    if long <= SHORT_SIDE {
        return (width, height);
    }
    let scaled_long = SHORT_SIDE * long / short;
    let (short, long) =
        if scaled_long > LONG_SIDE { (LONG_SIDE * short / long, LONG_SIDE) } else { (SHORT_SIDE, scaled_long) };
    if width <= height { (short, long) } else { (long, short) }
}

fn size_of_base64(data: &str) -> Option<(u64, u64)> {
    let length = data.len().min(HEAD) / 4 * 4;
    let head = base64::engine::general_purpose::STANDARD.decode(data.get(..length)?).ok()?;
    size(&head)
}

/// Width and height, from the first bytes of a PNG, GIF, JPEG or WebP.
fn size(bytes: &[u8]) -> Option<(u64, u64)> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some((big(bytes, 16, 4)?, big(bytes, 20, 4)?)),
        [b'G', b'I', b'F', b'8', ..] => Some((little(bytes, 6, 2)?, little(bytes, 8, 2)?)),
        [0xff, 0xd8, ..] => jpeg(bytes),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(bytes),
        _ => None,
    }
}

/// Goes from segment to segment until one that begins a frame.
fn jpeg(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut place = 2;
    loop {
        let marker = *bytes.get(place + 1)?;
        if *bytes.get(place)? != 0xff {
            return None;
        }
        if marker == 0xff {
            place += 1;
            continue;
        }
        let begins_a_frame = (0xc0..=0xcf).contains(&marker) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if begins_a_frame {
            return Some((big(bytes, place + 7, 2)?, big(bytes, place + 5, 2)?));
        }
        place += 2 + usize::try_from(big(bytes, place + 2, 2)?).ok()?;
    }
}

fn webp(bytes: &[u8]) -> Option<(u64, u64)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((little(bytes, 24, 3)? + 1, little(bytes, 27, 3)? + 1)),
        b"VP8 " => Some((little(bytes, 26, 2)? & 0x3fff, little(bytes, 28, 2)? & 0x3fff)),
        b"VP8L" => {
            let bits = little(bytes, 21, 4)?;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        _ => None,
    }
}

fn big(bytes: &[u8], place: usize, length: usize) -> Option<u64> {
    Some(bytes.get(place..place + length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn little(bytes: &[u8], place: usize, length: usize) -> Option<u64> {
    Some(bytes.get(place..place + length)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_picture_stands_in_its_first_bytes() {
        let png = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &[0, 0, 4, 0, 0, 0, 2, 0]].concat();
        assert_eq!(size(&png), Some((1024, 512)));
        assert_eq!(size(b"GIF89a\x2c\x01\xc8\x00"), Some((300, 200)));
        let jpeg = [b"\xff\xd8\xff\xe0\0\x04ab".as_slice(), b"\xff\xc0\0\x11\x08\x02\x58\x03\x20"].concat();
        assert_eq!(size(&jpeg), Some((800, 600)));
        let mut webp = [b"RIFF\0\0\0\0WEBPVP8X".as_slice(), &[0; 8], &[0xff, 1, 0, 0x2b, 1, 0]].concat();
        assert_eq!(size(&webp), Some((512, 300)));
        webp.truncate(26);
        assert_eq!(size(&webp), None);
        assert_eq!(size(b"\xff\xd8\xff\xe0"), None);
    }

    #[test]
    fn a_close_look_is_paid_by_the_tile() {
        // The numbers of LiteLLM's `calculate_img_tokens`.
        for ((width, height), tokens) in
            [((300, 300), 255), ((1024, 1024), 765), ((2048, 4096), 1105), ((4000, 500), 765), ((768, 768), 765)]
        {
            assert_eq!(close_look((width, height)), tokens, "{width} x {height}");
        }
        assert_eq!(tokens(&Media::Url("https://a.test/b.png".to_owned()), None), 85);
        assert_eq!(tokens(&Media::Url("https://a.test/b.png".to_owned()), Some("high")), 255);
    }
}
