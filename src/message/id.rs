//! Message ids: UUIDs of version 7, made from a clock and entropy that the caller brings.

use std::fmt;

/// A UUID in its canonical lower-case spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(String);

impl MessageId {
    /// `wall_ms` is the wall clock in milliseconds; only 74 of the entropy's bits are used.
    pub fn v7(wall_ms: u64, entropy: [u8; 10]) -> Self {
        let clock = wall_ms.to_be_bytes();
        let mut bytes = [0_u8; 16];
        bytes[..6].copy_from_slice(&clock[2..]);
        bytes[6..].copy_from_slice(&entropy);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        let mut text = String::with_capacity(36);
        for (index, byte) in bytes.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push(hex_digit(byte >> 4));
            text.push(hex_digit(byte & 0x0f));
        }
        Self(text)
    }

    /// Any UUID in its canonical spelling, upper case allowed.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == 36
            && text.bytes().enumerate().all(|(index, byte)| match index {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        well_formed.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The id of the row that deletes the message of this id: the same UUID with another version.
    pub fn of_delete(&self) -> Self {
        let version = if self.0.as_bytes().get(14) == Some(&b'8') { b'9' } else { b'8' };
        let digits = self.0.bytes().enumerate();
        Self(digits.map(|(index, digit)| char::from(if index == 14 { version } else { digit })).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 })
}
