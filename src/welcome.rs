//! The few lines that every start prints: where everything is, and how to trade at once. No secret is among them.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use platform::config::MarketData;

/// What a newcomer has to know.
#[derive(Debug)]
pub(crate) struct Welcome<'a> {
    /// Where the API listens.
    pub(crate) address: SocketAddr,
    /// The file with the headers of the API key.
    pub(crate) key_file: &'a Path,
    /// Whether this start made the key.
    pub(crate) is_new_key: bool,
    /// Where everything is kept.
    pub(crate) data_dir: &'a Path,
    /// Which prices it trades on.
    pub(crate) market: MarketData,
}

impl Welcome<'_> {
    /// The text.
    pub(crate) fn text(&self) -> String {
        let base = base_url(self.address);
        let key_file = self.key_file.display();
        let made = if self.is_new_key { " (new)" } else { "" };
        let mut text = String::new();
        for line in [
            format!(
                "Arbion {} is ready: paper trading on simulated money.",
                platform::VERSION
            ),
            String::new(),
            format!("  API         {base}"),
            format!("  Swagger UI  {base}/docs/"),
            format!("  API key     {key_file}{made}; its owner alone can read it"),
            format!("  Data        {}", self.data_dir.display()),
            String::new(),
            first_order(self.market).0.to_owned(),
            String::new(),
            format!(
                "  {}",
                order_line(&base, self.key_file, first_order(self.market).1)
            ),
            String::new(),
            "Ctrl-C stops it; orders, positions and stops go on at the next start.".to_owned(),
        ] {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// What a newcomer can buy, in words and as an order: the recordings hold shares only.
const fn first_order(market: MarketData) -> (&'static str, &'static str) {
    match market {
        MarketData::Sim => (
            "Buy 50 dollars' worth of bitcoin (it trades at any hour):",
            r#"{"symbol":"BTC/USD","notional":"50","side":"buy","type":"market","time_in_force":"gtc"}"#,
        ),
        MarketData::Replay => (
            "Buy a share of Apple, at its recorded price:",
            r#"{"symbol":"AAPL","qty":"1","side":"buy","type":"market","time_in_force":"day"}"#,
        ),
    }
}

/// One line for a shell that places `order`.
fn order_line(base: &str, key_file: &Path, order: &str) -> String {
    let headers = shell_word(&format!("@{}", key_file.display()));
    format!("curl -sS -H {headers} -H 'content-type: application/json' -d '{order}' {base}/v2/orders")
}

/// A URL under which this machine reaches the API.
fn base_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

/// `text` as one word of a shell.
fn shell_word(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "@/._-+:,=".contains(character);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome<'a>(address: &str, key_file: &'a str) -> Welcome<'a> {
        Welcome {
            address: address.parse().unwrap(),
            key_file: Path::new(key_file),
            is_new_key: false,
            data_dir: Path::new("arbion-data"),
            market: MarketData::Sim,
        }
    }

    #[test]
    fn the_welcome_tells_where_everything_is_and_how_to_buy() {
        let text = welcome("127.0.0.1:5000", "arbion-data/api-key.headers").text();
        let expected = format!(
            r#"Arbion {} is ready: paper trading on simulated money.

  API         http://127.0.0.1:5000
  Swagger UI  http://127.0.0.1:5000/docs/
  API key     arbion-data/api-key.headers; its owner alone can read it
  Data        arbion-data

Buy 50 dollars' worth of bitcoin (it trades at any hour):

  curl -sS -H @arbion-data/api-key.headers -H 'content-type: application/json' -d '{{"symbol":"BTC/USD","notional":"50","side":"buy","type":"market","time_in_force":"gtc"}}' http://127.0.0.1:5000/v2/orders

Ctrl-C stops it; orders, positions and stops go on at the next start.
"#,
            platform::VERSION
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn where_recorded_prices_play_it_buys_what_was_recorded() {
        let replay = Welcome {
            market: MarketData::Replay,
            ..welcome("127.0.0.1:5000", "key")
        };
        let text = replay.text();
        assert!(
            text.contains(r#"{"symbol":"AAPL","qty":"1""#) && !text.contains("BTC"),
            "{text}"
        );
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_by_loopback() {
        let text = welcome("0.0.0.0:8080", "key").text();
        assert!(text.contains(" http://127.0.0.1:8080/v2/orders\n"), "{text}");
        assert!(
            welcome("[::1]:80", "key")
                .text()
                .contains("http://[::1]:80/docs/")
        );
    }

    #[test]
    fn the_line_can_be_pasted_whatever_the_directory_is_called() {
        let text = welcome("127.0.0.1:5000", "my data/o'key").text();
        assert!(text.contains(r"curl -sS -H '@my data/o'\''key' -H"), "{text}");
    }
}
