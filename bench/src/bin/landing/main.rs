//! Writes the sample data of the demo: a fortnight of a shop's files, as they would land in a bucket.
//!
//! The rows are TPC-H's, so their shape and size are realistic and the same on every machine. Their dates are moved to
//! 2026-11-01 .. 2026-11-14, and they get the blemishes of real data: values in mixed case, empty fields, unknown customers,
//! orders that arrive a day late, a file format whose column order changes half-way.
//!
//! ```text
//! DIR/raw/countries/countries.csv
//!         customers/customers.csv
//!         orders/orders-2026-11-01.csv.gz          one a day
//!         order_lines/dt=2026-11-01/lines.jsonl    one a day
//! ```

mod calendar;
mod lines;
mod lookups;
mod orders;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Parser;
use tpchgen::distribution::Distributions;
use tpchgen::generators::{LineItemGenerator, OrderGenerator};
use tpchgen::text::TextPool;

use crate::calendar::{DAYS, Day, Placed};
use crate::lines::LineFile;
use crate::orders::OrderFile;

/// Size of the pool that TPC-H's comments are cut from, bytes. TPC-H itself takes 300 MB, which takes seconds to fill.
const TEXT_POOL: i32 = 4 << 20;

/// Writes the demo's landing data.
#[derive(Parser)]
struct Arguments {
    /// Folder to write to; its subfolder `raw` is created where missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the first N days of the fortnight
    #[arg(long, value_name = "N", default_value_t = DAYS, value_parser = clap::value_parser!(u8).range(1..=DAYS as i64))]
    days: u8,
    /// TPC-H scale factor: 1 is 1.5 million orders
    #[arg(long, value_name = "FACTOR", default_value_t = 0.05)]
    scale: f64,
    /// Write the order and line files of day N only
    #[arg(long, value_name = "N", conflicts_with = "days", value_parser = clap::value_parser!(u8).range(1..=DAYS as i64))]
    only_day: Option<u8>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match write(&arguments).and_then(|summary| writeln!(io::stdout(), "{summary}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if not even standard error can be written.
            let _ = writeln!(io::stderr(), "error: cannot write to {}: {error}", arguments.out.display());
            ExitCode::FAILURE
        }
    }
}

/// Writes all files and says what was written.
fn write(arguments: &Arguments) -> io::Result<String> {
    let raw = arguments.out.join("raw");
    let text_pool = TextPool::new(TEXT_POOL, Distributions::static_default());
    let wanted: Vec<Day> = match arguments.only_day {
        Some(day) => vec![Day::new(day)],
        None => (1..=arguments.days).map(Day::new).collect(),
    };
    if arguments.only_day.is_none() {
        lookups::write_countries(&raw, &text_pool)?;
        lookups::write_customers(&raw, arguments.scale, &text_pool)?;
    }

    let mut days = wanted.iter().map(|day| DayFiles::create(&raw, *day)).collect::<io::Result<Vec<_>>>()?;
    let (distributions, scale) = (Distributions::static_default(), arguments.scale);
    let order_rows = OrderGenerator::new_with_distributions_and_text_pool(scale, 1, 1, distributions, &text_pool);
    let line_rows = LineItemGenerator::new_with_distributions_and_text_pool(scale, 1, 1, distributions, &text_pool);

    let (mut order_count, mut line_count) = (0_u64, 0_u64);
    let mut line_rows = line_rows.iter().peekable();
    for order in order_rows.iter() {
        let placed = Placed::of(&order);
        let mut files = days.iter_mut().find(|files| files.day == placed.arrives);
        if let Some(files) = &mut files {
            files.orders.write(&order, &placed)?;
            order_count += 1;
        }
        while let Some(line) = line_rows.next_if(|line| line.l_orderkey == order.o_orderkey) {
            if let Some(files) = &mut files {
                files.lines.write(&line, &order, &placed)?;
                line_count += 1;
            }
        }
    }
    for files in days {
        files.orders.close()?;
        files.lines.close()?;
    }
    Ok(format!("{} day(s), {order_count} orders, {line_count} order lines in {}", wanted.len(), raw.display()))
}

/// The files that arrive on one day.
struct DayFiles {
    day: Day,
    orders: OrderFile,
    lines: LineFile,
}

impl DayFiles {
    fn create(raw: &Path, day: Day) -> io::Result<Self> {
        Ok(Self { day, orders: OrderFile::create(raw, day)?, lines: LineFile::create(raw, day)? })
    }
}

/// Creates a file together with the folders above it.
fn create(path: &Path) -> io::Result<io::BufWriter<fs::File>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(io::BufWriter::new(fs::File::create(path)?))
}
