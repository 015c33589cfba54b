//! What verbs print with `--json` is what docs/schema says, and nothing that it does not say.

use crate::support::{gdump, gdump_ok, scratch, text, tiny};
use serde_json::{Map, Value};
use std::path::Path;

/// The schema NAME.json, in which no object may have a field that is not named: readers must take such, the program must
/// not have them without a line in the schema.
pub fn schema(name: &str) -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schema/{name}.json"));
    let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    close(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.get("properties").is_some_and(Value::is_object) && is_schema(fields) {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// A schema, rather than a field that is called "properties".
fn is_schema(fields: &Map<String, Value>) -> bool {
    fields.get("type").is_some_and(|kind| kind == "object")
}

/// Holds one JSON object against the schema.
pub fn holds(name: &str, json: &str) {
    let value: Value = serde_json::from_str(json).unwrap();
    let schema = schema(name);
    let wrong: Vec<String> =
        schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{name}.json: {wrong:#?}\n{json}");
}

#[test]
fn a_field_too_many_or_of_another_type_is_seen() {
    let dir = scratch();
    let out = dir.path().join("out");
    gdump_ok(&["-c", "-d", "31", text(&tiny().vmcore), text(&out)]);
    let json = gdump_ok(&["check", "--json", text(&out)]);
    let mut value: Value = serde_json::from_str(&json).unwrap();
    assert!(schema("check").is_valid(&value));
    value["pages"][0]["more"] = Value::from(1);
    assert!(!schema("check").is_valid(&value), "a field that no schema names");
    let mut value: Value = serde_json::from_str(&json).unwrap();
    value["sound"] = Value::from("yes");
    assert!(!schema("check").is_valid(&value), "a string for a boolean");
    let mut value: Value = serde_json::from_str(&json).unwrap();
    value.as_object_mut().unwrap().remove("damage");
    assert!(!schema("check").is_valid(&value), "a field that is gone");
}

#[test]
fn info_check_and_estimate() {
    let dir = scratch();
    let (vmcore, out) = (text(&tiny().vmcore), dir.path().join("out"));
    gdump_ok(&["-c", "-d", "31", vmcore, text(&out)]);
    for file in [vmcore, text(&out)] {
        holds("info", &gdump_ok(&["info", "--json", file]));
        holds("check", &gdump_ok(&["check", "--json", file]));
    }
    holds("estimate", &gdump_ok(&["estimate", "--json", vmcore]));
    holds("estimate", &gdump_ok(&["estimate", "--json", "--free", "4M", vmcore]));
    holds("estimate", &gdump_ok(&["estimate", "--json", "--free", "1M", vmcore]));
    std::fs::write(&out, &std::fs::read(&out).unwrap()[..1 << 20]).unwrap();
    let damaged = gdump(&["check", "--json", text(&out)]);
    assert_eq!(damaged.status.code(), Some(1));
    holds("check", &String::from_utf8(damaged.stdout).unwrap());
}

#[test]
fn diff_counts_by_the_dump_that_has_the_pages() {
    let dir = scratch();
    let (vmcore, out) = (text(&tiny().vmcore), dir.path().join("out"));
    gdump_ok(&["-c", "-d", "31", vmcore, text(&out)]);
    let json = gdump_ok(&["diff", "--json", vmcore, text(&out)]);
    holds("diff", &json);
    let diff: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&diff["same"], &diff["differ"]), (&Value::from(true), &Value::from(0)));
    assert_eq!(diff["only_in"][1], 0, "a filtered dump has no page of its own");
    let info: Value = serde_json::from_str(&gdump_ok(&["info", "--json", text(&out)])).unwrap();
    assert_eq!(diff["equal"], info["held_pages"], "all that the level kept");
    let left_out = [&diff["only_in"][0], &diff["zero_in_one"]].map(|pages| pages.as_u64().unwrap());
    assert!(left_out.iter().all(|pages| *pages > 1000), "{json}");
    let source: Value = serde_json::from_str(&gdump_ok(&["info", "--json", vmcore])).unwrap();
    let all = diff["equal"].as_u64().unwrap() + left_out.iter().sum::<u64>();
    assert_eq!(all, source["held_pages"].as_u64().unwrap());
    let strict = gdump(&["diff", "--json", "--strict", vmcore, text(&out)]);
    assert_eq!(strict.status.code(), Some(1));
    let json = String::from_utf8(strict.stdout).unwrap();
    holds("diff", &json);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["same"], false);
}
