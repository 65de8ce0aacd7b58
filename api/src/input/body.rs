//! JSON bodies: parsed by ourselves, so that "this is not JSON" (400) and "this JSON is not what was asked for" (422)
//! are told apart, and every fault has its pointer; declared to poem-openapi by the type that documents them.

use std::marker::PhantomData;

use poem::{Request, RequestBody};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::problem::{Code, Problem};

/// Objects and lists may stand in each other this deep; the contract's own bodies need two.
const DEPTH_MAX: usize = 16;

/// The raw body of a request whose schema is `T`. It is parsed by [`JsonBody::fields`], so that a handler can look at
/// an idempotency key first.
#[derive(Debug)]
pub struct JsonBody<T> {
    bytes: Vec<u8>,
    schema: PhantomData<fn() -> T>,
}

impl<T> JsonBody<T> {
    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The members of the object that the body is.
    pub fn fields(&self) -> Result<Fields, Problem> {
        parse_object(&self.bytes).map(Fields::new)
    }
}

/// Reads `bytes` as one JSON object.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let malformed = |detail: String| Problem::new(Code::MalformedJson, detail);
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("the body is not valid UTF-8".to_owned()))?;
    if text.trim().is_empty() {
        return Err(malformed("the body is empty: send a JSON object".to_owned()));
    }
    if depth(text) > DEPTH_MAX {
        let detail = format!("the body is nested deeper than {DEPTH_MAX} levels");
        return Err(Problem::new(Code::NestedTooDeeply, detail));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        malformed(format!(
            "the body is not valid JSON (line {line}, column {column})"
        ))
    })?;
    match value {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(
            Problem::new(Code::InvalidRequest, "the body must be a JSON object"),
        ),
    }
}

/// How deep brackets stand in each other, outside of strings.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl<T: Type> Payload for JsonBody<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    /// `application/json`, any `+json`, with or without parameters.
    fn check_content_type(content_type: &str) -> bool {
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        essence.is_empty() || essence == "application/json" || essence.ends_with("+json")
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type> ParsePayload for JsonBody<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(_request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = body.take()?.into_vec().await?;
        Ok(Self {
            bytes,
            schema: PhantomData,
        })
    }
}

impl<'a, T: Type> ApiExtractor<'a> for JsonBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: Self::CONTENT_TYPE,
                schema: Self::schema_ref(),
            }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let content_type = request.content_type().unwrap_or_default();
        if !Self::check_content_type(content_type) {
            let detail = "send the body as Content-Type: application/json";
            return Err(Problem::new(Code::UnsupportedMediaType, detail).into());
        }
        <Self as ParsePayload>::from_request(request, body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(bytes: &[u8]) -> Option<Code> {
        parse_object(bytes).err().map(|problem| problem.code())
    }

    #[test]
    fn what_is_not_json_and_what_is_not_an_object_are_told_apart() {
        for (bytes, expected) in [
            (&b"{}"[..], None),
            (b" {\"a\": [1, {\"b\": \"}{\"}]} ", None),
            (b"", Some(Code::MalformedJson)),
            (b"  ", Some(Code::MalformedJson)),
            (b"{", Some(Code::MalformedJson)),
            (b"{\"qty\": NaN}", Some(Code::MalformedJson)),
            (b"{\"qty\": 1,}", Some(Code::MalformedJson)),
            (b"{\"a\":\"\xff\"}", Some(Code::MalformedJson)),
            (b"{\"a\":\"\\ud800\"}", Some(Code::MalformedJson)),
            (b"[]", Some(Code::InvalidRequest)),
            (b"null", Some(Code::InvalidRequest)),
            (b"\"text\"", Some(Code::InvalidRequest)),
        ] {
            assert_eq!(code_of(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(code_of(nested(DEPTH_MAX - 1).as_bytes()), None);
        assert_eq!(code_of(nested(DEPTH_MAX).as_bytes()), Some(Code::NestedTooDeeply));
        assert_eq!(code_of(nested(30_000).as_bytes()), Some(Code::NestedTooDeeply));
        let brackets_in_a_string = format!("{{\"a\":\"{}\"}}", "[".repeat(100));
        assert_eq!(code_of(brackets_in_a_string.as_bytes()), None);
    }

    #[test]
    fn json_is_accepted_under_each_of_its_names() {
        for (content_type, expected) in [
            ("", true),
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.api+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            assert_eq!(
                JsonBody::<String>::check_content_type(content_type),
                expected,
                "{content_type}"
            );
        }
    }
}
