//! `unglue init`

use std::fs;
use std::path::Path;

use handlers::words::count;
use transform::{Code, Error, Result};

use super::Verdict;
use crate::args::Args;
use crate::screen::Screen;

macro_rules! files {
    ($($to:literal <- $from:literal),* $(,)?) => {
        /// The small project, as paths below the project's folder.
        const FILES: &[(&str, &str)] = &[$(($to, include_str!(concat!("../../template/", $from)))),*];
    };
}

files! {
    "data/raw/customers/customers.csv" <- "raw/customers/customers.csv",
    "data/raw/orders/orders-2026-11-20.csv" <- "raw/orders/orders-2026-11-20.csv",
    "data/raw/orders/orders-2026-11-21.csv" <- "raw/orders/orders-2026-11-21.csv",
    "sql/marts/customer_value.sql" <- "sql/marts/customer_value.sql",
    "sql/marts/revenue_daily.sql" <- "sql/marts/revenue_daily.sql",
    "sql/sales/orders.sql" <- "sql/sales/orders.sql",
    "sql/sales/orders.test/a_negative_amount_is_refused/expect.error" <- "sql/sales/orders.test/a_negative_amount_is_refused/expect.error",
    "sql/sales/orders.test/a_negative_amount_is_refused/raw.orders.csv" <- "sql/sales/orders.test/a_negative_amount_is_refused/raw.orders.csv",
    "sql/sales/orders.test/cleaned_and_enriched/expect.csv" <- "sql/sales/orders.test/cleaned_and_enriched/expect.csv",
    "sql/sales/orders.test/cleaned_and_enriched/raw.orders.csv" <- "sql/sales/orders.test/cleaned_and_enriched/raw.orders.csv",
    "sql/sales/orders.test/raw.customers.csv" <- "sql/sales/orders.test/raw.customers.csv",
}

/// Writes a small working project. Files that exist are never touched: if there is one, nothing is written.
pub(super) fn init(args: &Args, screen: &mut Screen) -> Result<Verdict> {
    if let Some((file, _)) = FILES.iter().find(|(file, _)| args.project.join(file).exists()) {
        return Err(Error::new(
            Code::Usage,
            format!("`{}` exists already, so nothing was written", args.project.join(file).display()),
        )
        .help("name an empty folder with `--project`"));
    }
    if args.project.exists() && !args.project.is_dir() {
        return Err(Error::new(Code::Usage, format!("`{}` is not a folder", args.project.display()))
            .help("name an empty folder with `--project`"));
    }
    for (file, text) in FILES {
        write(&args.project.join(file), text)?;
        screen.line(*file);
    }
    screen.note(format!("{} written; now try `unglue test` and `unglue run`", count(FILES.len() as u64, "file")));
    Ok(Verdict::Clean)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let unwritable = |error: std::io::Error| {
        Error::new(Code::PermissionDenied, format!("`{}` cannot be written: {error}", path.display()))
            .help("name a folder that may be written with `--project`")
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unwritable)?;
    }
    fs::write(path, text).map_err(unwritable)
}
