//! Callers that hold on to their connections: headers and bodies that drip, answers that are left unread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

/// Between two bytes, and before a lost connection is replaced.
const PAUSE: Duration = Duration::from_secs(1);

/// What each kind begins with, before it drips. The third reads next to nothing of its answer, which is not so large that
/// writing it would be the load.
const BEGINNINGS: [&str; 3] = [
    "GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ",
    "POST /api/v1/mesh/preview HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: image/png\r\ncontent-length: 1000000\r\n\r\n",
    "GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
];

/// Callers on a thread of their own.
pub(crate) struct Callers {
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Callers {
    pub(crate) fn start(to: SocketAddr, count: usize) -> Self {
        let (stop, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, losing) = (Arc::clone(&stop), Arc::clone(&lost));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                for at in 0..count {
                    let losing = Arc::clone(&losing);
                    tokio::spawn(async move {
                        // Not all in the same moment.
                        sleep(PAUSE.mul_f64(at as f64 / count as f64)).await;
                        hold(to, BEGINNINGS[at % BEGINNINGS.len()], losing).await;
                    });
                }
                while !stopped.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(50)).await;
                }
            });
        });
        Self { stop, lost, thread: Some(thread) }
    }

    /// Ends them; how many connections the service took from them.
    pub(crate) fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.lost.load(Ordering::Relaxed)
    }
}

/// Holds a connection as long as it is let, then the next.
async fn hold(to: SocketAddr, beginning: &str, lost: Arc<AtomicUsize>) {
    loop {
        let socket = TcpSocket::new_v4().expect("a socket; raise the limit of open files");
        // So that an answer cannot go where nobody reads it.
        let _ = socket.set_recv_buffer_size(4 << 10);
        if let Ok(mut stream) = socket.connect(to).await {
            let mut sent = stream.write_all(beginning.as_bytes()).await;
            while sent.is_ok() {
                sleep(PAUSE).await;
                // An end shows in reading a byte; that is also all that is read of an answer.
                if let Ok(Ok(0) | Err(_)) = timeout(Duration::from_millis(1), stream.read(&mut [0])).await {
                    break;
                }
                sent = stream.write_all(b"x").await;
            }
            lost.fetch_add(1, Ordering::Relaxed);
        }
        sleep(PAUSE).await;
    }
}
