//! HTTP/1.1, as much as the broker needs: requests with a length, answers with a length, connections that stay.
//!
//! By hand, because a test wants what no library lets a server do: to close without a word, to stop in the middle of an
//! answer, to hold a connection open for ever.

use std::future::pending;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::desk::Desk;

/// The longest body that is read, in bytes.
const BODY_MAX: usize = 1 << 20;

/// The longest head that is read, in bytes.
const HEAD_MAX: u64 = 1 << 14;

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Behind the question mark.
    pub query: String,
    /// As it came.
    pub body: Vec<u8>,
}

/// What goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer.
    Whole {
        /// The status.
        status: u16,
        /// Seconds of a `Retry-After`.
        retry_after: Option<u64>,
        /// The body.
        body: Vec<u8>,
    },
    /// The connection is closed.
    Drop,
    /// A part of an answer, and the connection is closed.
    Cut,
    /// A part of an answer, and then nothing.
    Half,
    /// Nothing.
    Hang,
}

/// Answers every connection to `listener`, for ever.
pub async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    desk.begin();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, Arc::clone(&desk)));
            }
            // Too many open files, for a moment.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn converse(stream: TcpStream, desk: Arc<Desk>) {
    // Whoever has gone has gone.
    let _: io::Result<()> = async {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream).await? {
            if !write(stream.get_mut(), desk.answer(request).await).await? {
                break;
            }
        }
        Ok(())
    }
    .await;
}

/// The next request; `None` where the caller has closed, or talks something else.
async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut head = stream.take(HEAD_MAX);
    let (mut line, mut first, mut length) = (String::new(), None, 0);
    loop {
        line.clear();
        if head.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if first.is_none() {
            first = Some(text.to_owned());
        } else if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(usize::MAX);
        }
    }
    let first = first.unwrap_or_default();
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    if length > BODY_MAX {
        return Ok(None);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body,
    }))
}

/// Answers whether the connection goes on.
async fn write(stream: &mut TcpStream, reply: Reply) -> io::Result<bool> {
    const PART: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"id\":\"b-";
    match reply {
        Reply::Whole {
            status,
            retry_after,
            body,
        } => {
            let wait = retry_after.map_or_else(String::new, |seconds| format!("retry-after: {seconds}\r\n"));
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{wait}\r\n"
            );
            let mut answer = head.into_bytes();
            answer.extend(body);
            stream.write_all(&answer).await?;
            Ok(true)
        }
        Reply::Drop => Ok(false),
        Reply::Cut => {
            stream.write_all(PART).await?;
            stream.shutdown().await?;
            Ok(false)
        }
        Reply::Half => {
            stream.write_all(PART).await?;
            pending().await
        }
        Reply::Hang => pending().await,
    }
}
