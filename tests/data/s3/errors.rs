//! What is said about buckets that cannot be used.

use super::remote;
use crate::project::Project;

#[test]
fn wrong_credentials_and_missing_buckets() {
    let Some(remote) = remote("errors") else { return };
    let project = Project::on(&remote, &[("marts/copy", "SELECT id FROM raw.items")]);
    project.put("raw/items/1.csv", "id\n1\n");

    for (name, value) in [("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_ACCESS_KEY_ID", "nobody")] {
        let ended = crate::project::Ended::of(project.command(&["run"]).env(name, value).output().unwrap());
        let ended = ended.fails("permission-denied", &["s3://test/errors", "credentials"]);
        assert!(!ended.stderr.contains('<'), "a server's XML is no message: {ended}");
    }

    project.unglue(&["run", "--data", "s3://no-such-bucket/errors"]).fails("not-found", &["no-such-bucket"]);
    project.unglue(&["run", "--data", "gs://test/errors"]).fails("usage", &["gs"]);

    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), ["1"]);
}
