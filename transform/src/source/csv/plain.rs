//! Numbers and dates that are written plainly: digits with a sign or a point at most, and `YYYY-MM-DD`. All others are left to arrow's
//! parsers, which decide what is a value and what is not.

/// Days from the first of March of the year 0 to 1970-01-01.
const DAYS_TO_1970: i32 = 719_468;
/// So many bytes fit 64 bits as if they were digits, whether they are or not.
const DIGITS: usize = 17;

/// A whole number that is written plainly.
pub(super) fn whole(text: &str) -> Option<i64> {
    let (is_negative, bytes) = unsigned(text);
    if bytes.is_empty() || bytes.len() > DIGITS {
        return None;
    }
    let number = digits(0, bytes)?;
    Some(if is_negative { -number } else { number })
}

/// The unscaled value of a decimal number that is written plainly, and fits a precision with no more digits behind the point than its
/// scale.
pub(super) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (is_negative, bytes) = unsigned(text);
    if bytes.len() > DIGITS {
        return None;
    }
    let usual = bytes.len().checked_sub(usize::try_from(scale).ok()? + 1);
    let point = match usual {
        Some(place) if bytes[place] == b'.' => Some(place),
        _ => bytes.iter().position(|byte| *byte == b'.'),
    };
    let (before, behind) = match point {
        Some(place) => (&bytes[..place], &bytes[place + 1..]),
        None => (bytes, &bytes[..0]),
    };
    if before.is_empty() || (point.is_some() && behind.is_empty()) {
        return None;
    }
    let missing = u32::try_from(i32::from(scale) - behind.len() as i32).ok()?;
    let number = i128::from(digits(digits(0, before)?, behind)?);
    let number = if missing == 0 { number } else { number.checked_mul(10_i128.checked_pow(missing)?)? };
    // What does not fit is an error, and arrow's.
    let most = 10_i128.checked_pow(u32::from(precision))?;
    (number < most).then_some(if is_negative { -number } else { number })
}

/// Days since 1970-01-01 of a date that is written plainly, in the proleptic Gregorian calendar.
pub(super) fn date(text: &str) -> Option<i32> {
    let &[a, b, c, d, b'-', m, n, b'-', x, y] = text.as_bytes() else { return None };
    let number = |bytes: &[u8]| digits(0, bytes).map(|number| number as i32);
    let (year, month, day) = (number(&[a, b, c, d])?, number(&[m, n])?, number(&[x, y])?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    // Counted from March on, years have the leap day at their end, and any five months from March or August on have 153 days.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_year = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let before_month = (153 * month + 2) / 5;
    Some(before_year + before_month + day - 1 - DAYS_TO_1970)
}

fn unsigned(text: &str) -> (bool, &[u8]) {
    match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    }
}

/// A number with further digits; `None` if not all of them are.
#[inline]
fn digits(mut number: i64, bytes: &[u8]) -> Option<i64> {
    let mut others = false;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        others |= digit > 9;
        number = number * 10 + i64::from(digit);
    }
    (!others).then_some(number)
}
