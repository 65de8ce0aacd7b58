//! What the text of an event may hold. Pure.
//!
//! Subjects and request ids come from callers, who may put into them what breaks a line or reorders it on a screen. Such
//! characters are replaced by one that shows that something stood there.

use serde_json::{Value as Json, json};

/// Characters of a text at most.
pub const TEXT_MAX: usize = 512;

/// Bytes of an event's data at most, as JSON.
pub const DATA_MAX: usize = 8_192;

/// Stands for what was taken out.
const REPLACEMENT: char = '\u{fffd}';

/// Whether `letter` begins a line, moves about on it, or turns its direction.
fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            // Separators of lines and paragraphs; marks, embeddings and isolates of direction; invisible letters.
            '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `text` without control characters, cut to [`TEXT_MAX`].
pub(super) fn bounded(text: &str) -> String {
    let shown = |letter| if is_control(letter) { REPLACEMENT } else { letter };
    text.chars().take(TEXT_MAX).map(shown).collect()
}

/// `data` with all its texts and names bounded; only its size where it is larger than [`DATA_MAX`].
pub(super) fn bounded_data(data: &Json) -> Json {
    let data = bounded_value(data);
    match data.to_string().len() {
        size if size > DATA_MAX => json!({ "omitted_bytes": size }),
        _ => data,
    }
}

fn bounded_value(value: &Json) -> Json {
    match value {
        Json::String(text) => Json::String(bounded(text)),
        Json::Array(values) => values.iter().map(bounded_value).collect(),
        Json::Object(fields) => {
            let fields = fields.iter();
            Json::Object(
                fields
                    .map(|(name, value)| (bounded(name), bounded_value(value)))
                    .collect(),
            )
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_begin_a_line_or_turn_one_around() {
        for (text, expected) in [
            ("me@example.com", "me@example.com"),
            ("a\nlogin_succeeded", "a\u{fffd}login_succeeded"),
            (
                "a\r\n\t\0\u{1b}[2J",
                "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}[2J",
            ),
            ("a\u{85}b\u{2028}c", "a\u{fffd}b\u{fffd}c"),
            ("gpj\u{202e}exe", "gpj\u{fffd}exe"),
            ("größe 東京", "größe 東京"),
        ] {
            assert_eq!(bounded(text), expected);
        }
    }

    #[test]
    fn text_is_cut_by_characters() {
        assert_eq!(bounded(&"ä".repeat(TEXT_MAX + 1)), "ä".repeat(TEXT_MAX));
    }

    #[test]
    fn the_texts_of_data_are_bounded_at_every_depth() {
        let data = json!({ "a\n": ["b\r", { "c": "d\u{2028}" }], "n": 1, "none": null });
        let expected = json!({ "a\u{fffd}": ["b\u{fffd}", { "c": "d\u{fffd}" }], "n": 1, "none": null });
        assert_eq!(bounded_data(&data), expected);
    }

    #[test]
    fn data_that_is_too_large_is_left_out_and_its_size_told() {
        let data = Json::Array(vec![json!("x".repeat(500)); 17]);
        assert_eq!(bounded_data(&data), json!({ "omitted_bytes": 17 * 503 + 1 }));
        let data = Json::Array(vec![json!("x".repeat(500)); 16]);
        assert_eq!(bounded_data(&data), data);
    }
}
