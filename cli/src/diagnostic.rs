//! Errors as text: the place in the user's own file with a caret, or the object and line.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use transform::{Error, Location};

/// Room that a label after the caret may take; longer help gets a line of its own.
const LABEL: usize = 60;

/// Draws an error.
pub(crate) fn render(error: &Error, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let title = Level::ERROR.primary_title(error.message.as_str()).id(error.code.as_str());
    let mut group = Group::with_title(title);
    let mut help = error.help.as_deref();
    if let Some(at) = &error.at {
        let mut annotation = AnnotationKind::Primary.span(span(at));
        if let Some(short) = help.filter(|help| help.chars().count() <= LABEL) {
            annotation = annotation.label(short);
            help = None;
        }
        // An empty line has nothing to point at but still a place.
        let text = if at.text.is_empty() { " " } else { at.text.as_str() };
        group = group.element(Snippet::source(text).line_start(at.line).path(at.file.as_str()).annotation(annotation));
    }
    if let Some(place) = &error.object {
        let object = shown(&place.object);
        group = match place.line.and_then(|line| usize::try_from(line).ok()) {
            Some(line) => group.element(Origin::path(object).line(line)),
            None => group.element(Origin::path(object)),
        };
    }
    if error.at.is_none()
        && let Some(transform) = &error.transform
    {
        group = group.element(Level::NOTE.message(format!("in the transform `{transform}`")));
    }
    if let Some(help) = help {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group])
}

/// One line for a pull request's annotation, as GitHub's workflow commands have it.
pub(crate) fn github(error: &Error) -> String {
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let place = error.at.as_ref().map_or_else(String::new, |at| {
        let file = escape(&at.file).replace(',', "%2C").replace(':', "%3A");
        format!("file={file},line={},col={},endColumn={},", at.line, at.column, at.column + at.length)
    });
    let help = error.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
    format!("::error {place}title={}::{}{}", error.code, escape(&error.message), escape(&help))
}

/// A URL of a local file as a path from the current folder, where it lies below it.
fn shown(object: &str) -> String {
    let Some(path) = object.strip_prefix("file://") else { return object.to_owned() };
    let here = std::env::current_dir().ok();
    let below =
        here.and_then(|here| std::path::Path::new(path).strip_prefix(here).ok().map(|path| path.display().to_string()));
    below.unwrap_or_else(|| path.to_owned())
}

/// Byte range of the marked characters in their line.
fn span(at: &Location) -> std::ops::Range<usize> {
    let offset = |characters: usize| at.text.char_indices().nth(characters).map_or(at.text.len(), |(index, _)| index);
    let start = offset(at.column - 1);
    start..offset(at.column - 1 + at.length).max(start)
}
