//! `raw/customers` and `raw/countries`: the small tables that orders are enriched from, one CSV file each.

use std::io::{self, Write};
use std::path::Path;

use tpchgen::distribution::Distributions;
use tpchgen::generators::{Customer, CustomerGenerator, NationGenerator, RegionGenerator};
use tpchgen::text::TextPool;

/// Writes the countries, each with its region.
pub(crate) fn write_countries(raw: &Path, text_pool: &TextPool) -> io::Result<()> {
    let distributions = Distributions::static_default();
    let nations = NationGenerator::new_with_distributions_and_text_pool(distributions, text_pool);
    let regions = RegionGenerator::new_with_distributions_and_text_pool(distributions, text_pool);
    let regions: Vec<_> = regions.iter().collect();
    let mut out = crate::create(&raw.join("countries/countries.csv"))?;
    writeln!(out, "country_id,country,region")?;
    for nation in nations.iter() {
        let region = regions.iter().find(|region| region.r_regionkey == nation.n_regionkey);
        let region = region.map_or(String::new(), |region| title_case(region.r_name));
        writeln!(out, "{},{},{region}", nation.n_nationkey, title_case(nation.n_name))?;
    }
    out.flush()
}

/// Writes the customers.
pub(crate) fn write_customers(raw: &Path, scale: f64, text_pool: &TextPool) -> io::Result<()> {
    let mut out = crate::create(&raw.join("customers/customers.csv"))?;
    writeln!(out, "customer_id,name,segment,country_id,phone,balance,notes")?;
    let distributions = Distributions::static_default();
    let customers = CustomerGenerator::new_with_distributions_and_text_pool(scale, 1, 1, distributions, text_pool);
    for customer in customers.iter() {
        writeln!(
            out,
            "{},\"{}\",{},{},{},{},\"{}\"",
            customer.c_custkey,
            name(&customer),
            segment(&customer),
            customer.c_nationkey,
            customer.c_phone,
            customer.c_acctbal,
            customer.c_comment,
        )?;
    }
    out.flush()
}

/// A name as it stands between CSV quotes, some with commas and doubled quotes.
fn name(customer: &Customer<'_>) -> String {
    let key = customer.c_custkey;
    match key % 10 {
        0 => format!("Customer {key}, Ltd."),
        1 => format!("The \"\"{key}\"\" Company"),
        _ => format!("Customer {key}"),
    }
}

/// The market segment, typed by hand: in any letter case, with blanks behind it, or left out.
fn segment(customer: &Customer<'_>) -> String {
    let segment = customer.c_mktsegment;
    match customer.c_custkey % 60 {
        0 => String::new(),
        key if key % 4 == 1 => title_case(segment),
        key if key % 4 == 2 => segment.to_lowercase(),
        key if key % 4 == 3 => format!("{segment}  "),
        _ => segment.to_owned(),
    }
}

/// `MIDDLE EAST` as `Middle East`.
fn title_case(text: &str) -> String {
    let mut previous = ' ';
    text.chars()
        .map(|letter| {
            let written = if previous == ' ' { letter } else { letter.to_ascii_lowercase() };
            previous = letter;
            written
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::title_case;

    #[test]
    fn title_case_keeps_the_first_letter_of_each_word() {
        assert_eq!(title_case("MIDDLE EAST"), "Middle East");
        assert_eq!(title_case("ASIA"), "Asia");
    }
}
