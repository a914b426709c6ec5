//! Milliseconds since 1970 as ISO 8601 text, for the time shown before the server's is known.

use crate::text::push_digits;

/// `2026-11-23T06:30:00.000Z`. Days are counted in the proleptic Gregorian calendar, by the
/// method of eras of 400 years that start in March.
pub fn iso8601(wall_ms: u64) -> String {
    let (days, ms) = (wall_ms / 86_400_000, wall_ms % 86_400_000);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let parts = [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (ms / 3_600_000, 2, ':'),
        (ms / 60_000 % 60, 2, ':'),
        (ms / 1_000 % 60, 2, '.'),
        (ms % 1_000, 3, 'Z'),
    ];
    let mut text = String::with_capacity(24);
    for (number, digits, mark) in parts {
        push_digits(&mut text, number, digits);
        text.push(mark);
    }
    text
}

/// Microseconds since 1970 of a time as PostgreSQL and JavaScript write it, with `T` or a blank, with or without a
/// fraction and an offset; without one it is taken for UTC. `None` for what is none, and outside of 1970 to 2105.
pub fn micros(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let digits = |from: usize, count: usize| {
        let mut value = 0_u64;
        for index in from..from + count {
            let digit = bytes.get(index).filter(|byte| byte.is_ascii_digit())?;
            value = value * 10 + u64::from(digit - b'0');
        }
        Some(value)
    };
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    if !(1970..2105).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut at = 19;
    let mut fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        let mut unit = 100_000;
        while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
            fraction += u64::from(digit - b'0') * unit;
            unit /= 10;
            at += 1;
        }
    }
    let behind = match bytes.get(at) {
        None | Some(b'Z') => 0,
        Some(sign @ (b'+' | b'-')) => {
            let hours = digits(at + 1, 2)?;
            let minutes = digits(at + 4, 2).or_else(|| digits(at + 3, 2)).unwrap_or(0);
            let seconds = i64::try_from(hours * 3_600 + minutes * 60).ok()?;
            if *sign == b'+' { seconds } else { -seconds }
        }
        Some(_) => return None,
    };
    let march_year = year - u64::from(month <= 2);
    let era = march_year / 400;
    let year_of_era = march_year % 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    let seconds = (days * 86_400 + hour * 3_600 + minute * 60 + second).checked_add_signed(-behind)?;
    Some(seconds * 1_000_000 + fraction)
}
