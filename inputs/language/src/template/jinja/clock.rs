//! The date for templates that write it: `strftime_now`.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Seconds since 1970, UTC.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `seconds` since 1970 as C's `strftime` writes them in the UTC time zone and the C locale.
///
/// # Errors
/// Names a directive that is not known here.
pub(super) fn strftime(seconds: u64, format: &str) -> Result<String, String> {
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let name = |names: &[&'static str], index: u64| names.get(index as usize).copied().unwrap_or_default();
    let (month_name, day_name) = (name(&MONTHS, month - 1), name(&DAYS, days % 7));
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('Y') => out += &year.to_string(),
            Some('y') => out += &format!("{:02}", year % 100),
            Some('m') => out += &format!("{month:02}"),
            Some('d') => out += &format!("{day:02}"),
            Some('B') => out += month_name,
            Some('b') => out += &month_name[..3],
            Some('A') => out += day_name,
            Some('a') => out += &day_name[..3],
            Some('H') => out += &format!("{hour:02}"),
            Some('M') => out += &format!("{minute:02}"),
            Some('S') => out += &format!("{second:02}"),
            Some('%') => out.push('%'),
            other => {
                let other = other.map_or_else(|| "%".to_owned(), |c| format!("%{c}"));
                return Err(format!("strftime_now does not know `{other}`"));
            }
        }
    }
    Ok(out)
}

/// Year, month and day of the Gregorian calendar, after Howard Hinnant's `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "01 Jan 1970 Thursday 00:00:00"),
            (951_782_400, "29 Feb 2000 Tuesday 00:00:00"),
            (1_721_994_896, "26 Jul 2024 Friday 11:54:56"),
            (4_107_542_399, "28 Feb 2100 Sunday 23:59:59"),
            (4_107_542_400, "01 Mar 2100 Monday 00:00:00"),
        ] {
            assert_eq!(strftime(seconds, "%d %b %Y %A %H:%M:%S").unwrap(), expected);
        }
        assert_eq!(strftime(0, "%y-%m %B %a 100%%").unwrap(), "70-01 January Thu 100%");
        assert!(strftime(0, "%Q").unwrap_err().contains("`%Q`"));
        assert!(strftime(0, "%").is_err());
    }
}
