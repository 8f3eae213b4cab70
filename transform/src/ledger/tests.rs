use super::*;
use crate::arrival::gone;
use crate::receipt::ReceiptInput;

fn claim(object: &str, version: &str, generation: u32) -> ClaimName {
    let input = ReceiptInput { object: object.into(), etag: None, version: Some(version.into()), bytes: 1 };
    ClaimName { arrival: ArrivalId::of(&input), generation }
}

/// The arrival alone.
fn arrival(object: &str, version: &str) -> ArrivalId {
    claim(object, version, 0).arrival
}

fn claims(names: &[ClaimName]) -> Claims {
    Claims::of(names.iter().cloned())
}

/// What an arrival replaces, in order.
fn replaced(claims: &Claims, object: &str, version: &str) -> Vec<ClaimName> {
    let mut names: Vec<ClaimName> = claims.replaced_by(&arrival(object, version)).cloned().collect();
    names.sort();
    names
}

fn sorted(names: &[ClaimName]) -> Vec<ClaimName> {
    let mut names = names.to_vec();
    names.sort();
    names
}

/// `t/a` went from `x` to `y` and back; beside it lies `t/b`, in another folder `u/a`.
fn there_and_back() -> [ClaimName; 5] {
    [claim("t/a", "y", 1), claim("t/a", "x", 2), claim("t/a", "x", 0), claim("t/b", "z", 0), claim("u/a", "x", 0)]
}

#[test]
fn the_newest_claim_of_an_object_counts() {
    let claims = claims(&there_and_back());
    for (object, version, is_newest) in [
        ("t/a", "x", true),
        ("t/a", "y", false),
        ("t/a", "w", false),
        ("t/b", "z", true),
        ("t/b", "x", false),
        ("t/c", "x", false),
        ("v/a", "x", false),
    ] {
        assert_eq!(claims.is_newest(&arrival(object, version)), is_newest, "{object} {version}");
    }
}

#[test]
fn claims_are_numbered_by_object() {
    let claims = claims(&there_and_back());
    // One that is the newest has its number; any other would be the next.
    for (object, version, generation) in
        [("t/a", "x", 2), ("t/a", "y", 3), ("t/a", "w", 3), ("t/b", "z", 0), ("t/b", "x", 1), ("t/c", "x", 0)]
    {
        assert_eq!(claims.generation_of(&arrival(object, version)), generation, "{object} {version}");
    }
    assert!(there_and_back().iter().all(|name| claims.contains(name)));
    assert!(!claims.contains(&claim("t/a", "x", 1)) && !claims.contains(&claim("t/c", "x", 0)));
}

#[test]
fn an_object_replaces_its_versions_and_a_folder_all_in_it() {
    let [y, x_again, x, b, _] = there_and_back();
    let known = claims(&there_and_back());
    assert_eq!(replaced(&known, "t/a", "w"), sorted(&[x.clone(), y.clone(), x_again.clone()]));
    assert_eq!(replaced(&known, "t/a", "x"), sorted(std::slice::from_ref(&y)), "not itself");
    assert_eq!(replaced(&known, "t/a", "y"), sorted(&[x.clone(), y.clone(), x_again.clone()]), "it comes once more");
    assert_eq!(replaced(&known, "t/", "run"), sorted(&[x.clone(), y.clone(), x_again.clone(), b.clone()]));
    assert_eq!(replaced(&known, "v/", "run"), Vec::new());
    let with_folder = claims(&[&there_and_back()[..], &[claim("t/", "run", 0)]].concat());
    assert_eq!(replaced(&with_folder, "t/", "run"), sorted(&[x, y, x_again, b]), "not itself");
}

#[test]
fn a_folder_has_gone_when_that_is_its_newest_claim() {
    let gone = ClaimName { arrival: ArrivalId::of(&gone("t/")), generation: 1 };
    let is_gone = |names: &[ClaimName]| claims(names).is_gone(&gone.arrival.folder);
    assert!(is_gone(&[gone.clone(), claim("t/", "run", 0), claim("t/a", "x", 0)]));
    assert!(!is_gone(&[gone.clone(), claim("t/", "run", 0), claim("t/", "other", 2)]), "it has come again");
    assert!(!is_gone(&[claim("t/", "run", 0)]));
    assert!(!is_gone(&[claim("t/a", "x", 0)]));
    assert!(!is_gone(&[]));
    let known = claims(&there_and_back());
    let folders: Vec<(&str, &str)> =
        known.folders().map(|(folder, name)| (folder, name.arrival.folder.as_str())).collect();
    let mut expected = [arrival("t/a", "x").folder, arrival("u/a", "x").folder];
    expected.sort();
    assert_eq!(folders, [(&*expected[0], &*expected[0]), (&*expected[1], &*expected[1])], "each with a claim in it");
}

/// Everything that a ledger keeps lies in the hidden folder of its transform, and each run's part in a place of its own.
#[test]
fn places_of_a_run() {
    let bucket = crate::store::Bucket {
        base: "memory://b/".into(),
        store: std::sync::Arc::new(object_store::memory::InMemory::new()),
        multipart: None,
    };
    let root = DataRoot::new(bucket, Path::from("lake"));
    let ledger = Ledger::new(root, &TableName::new("out", "rows").unwrap());
    assert_eq!(ledger.quarantine("r1").unwrap().as_ref(), "lake/_unglue/out/rows/quarantine/r1.jsonl");
    assert_eq!(ledger.staging_folder("r1").unwrap().as_ref(), "lake/_unglue/out/rows/runs/r1/staged");
}
