//! Dates in the names of folders: formats as Java's `DateTimeFormatter` has them, ranges that may end `NOW`.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Utc};

/// The dates that a key may have.
#[derive(Debug)]
pub(super) struct Dates {
    format: Vec<Field>,
    /// `None` where it depends on a time that is not known.
    first: Option<NaiveDateTime>,
    last: Option<NaiveDateTime>,
    /// Every how many units from the first there is one; not told from a first that moves.
    step: Option<(i64, Unit)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    /// A letter of the format, and how often it stands there: so many digits.
    Digits(char, usize),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Years,
    Months,
    Seconds(i64),
}

/// The parameter that is wrong, without `projection.<key>.`, and why.
type Wrong = (&'static str, String);

impl Dates {
    pub(super) fn of(
        format: &str,
        (first, last): (&str, &str),
        interval: i64,
        unit: Option<&str>,
        now: Option<DateTime<Utc>>,
    ) -> Result<Self, Wrong> {
        let format = fields(format)?;
        let unit = unit.map_or_else(
            || Ok(finest(&format)),
            |text| unit_of(text).ok_or_else(|| ("interval.unit", format!("is `{text}`, which is no unit"))),
        )?;
        let now = now.map(|now| now.naive_utc());
        let bound = |text: &str| match text.get(..3) {
            Some(word) if word.eq_ignore_ascii_case("now") => relative(&text[3..], now),
            _ => parsed(&format, text).filter(|(_, end)| *end == text.len()).map(|(date, _)| Some(date)),
        };
        let in_range =
            |text: &str| bound(text).ok_or_else(|| ("range", format!("has `{text}`, which is no date of the format")));
        let is_fixed = !first.to_ascii_lowercase().starts_with("now");
        let step = is_fixed.then_some((interval, unit));
        Ok(Self { first: in_range(first)?, last: in_range(last)?, format, step })
    }

    /// Where a date of the range ends that a text begins with.
    pub(super) fn ends(&self, text: &str) -> Vec<usize> {
        parsed(&self.format, text).filter(|(date, _)| self.has(*date)).map(|(_, end)| end).into_iter().collect()
    }

    fn has(&self, date: NaiveDateTime) -> bool {
        let is_in = self.first.is_none_or(|first| date >= first) && self.last.is_none_or(|last| date <= last);
        let is_step = match (self.step, self.first) {
            (Some((interval, unit)), Some(first)) => unit.divides(interval, first, date),
            _ => true,
        };
        is_in && is_step
    }
}

impl Unit {
    /// Whether a date comes a multiple of so many units after the first.
    fn divides(self, interval: i64, first: NaiveDateTime, date: NaiveDateTime) -> bool {
        let every = match self {
            Self::Seconds(seconds) => {
                return seconds.checked_mul(interval).is_some_and(|every| (date - first).num_seconds() % every == 0);
            }
            Self::Months => interval,
            Self::Years => interval.saturating_mul(12),
        };
        let months = (i64::from(date.year()) - i64::from(first.year())) * 12 + i64::from(date.month())
            - i64::from(first.month());
        let moved = u32::try_from(months).ok().and_then(|months| first.checked_add_months(Months::new(months)));
        months % every == 0 && moved == Some(date)
    }
}

/// The fields of a format. Letters of which no number follows are not known.
fn fields(format: &str) -> Result<Vec<Field>, Wrong> {
    let mut fields: Vec<Field> = Vec::new();
    let mut letters = format.chars().peekable();
    let mut is_quoted = false;
    while let Some(letter) = letters.next() {
        if letter == '\'' && letters.peek() != Some(&'\'') {
            is_quoted = !is_quoted;
            continue;
        }
        if letter == '\'' {
            letters.next();
        }
        if is_quoted || !letter.is_ascii_alphabetic() {
            match fields.last_mut() {
                Some(Field::Text(text)) => text.push(letter),
                _ => fields.push(Field::Text(letter.to_string())),
            }
            continue;
        }
        let letter = if letter == 'u' { 'y' } else { letter };
        match fields.last_mut() {
            Some(Field::Digits(last, count)) if *last == letter => *count += 1,
            _ => fields.push(Field::Digits(letter, 1)),
        }
    }
    let is_known = |field: &Field| match field {
        Field::Digits('y', count) => *count == 4,
        Field::Digits('M' | 'd' | 'H' | 'm' | 's', count) => *count <= 2,
        Field::Digits(..) => false,
        Field::Text(_) => true,
    };
    if !fields.iter().all(is_known) || !fields.iter().any(|field| matches!(field, Field::Digits('y', _))) {
        return Err(("format", format!("is `{format}`; `yyyy`, `MM`, `dd`, `HH`, `mm` and `ss` are known")));
    }
    Ok(fields)
}

/// The date that a text begins with, and where it ends.
fn parsed(format: &[Field], text: &str) -> Option<(NaiveDateTime, usize)> {
    let (mut year, mut month, mut day, mut hour, mut minute, mut second) = (0, 1, 1, 0, 0, 0);
    let mut end = 0;
    for field in format {
        let rest = &text[end..];
        match field {
            Field::Text(literal) => {
                rest.starts_with(literal.as_str()).then_some(())?;
                end += literal.len();
            }
            Field::Digits(letter, count) => {
                // One letter is a number of any length, of which the longest is two digits.
                let most = if *count == 1 { 2 } else { *count };
                let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
                (length >= *count).then_some(())?;
                let number: u32 = rest[..length].parse().ok()?;
                *match letter {
                    'y' => &mut year,
                    'M' => &mut month,
                    'd' => &mut day,
                    'H' => &mut hour,
                    'm' => &mut minute,
                    _ => &mut second,
                } = number;
                end += length;
            }
        }
    }
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some((date.and_hms_opt(hour, minute, second)?, end))
}

/// The finest unit that a format tells.
fn finest(format: &[Field]) -> Unit {
    let has = |letter: char| format.iter().any(|field| matches!(field, Field::Digits(known, _) if *known == letter));
    match () {
        () if has('s') => Unit::Seconds(1),
        () if has('m') => Unit::Seconds(60),
        () if has('H') => Unit::Seconds(3600),
        () if has('d') => Unit::Seconds(86_400),
        () if has('M') => Unit::Months,
        () => Unit::Years,
    }
}

fn unit_of(text: &str) -> Option<Unit> {
    Some(match text.to_ascii_lowercase().trim_end_matches('s') {
        "year" => Unit::Years,
        "month" => Unit::Months,
        "week" => Unit::Seconds(7 * 86_400),
        "day" => Unit::Seconds(86_400),
        "hour" => Unit::Seconds(3600),
        "minute" => Unit::Seconds(60),
        "second" => Unit::Seconds(1),
        _ => return None,
    })
}

/// `NOW`, `NOW-3YEARS`, `NOW+1DAY`; the inner `None` where it is not known when that is.
fn relative(text: &str, now: Option<NaiveDateTime>) -> Option<Option<NaiveDateTime>> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if text.is_empty() {
        return Some(now);
    }
    let is_before = text.starts_with('-');
    let amount = text.strip_prefix(['-', '+'])?;
    let digits = amount.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = (amount[..digits].parse::<u32>().ok()?, unit_of(&amount[digits..])?);
    let Some(now) = now else { return Some(None) };
    let moved = |days: Option<NaiveDateTime>| days.map(Some);
    let months = |count: u32| {
        if is_before { now.checked_sub_months(Months::new(count)) } else { now.checked_add_months(Months::new(count)) }
    };
    match unit {
        Unit::Years => moved(months(number.checked_mul(12)?)),
        Unit::Months => moved(months(number)),
        Unit::Seconds(86_400) => {
            let days = Days::new(u64::from(number));
            moved(if is_before { now.checked_sub_days(days) } else { now.checked_add_days(days) })
        }
        Unit::Seconds(seconds) => {
            let time = TimeDelta::try_seconds(seconds.checked_mul(i64::from(number))?)?;
            moved(if is_before { now.checked_sub_signed(time) } else { now.checked_add_signed(time) })
        }
    }
}
