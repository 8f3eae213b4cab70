//! Whatever comes, nothing panics, and what is refused is refused with the one code.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value};
use transform::Code;

use super::super::*;
use super::{bodies, samples};

/// Parses, and checks what holds for any input.
fn check(body: &str) {
    match parse(body) {
        Ok(messages) => {
            assert!(!messages.is_empty(), "every message is about something: {body}");
            let objects = messages.iter().filter_map(|message| match message {
                Message::Object(event) => Some(event.clone()),
                _ => None,
            });
            let objects: Vec<ObjectEvent> = objects.collect();
            assert!(
                objects.iter().all(|event| event.keys.all().all(|key| !key.is_empty()) && !event.bucket.is_empty())
            );
            assert!(newest(objects.clone()).len() <= objects.len());
            for event in &objects {
                let refused = expected(event, &[], None).expect_err("no bucket is configured");
                assert!(refused.to_string().len() < 4000);
            }
        }
        Err(error) => {
            assert_eq!(error.code, Code::BadEvent);
            assert!(error.message.len() < 2000 && !error.message.contains('\n'), "{}", error.message);
        }
    }
}

fn any_body() -> impl Strategy<Value = String> {
    let all: Vec<String> = samples().iter().flat_map(|name| bodies(name)).collect();
    prop::sample::select(all)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "+",
            "%",
            "%2",
            "%ff",
            "%F0%9F%A6%80",
            "\u{0}",
            "aws:s3",
            "2.1",
            "unglue",
            "0",
            "null"
        ])
        .prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "Records",
        "source",
        "detail-type",
        "detail",
        "version",
        "s3",
        "object",
        "key",
        "Type",
    ]);
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..4)
                .prop_map(|fields| fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<Map<_, _>>())
                .prop_map(Value::from),
        ]
    })
}

/// The pointers to all values below a value.
fn pointers(value: &Value, here: &str, found: &mut Vec<String>) {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    let children: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (escaped(name), field)).collect(),
        _ => return,
    };
    for (name, child) in children {
        let pointer = format!("{here}/{name}");
        pointers(child, &pointer, found);
        found.push(pointer);
    }
}

/// Characters put in, taken out or doubled.
fn edited(body: &str, edits: &[(Index, u8, char)]) -> String {
    let mut characters: Vec<char> = body.chars().collect();
    for (place, how, character) in edits {
        let at = place.index(characters.len() + 1);
        match how % 4 {
            0 => characters.insert(at, *character),
            1 => characters.truncate(at),
            2 if at < characters.len() => characters[at] = *character,
            _ if at < characters.len() => drop(characters.remove(at)),
            _ => {}
        }
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_text(body in any::<String>()) {
        check(&body);
    }

    #[test]
    fn any_value(value in any_json()) {
        check(&value.to_string());
    }

    #[test]
    fn samples_with_other_characters(
        body in any_body(),
        edits in prop::collection::vec((any::<Index>(), any::<u8>(), prop_oneof!["[{}\\[\\]\",:\\\\0-9%+]", any::<char>().prop_map(String::from)]
            .prop_map(|text| text.chars().next().unwrap_or('x'))), 1..4),
    ) {
        check(&edited(&body, &edits));
    }

    /// Still JSON, with one value replaced by another or taken away.
    #[test]
    fn samples_with_another_value(body in any_body(), place in any::<Index>(), other in prop::option::of(any_json())) {
        let Ok(mut event) = serde_json::from_str::<Value>(&body) else { return Ok(()) };
        let mut places = Vec::new();
        pointers(&event, "", &mut places);
        let pointer = &places[place.index(places.len())];
        match other {
            Some(other) => *event.pointer_mut(pointer).expect("a place") = other,
            None => {
                let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
                match event.pointer_mut(parent).expect("a parent") {
                    Value::Object(fields) => drop(fields.remove(name)),
                    Value::Array(items) => drop(items.pop()),
                    _ => {}
                }
            }
        }
        check(&event.to_string());
    }

    /// Whatever the key, the true one is among the candidates, and S3's own encoding gives exactly it.
    #[test]
    fn any_key(key in "\\PC{1,60}") {
        let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
        let record = serde_json::json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "b"}, "object": {"key": encoded}},
        }]});
        let messages = parse(&record.to_string()).expect("a notification");
        let [Message::Object(event)] = &messages[..] else { panic!("{messages:?}") };
        prop_assert_eq!(event.keys.certain(), Some(key.as_str()));
        for sent in [&key, &encoded] {
            let bridged = serde_json::json!({"source": "aws.s3", "detail-type": "Object Created",
                "detail": {"bucket": {"name": "b"}, "object": {"key": sent}}});
            let messages = parse(&bridged.to_string()).expect("an event");
            let [Message::Object(event)] = &messages[..] else { panic!("{messages:?}") };
            prop_assert!(event.keys.all().any(|candidate| candidate == key));
        }
    }
}
