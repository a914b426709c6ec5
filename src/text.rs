//! Text that is put together piece by piece. The machinery of `format!` would weigh more than all of its uses.

/// As part of a URL's query.
pub fn url_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for nibble in [byte >> 4, byte & 0x0f] {
                encoded.push(char::from(if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }));
            }
        }
    }
    encoded
}

/// Before and behind the first such byte, which is of ASCII. The standard library's search would weigh ten times as much.
pub fn split_once(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|other| other == byte)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The last `count` decimal digits, with zeros in front.
pub fn push_digits(text: &mut String, number: u64, count: u32) {
    for place in (0..count).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        text.push(char::from(b'0' + digit as u8));
    }
}

pub fn decimal(number: u64) -> String {
    let mut text = String::new();
    push_digits(&mut text, number, number.checked_ilog10().unwrap_or(0) + 1);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_url_is_encoded() {
        assert_eq!(url_encoded("a-Z_0.9~"), "a-Z_0.9~");
        assert_eq!(url_encoded("a b&c=ä"), "a%20b%26c%3D%C3%A4");
    }

    #[test]
    fn a_text_is_split_where_the_byte_is_first() {
        assert_eq!(split_once("ä.b.c", b'.'), Some(("ä", "b.c")));
        assert_eq!(split_once(".", b'.'), Some(("", "")));
        assert_eq!(split_once("äb", b'.'), None);
    }

    #[test]
    fn digits_are_as_many_as_asked_for() {
        let mut text = String::new();
        push_digits(&mut text, 7, 3);
        push_digits(&mut text, 2026, 4);
        push_digits(&mut text, 12_345, 2);
        assert_eq!(text, "007202645");
    }

    #[test]
    fn a_number_is_written_as_it_is() {
        for number in [0, 9, 10, 1_000, 1_001, u64::MAX] {
            assert_eq!(decimal(number), number.to_string());
        }
    }
}
