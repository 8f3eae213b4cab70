//! TPC-H's seven years of orders, moved to one fortnight.

use std::fmt;

use chrono::{Days, NaiveDate};
use tpchgen::dates::TPCHDate;
use tpchgen::generators::Order;

/// Length of the fortnight.
pub(crate) const DAYS: u8 = 14;

/// Number of days on which TPC-H has orders: 1992-01-01 to 1998-08-02.
const ORDER_DATES: i32 = 2406;

/// Every order with a key of this remainder modulo [`LATE_ONE_IN`] arrives a day late.
const LATE_REMAINDER: i64 = 7;
const LATE_ONE_IN: i64 = 50;

/// A day of the fortnight, 1 to 14.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(u8);

impl Day {
    /// The day with this number.
    pub(crate) fn new(number: u8) -> Self {
        Self(number)
    }

    /// 1 to 14.
    pub(crate) fn number(self) -> u8 {
        self.0
    }

    /// The date some days later.
    pub(crate) fn plus(self, days: i32) -> NaiveDate {
        let start = NaiveDate::from_ymd_opt(2026, 10, 31).unwrap_or_default();
        start + Days::new(u64::from(self.0)) + Days::new(u64::from(days.unsigned_abs()))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plus(0).fmt(f)
    }
}

/// When an order was placed, and with which day's files it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) on: Day,
    pub(crate) arrives: Day,
    second_of_day: i64,
}

impl Placed {
    /// The place of an order in the fortnight, by its TPC-H date and key.
    pub(crate) fn of(order: &Order<'_>) -> Self {
        Self::from_date_and_key(order.o_orderdate, order.o_orderkey)
    }

    fn from_date_and_key(date: TPCHDate, key: i64) -> Self {
        let number = date.into_inner() * i32::from(DAYS) / ORDER_DATES + 1;
        let on = Day(u8::try_from(number).unwrap_or(DAYS).min(DAYS));
        let late = key % LATE_ONE_IN == LATE_REMAINDER && on.0 < DAYS;
        // A prime spreads the keys, which come in order, over the day.
        Self { on, arrives: Day(on.0 + u8::from(late)), second_of_day: key * 7919 % 86_400 }
    }

    /// Date and time with a separator between them: ` ` or `T`.
    pub(crate) fn timestamp(&self, separator: char) -> String {
        let (hour, minute, second) = (self.second_of_day / 3600, self.second_of_day / 60 % 60, self.second_of_day % 60);
        format!("{}{separator}{hour:02}:{minute:02}:{second:02}", self.on)
    }
}

#[cfg(test)]
mod tests {
    use tpchgen::dates::MIN_GENERATE_DATE;

    use super::*;

    #[test]
    fn the_fortnight_begins_and_ends_with_tpch() {
        let first = Placed::from_date_and_key(TPCHDate::new(MIN_GENERATE_DATE), 1);
        assert_eq!(first.timestamp(' '), "2026-11-01 02:11:59");
        let last = Placed::from_date_and_key(TPCHDate::new(MIN_GENERATE_DATE + ORDER_DATES - 1), 2);
        assert_eq!(last.timestamp('T'), "2026-11-14T04:23:58");
        assert_eq!(last.arrives, Day(14));
    }

    #[test]
    fn some_orders_arrive_a_day_late_but_never_after_the_last_day() {
        let late = Placed::from_date_and_key(TPCHDate::new(MIN_GENERATE_DATE), 57);
        assert_eq!((late.on, late.arrives), (Day(1), Day(2)));
        let last_day = Placed::from_date_and_key(TPCHDate::new(MIN_GENERATE_DATE + ORDER_DATES - 1), 57);
        assert_eq!(last_day.arrives, Day(14));
    }

    #[test]
    fn days_pass_the_end_of_a_month() {
        assert_eq!(Day(14).plus(20).to_string(), "2026-12-04");
    }
}
