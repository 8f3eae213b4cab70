//! Suggestions for misspelt names.

/// The candidate that a misspelt name most likely meant, if one is near: it differs in letter case only, or in at most
/// a third of its letters.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let lower = candidate.to_lowercase();
        let distance = strsim::damerau_levenshtein(&wanted, &lower);
        let longest = wanted.chars().count().max(lower.chars().count());
        let near = distance <= (longest / 3).max(1) && distance < longest;
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant() {
        let columns = ["customer_id", "order_id", "amount"];
        assert_eq!(nearest("custmer_id", columns), Some("customer_id"));
        assert_eq!(nearest("AMOUNT", columns), Some("amount"));
        assert_eq!(nearest("FORM", ["WHERE", "FROM"]), Some("FROM"), "two letters swapped are one mistake");
        assert_eq!(nearest("shipping_address", columns), None);
        assert_eq!(nearest("a", ["b"]), None, "a name of one letter has nothing in common with another");
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn prefers_the_same_letters() {
        assert_eq!(nearest("Dats", ["data", "dats"]), Some("dats"));
    }
}
