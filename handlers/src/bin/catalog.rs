//! The function `catalog`: objects arrive, the catalog learns of them.

use std::process::ExitCode;

use handlers::functions::CatalogFunction;
use handlers::start::start;

fn main() -> ExitCode {
    start(CatalogFunction::new, CatalogFunction::call)
}
