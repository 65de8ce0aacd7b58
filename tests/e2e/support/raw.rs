//! Requests byte for byte, for what no HTTP client would send.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::client::Client;

/// Sends `request` as it is and answers the whole response.
pub(crate) async fn exchange(client: &Client, request: Vec<u8>) -> String {
    let address = client.base().strip_prefix("http://").unwrap().to_owned();
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .unwrap()
}

/// The head of a request with the client's key, without the empty line at its end.
pub(crate) fn head(client: &Client, method: &str, path: &str) -> String {
    let (id, secret) = (client.key("apca-api-key-id"), client.key("apca-api-secret-key"));
    format!(
        "{method} {path} HTTP/1.1\r\nHost: arbion\r\nConnection: close\r\nContent-Type: application/json\r\n\
         APCA-API-KEY-ID: {id}\r\nAPCA-API-SECRET-KEY: {secret}\r\n"
    )
}
