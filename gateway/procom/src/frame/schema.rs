//! Holds frames against the published schema, in tests.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../protocol.schema.json");

static CLIENT: LazyLock<Validator> = LazyLock::new(|| validator("client"));
static GATEWAY: LazyLock<Validator> = LazyLock::new(|| validator("gateway"));

fn validator(side: &str) -> Validator {
    let mut schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    schema["anyOf"] = json!([{ "$ref": format!("#/$defs/{side}") }]);
    jsonschema::validator_for(&schema).expect("the schema is one")
}

fn check(validator: &Validator, text: &str) -> Result<(), String> {
    let frame: Value = serde_json::from_str(text).map_err(|fault| fault.to_string())?;
    validator.validate(&frame).map_err(|fault| fault.to_string())
}

/// Fails if this is not a frame a client may send.
pub(crate) fn assert_client(text: &str) {
    if let Err(fault) = check(&CLIENT, text) {
        panic!("not a client's frame: {text}: {fault}");
    }
}

/// Fails if this is not a frame the gateway may send.
pub(crate) fn assert_gateway(text: &str) {
    if let Err(fault) = check(&GATEWAY, text) {
        panic!("not a frame of the gateway: {text}: {fault}");
    }
}

/// Whether this is a frame of either side.
pub(super) fn is_frame(text: &str) -> bool {
    check(&CLIENT, text).is_ok() || check(&GATEWAY, text).is_ok()
}
