//! The variables that show the time.

use crate::waf::ir::Variable;

/// `TIME` and its parts, in UTC.
pub(super) fn part(variable: Variable, unix_seconds: u64) -> String {
    let days = unix_seconds / 86_400;
    let (hour, minute, second) = (unix_seconds / 3_600 % 24, unix_seconds / 60 % 60, unix_seconds % 60);
    let (year, month, day) = civil(days);
    match variable {
        Variable::Time => format!("{hour:02}:{minute:02}:{second:02}"),
        Variable::TimeDay => day.to_string(),
        Variable::TimeHour => hour.to_string(),
        Variable::TimeMin => minute.to_string(),
        Variable::TimeMon => month.to_string(),
        Variable::TimeSec => second.to_string(),
        // 1970 began on a Thursday; Sunday is 0.
        Variable::TimeWday => ((days + 4) % 7).to_string(),
        Variable::TimeYear => year.to_string(),
        _ => unix_seconds.to_string(),
    }
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_parts_of_a_moment() {
        // 2024-02-29 12:34:56, a Thursday.
        let show = |variable| part(variable, 1_709_210_096);
        assert_eq!(show(Variable::Time), "12:34:56");
        let date = [Variable::TimeYear, Variable::TimeMon, Variable::TimeDay, Variable::TimeWday];
        assert_eq!(date.map(show), ["2024", "2", "29", "4"]);
        assert_eq!(show(Variable::TimeEpoch), "1709210096");
    }
}
