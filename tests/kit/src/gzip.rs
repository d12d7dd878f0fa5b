//! A gzip writer without compression: enough to send a body that says `content-encoding: gzip` and means it.

/// The largest stored block of RFC 1951.
const BLOCK: usize = 0xffff;

/// Wraps bytes into a valid gzip file of stored blocks (RFC 1951, 3.2.4; RFC 1952).
pub fn encode(plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut rest = plain;
    loop {
        let (block, after) = rest.split_at(rest.len().min(BLOCK));
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(after.is_empty()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    out.extend_from_slice(&crc32(plain).to_le_bytes());
    let size = u32::try_from(plain.len() % (1 << 32)).unwrap_or(0);
    out.extend_from_slice(&size.to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_long_text_becomes_several_blocks_of_which_the_last_is_marked() {
        let encoded = encode(&vec![b'a'; BLOCK + 10]);

        assert_eq!(encoded[10], 0);
        assert_eq!(encoded[10 + 5 + BLOCK], 1);
        assert_eq!(encoded.len(), 10 + 5 + BLOCK + 5 + 10 + 8);
    }
}
