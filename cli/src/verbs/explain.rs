//! `unglue explain CODE`

use transform::{Code, Error, Result};

use super::Verdict;
use crate::screen::Screen;

/// Prints what a code means; without one, all codes with their first sentence.
pub(super) fn explain(code: Option<&str>, screen: &mut Screen) -> Result<Verdict> {
    let Some(text) = code else {
        for code in Code::ALL {
            let first = code.explanation().lines().next().unwrap_or_default();
            screen.line(format!("{:<24} {first}", code.as_str()));
        }
        return Ok(Verdict::Clean);
    };
    let Some(code) = Code::parse(text) else {
        let near = transform::nearest(text, Code::ALL.iter().map(|code| code.as_str()));
        let help = near.map_or_else(
            || "`unglue explain` lists all codes".to_owned(),
            |near| format!("did you mean `{near}`? `unglue explain` lists all codes"),
        );
        return Err(Error::new(Code::Usage, format!("`{text}` is not an error code")).help(help));
    };
    screen.line(format!("{code}\n\n{}", code.explanation()));
    Ok(Verdict::Clean)
}
