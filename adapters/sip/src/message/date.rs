//! Dates as CPIM and IMDN write them (RFC 3339 §5.6), from and to milliseconds since 1970.

const DAY_MS: i64 = 86_400_000;

/// Reads `2026-11-22T16:05:06.5+01:00`; `None` when it is no date of the years 1970 to 9999.
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    if !text.is_ascii() || text.len() < 20 {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let is_at = |at: usize, any: &[u8]| any.contains(&text.as_bytes()[at]);
    let is_formed = is_at(4, b"-")
        && is_at(7, b"-")
        && is_at(10, b"Tt ")
        && is_at(13, b":")
        && is_at(16, b":")
        && !text[..19].contains('+');
    if !is_formed {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_date =
        year >= 1970 && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    let is_time =
        (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    if !is_date || !is_time {
        return None;
    }
    let (fraction_ms, zone) = fraction(&text[19..])?;
    let offset_ms = zone_ms(zone)?;
    let time_ms = ((hour * 60 + minute) * 60 + second) * 1_000 + fraction_ms;
    Some(days_to(year, month, day) * DAY_MS + time_ms - offset_ms)
}

/// Writes a moment, in UTC and whole seconds.
pub fn render(at_ms: i64) -> String {
    let at_ms = at_ms.clamp(0, 253_402_300_799_000);
    let (days, rest) = (at_ms / DAY_MS, at_ms % DAY_MS / 1_000);
    let mut year = 1970 + days / 366;
    while days_to(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_to(year, month + 1, 1) <= days {
        month += 1;
    }
    let day = days - days_to(year, month, 1) + 1;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The milliseconds after the dot, if there is one, and what follows.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(digits) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    let milli = format!("{:0<3}", digits.get(..end.min(3)).filter(|digits| !digits.is_empty())?);
    Some((milli.parse().ok()?, &digits[end..]))
}

fn zone_ms(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let is_two = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_two(hours) || !is_two(minutes) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of then or later.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leaps = before / 4 - before / 100 + before / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    (year - 1970) * 365 + leaps + months + day - 1
}
