//! When a rule holds: weekdays and hours in a time zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::text::RuleText;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_OF_A_DAY: u16 = 24 * 60;

/// Weekdays, hours and the zone they are meant in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct When {
    /// The zone's name; what a rule is compared by.
    zone: String,
    /// A bit for each weekday on which a span begins, Monday the lowest.
    days: u8,
    /// Minutes of the day: from, up to but not including. One that ends before it begins goes on
    /// after midnight.
    spans: Vec<(u16, u16)>,
}

impl When {
    /// `days`, `time` and `zone` of a rule; `None` where it always holds.
    pub(super) fn read(text: &RuleText) -> Result<Option<Self>, (&'static str, String)> {
        if text.days.is_none() && text.time.is_none() {
            return match &text.zone {
                Some(_) => Err(("zone", "a zone without days or time says nothing".to_owned())),
                None => Ok(None),
            };
        }
        let days = text.days.as_deref().map_or(Some(0x7f), days);
        let days = days.ok_or_else(|| ("days", "days are like \"mon-fri, sun\"".to_owned()))?;
        let spans = text.time.as_deref().map_or(Some(vec![(0, MINUTES_OF_A_DAY)]), spans);
        let spans = spans.ok_or_else(|| ("time", "times are like \"08:00-17:30\"".to_owned()))?;
        let zone = text.zone.clone().unwrap_or_else(|| "UTC".to_owned());
        if TimeZone::get(&zone).is_err() {
            return Err(("zone", format!("there is no time zone {zone:?}")));
        }
        Ok(Some(Self { zone, days, spans }))
    }

    /// Whether it holds at this moment, in seconds since 1970.
    pub(super) fn is_now(&self, now_s: i64) -> bool {
        let (Ok(now), Ok(zone)) = (Timestamp::from_second(now_s), TimeZone::get(&self.zone)) else {
            return false;
        };
        let local = zone.to_datetime(now);
        let minute = local.hour().unsigned_abs() as u16 * 60 + local.minute().unsigned_abs() as u16;
        let day = local.weekday().to_monday_zero_offset().unsigned_abs();
        let begins_on = |day: u8| self.days & (1 << day) != 0;
        self.spans.iter().any(|(from, to)| {
            if from < to {
                begins_on(day) && (*from..*to).contains(&minute)
            } else {
                (begins_on(day) && minute >= *from) || (begins_on((day + 6) % 7) && minute < *to)
            }
        })
    }
}

fn days(text: &str) -> Option<u8> {
    let day = |word: &str| {
        let word = word.trim().to_ascii_lowercase();
        let short = word.get(..3)?;
        DAYS.iter().position(|day| *day == short)
    };
    let mut bits = 0;
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (day(first)?, day(last)?);
                let mut at = first;
                bits |= 1 << at;
                while at != last {
                    at = (at + 1) % 7;
                    bits |= 1 << at;
                }
            }
            None => bits |= 1 << day(part)?,
        }
    }
    Some(bits)
}

fn spans(text: &str) -> Option<Vec<(u16, u16)>> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let all = (hour <= 24 && minute < 60).then(|| hour * 60 + minute)?;
        (all <= MINUTES_OF_A_DAY).then_some(all)
    };
    let span = |part: &str| {
        let (from, to) = part.split_once('-')?;
        let (from, to) = (minute(from)?, minute(to)?);
        (from != to && from < MINUTES_OF_A_DAY).then_some((from, to))
    };
    text.split(',').map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when(days: Option<&str>, time: Option<&str>, zone: Option<&str>) -> When {
        let text = RuleText {
            days: days.map(str::to_owned),
            time: time.map(str::to_owned),
            zone: zone.map(str::to_owned),
            ..RuleText::default()
        };
        When::read(&text).unwrap().unwrap()
    }

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn office_hours_follow_the_zone_through_summer_time() {
        let office = when(Some("mon-fri"), Some("08:00-17:00"), Some("Europe/Copenhagen"));
        for (moment, is_open) in [
            ("2026-01-05T07:00:00Z", true),
            ("2026-01-05T06:59:00Z", false),
            ("2026-01-05T16:00:00Z", false),
            ("2026-07-06T06:00:00Z", true),
            ("2026-07-06T15:00:00Z", false),
            ("2026-01-04T10:00:00Z", false),
        ] {
            assert_eq!(office.is_now(second(moment)), is_open, "{moment}");
        }
    }

    #[test]
    fn a_night_that_begins_on_friday_ends_on_saturday() {
        let night = when(Some("fri"), Some("22:00-06:00"), None);
        for (moment, is_night) in [
            ("2026-01-09T22:00:00Z", true),
            ("2026-01-10T05:59:00Z", true),
            ("2026-01-10T06:00:00Z", false),
            ("2026-01-10T22:00:00Z", false),
            ("2026-01-09T05:00:00Z", false),
        ] {
            assert_eq!(night.is_now(second(moment)), is_night, "{moment}");
        }
        assert!(when(Some("sat-mon"), None, None).is_now(second("2026-01-04T12:00:00Z")), "Sunday");
    }

    #[test]
    fn nonsense_is_named_by_its_key() {
        let key = |days: &str, time: &str, zone: &str| {
            let text = RuleText {
                days: Some(days.into()),
                time: Some(time.into()),
                zone: Some(zone.into()),
                ..RuleText::default()
            };
            When::read(&text).err().map(|(key, _)| key)
        };
        assert_eq!(key("mon", "8:00-9:00", "UTC"), None);
        assert_eq!(key("someday", "8:00-9:00", "UTC"), Some("days"));
        assert_eq!(key("mon", "8-9", "UTC"), Some("time"));
        assert_eq!(key("mon", "25:00-26:00", "UTC"), Some("time"));
        assert_eq!(key("mon", "8:00-9:00", "Mars/Olympus"), Some("zone"));
    }
}
