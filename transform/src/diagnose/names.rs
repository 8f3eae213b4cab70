//! The nearest of several names.

/// The candidate that a misspelt name most likely meant: at least three letters in five agree.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let near = |candidate: &'a str| {
        let longer = wanted.chars().count().max(candidate.chars().count());
        let distance = strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase());
        (distance < longer && distance <= (longer * 2 / 5).max(1)).then_some((distance, candidate))
    };
    candidates.into_iter().filter_map(near).min().map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_near_names_only() {
        let names = ["customer_id", "order_id", "amount"];
        assert_eq!(nearest("custmer_id", names), Some("customer_id"));
        assert_eq!(nearest("AMOUNT", names), Some("amount"));
        assert_eq!(nearest("cust_id", names), Some("customer_id"));
        assert_eq!(nearest("segment", names), None);
        assert_eq!(nearest("x", ["o", "p"]), None);
    }
}
