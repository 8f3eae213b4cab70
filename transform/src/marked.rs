//! Wrong files whose expected errors are marked in the text: `-- «@partiton»: x`.

use crate::error::Error;
use crate::project::Project;

/// Line, column and length in characters, and code.
pub(crate) type Mark = (usize, usize, usize, String);

/// The text without marks, and what each of them covers, a mark over several lines up to the end of its first.
pub(crate) fn unmark(marked: &str) -> (String, Vec<(usize, usize, usize)>) {
    let mut text = String::new();
    let mut marks = Vec::new();
    let (mut line, mut column) = (1, 1);
    let mut open: Option<(usize, usize, usize)> = None;
    for c in marked.chars() {
        match c {
            '«' => open = Some((line, column, 0)),
            '»' => marks.extend(open.take()),
            // A byte order mark is no character of the text.
            '\u{feff}' => text.push(c),
            _ => {
                if let Some(mark) = &mut open
                    && mark.0 == line
                    && c != '\r'
                    && c != '\n'
                {
                    mark.2 += 1;
                }
                (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
                text.push(c);
            }
        }
    }
    assert!(open.is_none(), "a mark is not closed: {marked}");
    (text, marks)
}

/// Parses a project of one marked file at a path.
pub(crate) fn parse_marked(path: &str, marked: &str) -> (Project, Vec<Error>, Vec<(usize, usize, usize)>) {
    let (text, marks) = unmark(marked);
    let (project, errors) = Project::parse(vec![(path.to_owned(), text.into_bytes())]);
    (project, errors, marks)
}

/// Asserts that each SQL file has exactly the marked errors, with these codes in order of appearance.
pub(crate) fn assert_wrong(files: &[(&str, &[&str])]) {
    let differences: Vec<String> = files.iter().filter_map(|(marked, codes)| difference(marked, codes)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

fn difference(marked: &str, codes: &[&str]) -> Option<String> {
    let (project, errors, marks) = parse_marked("sql/sales/orders.sql", marked);
    assert_eq!(marks.len(), codes.len(), "as many marks as codes: {marked}");
    for error in &errors {
        assert_eq!(error.transform.as_deref(), Some("sales.orders"));
        assert!(error.help.is_some(), "{error} does not say what to do");
        assert!(!error.message.ends_with('.') && !error.message.starts_with(char::is_uppercase), "{error}");
    }
    let place = |((line, column, length), code): (_, &&str)| (line, column, length, (*code).to_owned());
    let expected: Vec<Mark> = marks.into_iter().zip(codes).map(place).collect();
    let found: Vec<Mark> = errors.iter().map(mark).collect();
    let is_known = project.transforms().is_empty() && project.broken().len() == 1;
    if found == expected && is_known {
        return None;
    }
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Some(format!("in: {marked}\nexpected {expected:?}\nfound    {found:?}\n{}", messages.join("\n")))
}

/// Place and code of an error.
pub(crate) fn mark(error: &Error) -> Mark {
    let at = error.at.as_ref().unwrap();
    (at.line, at.column, at.length, error.code.to_string())
}
