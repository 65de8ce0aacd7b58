//! What is said about every code, generated from the list of codes: `docs/errors.md` for readers of the repository, and
//! the page that a problem's `type` leads to.

use std::fmt::Write as _;

use super::Code;

/// The text of `docs/errors.md`.
pub fn errors_md() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         Every error is `application/problem+json` (RFC 9457). Match on `error`: it is stable. `code` and `message` are those \
         of Alpaca's contract, so that its SDKs can read them. `errors[]` names each place that is wrong, as a JSON `pointer` \
         into the body, a `parameter` or a `header`. `request_id` stands in the server's log, too. `type` leads to a code's entry on the page that every server shows at `/docs/errors`.\n\n\
         ```json\n\
         {\n  \"type\": \"/docs/errors#insufficient_buying_power\",\n  \"title\": \"Not enough money is available\",\n  \
         \"status\": 403,\n  \"detail\": \"insufficient buying power\",\n  \"instance\": \"/v2/orders\",\n  \
         \"error\": \"insufficient_buying_power\",\n  \"request_id\": \"01930e4c-5b5a-7000-8000-000000000001\",\n  \
         \"code\": 40310000,\n  \"message\": \"insufficient buying power\",\n  \"buying_power\": \"100\",\n  \
         \"cost_basis\": \"102.5\"\n}\n\
         ```\n\n\
         A request that got a 4xx changed nothing, and used up neither its `client_order_id` nor its `Idempotency-Key`.\n\n\
         This file is generated: `ARBION_BLESS=1 cargo test -p arbion-api errors_md` writes it anew.\n",
    );
    for code in Code::ALL {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n## {name}\n\n**{title}** · {status} · code {number}\n\n{meaning}\n\n*What to do:* {remedy}\n",
            name = code.as_str(),
            title = code.title(),
            status = code.status().as_u16(),
            number = code.alpaca_code(),
            meaning = code.meaning(),
            remedy = code.remedy(),
        );
    }
    text
}

/// How the page looks.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:2em auto;padding:0 1em}\
    h2{font:600 1.1em ui-monospace,monospace;margin:2em 0 0}h2:target{background:#fe8}p{margin:.3em 0}code{background:#8882}";

/// The page at [`PAGE_PATH`](super::code::PAGE_PATH): each code has an anchor by its name.
pub fn errors_html() -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Arbion: errors</title>\n\
         <style>{STYLE}</style>\n<h1>Errors</h1>\n\
         <p>Match on <code>error</code>: it is stable. A request that got a 4xx changed nothing. The API itself is \
         described at <a href=\"/docs/\">/docs/</a>.</p>\n",
    );
    for code in Code::ALL {
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "<h2 id=\"{name}\">{name}</h2>\n<p><b>{title}</b> · {status} · code {number}</p>\n<p>{meaning}</p>\n\
             <p><i>What to do:</i> {remedy}</p>\n",
            name = code.as_str(),
            title = html_of(code.title()),
            status = code.status().as_u16(),
            number = code.alpaca_code(),
            meaning = html_of(code.meaning()),
            remedy = html_of(code.remedy()),
        );
    }
    page
}

/// A text of the table as HTML: what stands between backticks is code.
fn html_of(text: &str) -> String {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let mut html = String::with_capacity(escaped.len());
    for (at, part) in escaped.split('`').enumerate() {
        // Every second part stands between backticks.
        if at % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(part);
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_table_becomes_html() {
        assert_eq!(
            html_of("`a` < b & `c`"),
            "<code>a</code> &lt; b &amp; <code>c</code>"
        );
    }

    #[test]
    fn every_code_has_its_anchor_on_the_page_and_its_heading_in_the_file() {
        let (page, file) = (errors_html(), errors_md());
        for code in Code::ALL {
            let (path, anchor) = {
                let uri = code.type_uri();
                let (path, anchor) = uri.split_once('#').unwrap();
                (path.to_owned(), anchor.to_owned())
            };
            assert_eq!(path, super::super::code::PAGE_PATH);
            assert_eq!(page.matches(&format!("id=\"{anchor}\"")).count(), 1, "{anchor}");
            assert_eq!(file.matches(&format!("\n## {anchor}\n")).count(), 1, "{anchor}");
        }
        assert!(!page.contains('`'), "every backtick has its twin");
    }

    #[test]
    fn errors_md_is_what_the_codes_say() {
        crate::generated::check("docs/errors.md", &errors_md());
    }
}
