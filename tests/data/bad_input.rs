//! Input that is wrong or odd: the error that it gives, what readers see meanwhile, and the rows once it is mended.

mod compressed;
mod full_disk;
mod header;
mod names;
mod parquet;
mod partitions;
mod read_only;
mod sql;
mod text;

use crate::project::Project;

pub(crate) use names::NAMES;

/// The transform of most tests: every row of `raw.items` as it is.
const COPY: &str = "SELECT id, name FROM raw.items";

/// What a run must say about a bad object.
struct Says<'a> {
    code: &'a str,
    parts: &'a [&'a str],
}

/// A project with `marts.copy` over `raw.items`.
fn copying() -> Project {
    Project::new(&[("marts/copy", COPY)])
}

/// The life of an object that arrives broken beside good ones: the run fails as it should and changes nothing, also when it is
/// tried again; once the object is mended, exactly the right rows are there, also after more runs.
///
/// `good` and `mended` come with their rows.
#[track_caller]
fn broken_then_mended(good: (&str, &[u8], &[&str]), name: &str, broken: &[u8], says: &Says, mended: (&[u8], &[&str])) {
    let project = copying();
    project.put(&format!("raw/items/{}", good.0), good.1);
    project.run().clean();
    assert_eq!(project.rows("marts.copy"), sorted(&[good.2]), "before");
    let visible = project.visible("marts");

    project.put(&format!("raw/items/{name}"), broken);
    for attempt in ["first", "second"] {
        project.run().fails(says.code, says.parts);
        assert_eq!(project.rows("marts.copy"), sorted(&[good.2]), "after the {attempt} failed run");
        assert_eq!(project.visible("marts"), visible, "a failed run left files that readers see");
    }

    project.put(&format!("raw/items/{name}"), mended.0);
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[good.2, mended.1]), "after mending");
    let files = project.visible("marts").len();
    assert_eq!(files, project.table("marts.copy").files, "files that no catalog location holds");
}

/// A table whose only object is broken has nothing to create it from; once mended, it is there.
#[track_caller]
fn alone_then_mended(name: &str, broken: &[u8], says: &Says, mended: (&[u8], &[&str])) {
    let project = copying();
    project.put(&format!("raw/items/{name}"), broken);
    project.run().fails(says.code, says.parts);
    assert!(project.visible("marts").is_empty(), "a failed run left files that readers see");

    project.put(&format!("raw/items/{name}"), mended.0);
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[mended.1]), "after mending");
}

fn sorted(parts: &[&[&str]]) -> Vec<String> {
    let mut rows: Vec<String> = parts.iter().flat_map(|part| part.iter().map(|row| (*row).to_owned())).collect();
    rows.sort();
    rows
}
