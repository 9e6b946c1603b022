//! Load in two forms: as much as some connections carry, and a given rate whatever the answers do.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;
use tokio::time::sleep_until;

use super::client::{Answer, Connection};

/// Makes the n-th request.
pub(crate) type Requests = Rc<dyn Fn(u64) -> Rc<Vec<u8>>>;

/// Connections that a rate may open before it counts a request as not sent.
const MOST_CONNECTIONS: usize = 900;

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// Latencies of answers below 300, ms.
    pub(crate) good: Vec<f64>,
    /// Latencies of 429 and 503, ms.
    pub(crate) refused: Vec<f64>,
    /// Refusals without Retry-After.
    pub(crate) without_retry_after: u64,
    /// Everything else: other statuses, broken connections, requests that found no connection.
    pub(crate) failed: u64,
    /// How long the load was applied, s.
    pub(crate) seconds: f64,
}

impl Sample {
    pub(crate) fn throughput(&self) -> f64 {
        self.good.len() as f64 / self.seconds
    }

    pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// `connections` that each send the next request once the last is answered.
pub(crate) async fn closed(to: SocketAddr, requests: Requests, connections: usize, time: Duration) -> Sample {
    let sample = Rc::new(RefCell::new(Sample::default()));
    let count = Rc::new(Cell::new(0_u64));
    let began = Instant::now();
    let local = LocalSet::new();
    for _ in 0..connections {
        let (requests, sample, count) = (Rc::clone(&requests), Rc::clone(&sample), Rc::clone(&count));
        local.spawn_local(async move {
            let mut connection = None;
            while began.elapsed() < time {
                let request = requests(count.replace(count.get() + 1));
                let sent = Instant::now();
                send(to, &mut connection, &request, sent, &sample).await;
            }
        });
    }
    local.await;
    finish(&sample, began.elapsed())
}

/// `rate` requests a second. A latency counts from when the request was due, so a service that stalls cannot hide it.
pub(crate) async fn open(to: SocketAddr, requests: Requests, rate: f64, time: Duration) -> Sample {
    let sample = Rc::new(RefCell::new(Sample::default()));
    let idle: Rc<RefCell<Vec<Connection>>> = Rc::default();
    let busy = Rc::new(Cell::new(0_usize));
    let local = LocalSet::new();
    let (outer_sample, began) = (Rc::clone(&sample), Instant::now());
    local
        .run_until(async move {
            let mut tasks = Vec::new();
            for number in 0..(rate * time.as_secs_f64()) as u64 {
                let due = began + Duration::from_secs_f64(number as f64 / rate);
                if due > Instant::now() {
                    sleep_until(due.into()).await;
                }
                if busy.get() >= MOST_CONNECTIONS {
                    sample.borrow_mut().failed += 1;
                    tokio::task::yield_now().await;
                    continue;
                }
                busy.set(busy.get() + 1);
                let (idle, busy, sample) = (Rc::clone(&idle), Rc::clone(&busy), Rc::clone(&sample));
                let request = requests(number);
                tasks.push(tokio::task::spawn_local(async move {
                    let mut connection = idle.borrow_mut().pop();
                    send(to, &mut connection, &request, due, &sample).await;
                    idle.borrow_mut().extend(connection);
                    busy.set(busy.get() - 1);
                }));
            }
            for task in tasks {
                let _ = task.await;
            }
        })
        .await;
    finish(&outer_sample, began.elapsed())
}

async fn send(
    to: SocketAddr,
    connection: &mut Option<Connection>,
    request: &[u8],
    since: Instant,
    sample: &RefCell<Sample>,
) {
    // One that has been idle may have been closed meanwhile, and a new one is tried, as every client does.
    if let Some(mut idle) = connection.take()
        && let Ok(answer) = idle.exchange(request).await
    {
        record(sample, Ok(answer), since);
        *connection = Some(idle).filter(|_| !answer.closes);
        return;
    }
    let Ok(mut open) = Connection::open(to).await else {
        sample.borrow_mut().failed += 1;
        return;
    };
    let answer = open.exchange(request).await;
    *connection = answer.as_ref().is_ok_and(|answer| !answer.closes).then_some(open);
    record(sample, answer, since);
}

fn record(sample: &RefCell<Sample>, answer: io::Result<Answer>, since: Instant) {
    let took_ms = since.elapsed().as_secs_f64() * 1e3;
    let mut sample = sample.borrow_mut();
    match answer {
        Ok(answer) if answer.status < 300 => sample.good.push(took_ms),
        Ok(answer) if answer.status == 503 || answer.status == 429 => {
            sample.refused.push(took_ms);
            sample.without_retry_after += u64::from(!answer.has_retry_after);
        }
        _ => sample.failed += 1,
    }
}

fn finish(sample: &RefCell<Sample>, took: Duration) -> Sample {
    Sample { seconds: took.as_secs_f64(), ..sample.take() }
}
