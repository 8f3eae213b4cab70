//! `raw/order_lines`: one JSON-lines file a day, in a folder for the day.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tpchgen::generators::{LineItem, Order};

use crate::calendar::{Day, Placed};

/// One day's order lines.
pub(crate) struct LineFile {
    out: BufWriter<File>,
}

impl LineFile {
    pub(crate) fn create(raw: &Path, day: Day) -> io::Result<Self> {
        Ok(Self { out: crate::create(&raw.join(format!("order_lines/dt={day}/lines.jsonl")))? })
    }

    /// Writes one line of an order. Its dates keep their distance from the order's date.
    pub(crate) fn write(&mut self, line: &LineItem<'_>, order: &Order<'_>, placed: &Placed) -> io::Result<()> {
        let after_order = |date: i32| placed.on.plus(date - order.o_orderdate.into_inner());
        let (order_id, number) = (line.l_orderkey, line.l_linenumber);
        write!(
            self.out,
            r#"{{"order_id":{order_id},"line":{number},"ordered_at":"{}","part_id":{},"supplier_id":{},"quantity":{},"#,
            placed.timestamp('T'),
            line.l_partkey,
            line.l_suppkey,
            line.l_quantity,
        )?;
        write!(
            self.out,
            r#""price":{},"discount":{},"tax":{},"return_flag":"{}","#,
            line.l_extendedprice, line.l_discount, line.l_tax, line.l_returnflag,
        )?;
        write!(
            self.out,
            r#""shipping":{{"mode":"{}","instructions":"{}","promised_on":"{}","shipped_on":"{}"}},"#,
            line.l_shipmode,
            line.l_shipinstruct,
            after_order(line.l_commitdate.into_inner()),
            after_order(line.l_shipdate.into_inner()),
        )?;
        write!(self.out, r#""hubs":{},"tags":{}"#, hubs(line), tags(line))?;
        // The note is there, null or missing, as the field of a schemaless source is.
        match (order_id + i64::from(number)) % 8 {
            0 => write!(self.out, r#","note":{:?}"#, line.l_comment)?,
            1..=3 => write!(self.out, r#","note":null"#)?,
            _ => {}
        }
        writeln!(self.out, "}}")
    }

    pub(crate) fn close(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The warehouses that the goods pass, as a JSON list.
fn hubs(line: &LineItem<'_>) -> String {
    match line.l_quantity % 3 {
        0 => format!("[{}]", line.l_suppkey % 20),
        1 => format!("[{},{}]", line.l_suppkey % 20, line.l_partkey % 20),
        _ => format!("[{},{},{}]", line.l_suppkey % 20, line.l_partkey % 20, line.l_orderkey % 20),
    }
}

/// Labels, as a JSON list that may be empty.
fn tags(line: &LineItem<'_>) -> &'static str {
    match (line.l_quantity > 40, line.l_discount.into_inner() >= 8) {
        (true, true) => r#"["bulk","bargain"]"#,
        (true, false) => r#"["bulk"]"#,
        (false, true) => r#"["bargain"]"#,
        (false, false) => "[]",
    }
}
