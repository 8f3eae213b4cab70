//! Whether an event is about what this deployment looks after.

use transform::Result;

use super::object::ObjectEvent;
use super::{bad, shown};

/// Refuses an event of another bucket, or of a bucket of another account. Not every event says the account.
///
/// # Errors
/// [`Code::BadEvent`](transform::Code::BadEvent).
pub fn expected(event: &ObjectEvent, buckets: &[String], account: Option<&str>) -> Result<()> {
    let object = || format!("s3://{}/{}", shown(&event.bucket), event.keys.all().next().map(shown).unwrap_or_default());
    if !buckets.contains(&event.bucket) {
        let known = if buckets.is_empty() { "none".to_owned() } else { format!("`{}`", buckets.join("`, `")) };
        let message = format!("the bucket `{}` is not one of those configured: {known}", shown(&event.bucket));
        return Err(bad(message).in_object(object(), None).help(
            "correct the rule or notification that sends it, or add the bucket to the settings of the function",
        ));
    }
    match (event.account.as_deref(), account) {
        (Some(owner), Some(account)) if owner != account => {
            let message = format!(
                "the bucket `{}` belongs to the account `{}`, not to `{account}`",
                shown(&event.bucket),
                shown(owner)
            );
            Err(bad(message)
                .in_object(object(), None)
                .help("correct the rule that sends it, or the account in the settings of the function"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use transform::{Code, Kind};

    use super::super::tests::created;
    use super::*;

    #[test]
    fn other_buckets_and_accounts_are_refused() {
        let buckets = ["landing".to_owned(), "other".to_owned()];
        let mut event = created("a.csv");
        event.bucket = "landing".into();
        event.account = Some("111122223333".into());
        assert!(expected(&event, &buckets, Some("111122223333")).is_ok());
        assert!(expected(&event, &buckets, None).is_ok());

        let error = expected(&event, &buckets, Some("999999999999")).expect_err("another account");
        assert_eq!((error.code, error.kind()), (Code::BadEvent, Kind::Data));
        assert!(error.to_string().contains("`111122223333`, not to `999999999999`"), "{error}");

        event.account = None;
        assert!(expected(&event, &buckets, Some("999999999999")).is_ok(), "notifications do not say the account");

        event.bucket = "foreign".into();
        let error = expected(&event, &buckets, None).expect_err("another bucket");
        assert!(error.to_string().contains("`foreign` is not one of those configured: `landing`, `other`"), "{error}");
        assert!(error.to_string().contains("(s3://foreign/a.csv)"), "{error}");
        assert!(expected(&event, &[], None).is_err());
    }
}
