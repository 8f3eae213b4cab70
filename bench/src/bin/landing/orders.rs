//! `raw/orders`: one gzipped CSV file a day.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tpchgen::generators::{Order, OrderStatus};

use crate::calendar::{Day, Placed};

/// From this day on the exporting system writes its columns in another order.
const NEW_COLUMN_ORDER_FROM: u8 = 8;

/// One day's orders.
pub(crate) struct OrderFile {
    out: GzEncoder<BufWriter<File>>,
    new_column_order: bool,
}

impl OrderFile {
    pub(crate) fn create(raw: &Path, day: Day) -> io::Result<Self> {
        let file = crate::create(&raw.join(format!("orders/orders-{day}.csv.gz")))?;
        let mut out = GzEncoder::new(file, Compression::default());
        let new_column_order = day.number() >= NEW_COLUMN_ORDER_FROM;
        let header = if new_column_order {
            "order_id,ordered_at,customer_id,status,total_price,clerk,priority,comment"
        } else {
            "order_id,customer_id,status,total_price,ordered_at,priority,clerk,comment"
        };
        writeln!(out, "{header}")?;
        Ok(Self { out, new_column_order })
    }

    pub(crate) fn write(&mut self, order: &Order<'_>, placed: &Placed) -> io::Result<()> {
        let key = order.o_orderkey;
        let customer = customer_of(order);
        let status = status_of(order);
        let priority = if key % 40 == 3 { "" } else { order.o_orderpriority };
        let (price, clerk, comment) = (order.o_totalprice, order.o_clerk, order.o_comment);
        let ordered_at = placed.timestamp(' ');
        if self.new_column_order {
            writeln!(self.out, "{key},{ordered_at},{customer},{status},{price},{clerk},{priority},\"{comment}\"")
        } else {
            writeln!(self.out, "{key},{customer},{status},{price},{ordered_at},{priority},{clerk},\"{comment}\"")
        }
    }

    pub(crate) fn close(self) -> io::Result<()> {
        self.out.finish()?.flush()
    }
}

/// The customer's number, as text: now and then one that is not in the customer file, or none.
fn customer_of(order: &Order<'_>) -> String {
    match order.o_orderkey % 500 {
        6 => String::new(),
        7 => (order.o_custkey + 90_000_000).to_string(),
        _ => order.o_custkey.to_string(),
    }
}

/// The status as three systems write it.
fn status_of(order: &Order<'_>) -> &'static str {
    let spellings = match order.o_orderstatus {
        OrderStatus::Open => ["open", "Open", "OPEN "],
        OrderStatus::Fulfilled => ["filled", "Filled", "FILLED "],
        OrderStatus::Pending => ["partial", "Partial", "PARTIAL "],
    };
    match order.o_orderkey % 10 {
        0 => spellings[2],
        1 | 2 => spellings[1],
        _ => spellings[0],
    }
}
