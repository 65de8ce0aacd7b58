//! `docs/errors.md`, generated from the list of codes.

use std::fmt::Write as _;

use super::Code;

/// The text of `docs/errors.md`.
pub fn errors_md() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         Every error is `application/problem+json` (RFC 9457). Match on `error`: it is stable. `code` and `message` are those \
         of Alpaca's contract, so that its SDKs can read them. `errors[]` names each place that is wrong, as a JSON `pointer` \
         into the body, a `parameter` or a `header`. `request_id` stands in the server's log, too.\n\n\
         ```json\n\
         {\n  \"type\": \"docs/errors.md#insufficient_buying_power\",\n  \"title\": \"Not enough money is available\",\n  \
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_md_is_what_the_codes_say() {
        crate::generated::check("docs/errors.md", &errors_md());
    }
}
