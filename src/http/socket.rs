//! A connection's socket: gives up on a caller that does not read, and takes leave of one that is still sending.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::place::Place;

/// Bytes thrown away at a time while taking leave.
const WASTE_BYTES: usize = 16 << 10;

/// Set by whoever answers a request without having read its body.
///
/// Closing a socket with unread bytes in it makes the kernel send a reset, which can overtake the answer: the caller
/// would see a broken connection in place of "too large". So such a connection is read for a moment after it was closed
/// for writing.
#[derive(Debug, Clone, Default)]
pub(super) struct UnreadBody(Arc<AtomicBool>);

impl UnreadBody {
    /// The rest of the body will not be read.
    pub(super) fn leave(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The next request of the connection has come, so that the body before it is no longer on its way.
    pub(super) fn begin_anew(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_left(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A TCP connection with limits on its caller's patience and ours.
pub(super) struct Socket {
    stream: TcpStream,
    place: Place,
    unread: UnreadBody,
    write_timeout: Duration,
    writing: Option<Pin<Box<Sleep>>>,
    leave_timeout: Duration,
    leaving: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Writes fail once the caller has taken nothing for `write_timeout`; leaving takes at most `leave_timeout`.
    pub(super) fn new(
        stream: TcpStream,
        place: Place,
        unread: UnreadBody,
        write_timeout: Duration,
        leave_timeout: Duration,
    ) -> Self {
        Self { stream, place, unread, write_timeout, writing: None, leave_timeout, leaving: None }
    }

    /// Passes a write on, or fails if the caller has not taken anything for too long.
    fn progress(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.writing = None;
            self.place.wrote(*written.as_ref().unwrap_or(&0) as u64);
            return Poll::Ready(written);
        }
        self.place.waits_for_reader();
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(self.write_timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the caller does not read its answer")))
    }

    /// Ready once the caller has closed its side too, or has had its time.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.leaving.get_or_insert_with(|| Box::pin(sleep(self.leave_timeout)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut waste = [0; WASTE_BYTES];
        loop {
            let mut buffer = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.progress(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.progress(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.place.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.leaving.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if self.unread.is_left() {
            ready!(self.poll_leave(cx));
        }
        Poll::Ready(Ok(()))
    }
}
