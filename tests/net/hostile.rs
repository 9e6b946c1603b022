//! A server that answers anything, byte by byte: each test says what it does with a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Listens on loopback until dropped.
pub(crate) struct Hostile {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What is written, and what then happens.
#[derive(Clone)]
pub(crate) enum Act {
    /// Writes all of it and closes.
    Say(Vec<u8>),
    /// Writes all of it, then writes nothing and stays open.
    SayAndHang(Vec<u8>),
    /// Writes the first, then the second again and again with a pause between.
    Drip(Vec<u8>, Vec<u8>, Duration),
}

impl Hostile {
    /// Does the same with every connection, whatever is asked.
    pub(crate) async fn always(act: Act) -> Self {
        Self::by(move |_| act.clone()).await
    }

    /// Answers by the request, header and body.
    pub(crate) async fn by(answer: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    /// The same on a port that the test has chosen.
    pub(crate) fn on(listener: TcpListener, answer: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                seen.fetch_add(1, Ordering::SeqCst);
                let answer = Arc::clone(&answer);
                tokio::spawn(async move { serve(stream, &*answer).await });
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), connections, task }
    }

    /// How many connections came.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, answer: &(dyn Fn(&str) -> Act + Send + Sync)) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&String::from_utf8_lossy(&request)) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
    // A caller that has heard enough hangs up; writing then fails, and that is the end.
    let _ = act(&mut stream, answer(&String::from_utf8_lossy(&request))).await;
}

/// Whether header and body are there.
fn is_whole(request: &str) -> bool {
    let Some((header, body)) = request.split_once("\r\n\r\n") else { return false };
    let length =
        header.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

async fn act(stream: &mut TcpStream, act: Act) -> std::io::Result<()> {
    match act {
        Act::Say(text) => {
            stream.write_all(&text).await?;
            stream.shutdown().await
        }
        Act::SayAndHang(text) => {
            stream.write_all(&text).await?;
            std::future::pending().await
        }
        Act::Drip(head, drop, pause) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&drop).await?;
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// An answer with a length and a body.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Act {
    let mut text = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    text.extend_from_slice(body);
    Act::Say(text)
}
