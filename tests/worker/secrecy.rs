//! What stands in no log line and in no record: secrets, and the tokens that callers put into their URLs.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tracing_subscriber::fmt::MakeWriter;

use super::hostile::{Hostile, answer};
use super::world::World;
use super::{SECRET, ended_job, silent};

const TOKEN: &str = "t0ken-of-the-caller";

/// Everything that was written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn neither_secrets_nor_tokens_are_written_anywhere() {
    let lines = Lines::default();
    let wanted = tracing_subscriber::filter::Targets::new().with_target("spinelift", tracing::Level::TRACE);
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(lines.clone()).finish();
    let subscriber = tracing_subscriber::layer::SubscriberExt::with(subscriber, wanted);
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let mut world = World::with(|config| config.access.callback_secrets = vec![SECRET.into()]).await;
    let fails = Hostile::always(answer("500 Oh", "", TOKEN.as_bytes())).await;
    let elsewhere = Hostile::always(answer("302 Found", &format!("location: /?{TOKEN}\r\n"), b"")).await;
    let nonsense = Hostile::always(super::Act::Say(b"no HTTP\r\n\r\n".to_vec())).await;
    let hangs = silent().await;
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    world.start();
    let urls = [fails.url.clone(), elsewhere.url.clone(), nonsense.url.clone(), format!("http://{nowhere}")];
    let refused =
        ["http://169.254.169.254".to_owned(), "ftp://127.0.0.1".to_owned(), format!("http://{TOKEN}@127.0.0.1")];
    let urls: Vec<String> = urls.into_iter().chain(refused).chain([hangs.url.clone()]).collect();
    for (number, url) in urls.iter().enumerate() {
        ended_job(&world, &format!("job-{number}"), &format!("{url}/hook/{TOKEN}?key={TOKEN}")).await;
    }
    for number in 0..urls.len() - 1 {
        let job = world.ended(&format!("job-{number}")).await;
        let began = std::time::Instant::now();
        let errors = loop {
            let newest = world.app.store.deliveries(job.key, u64::MAX, 1).await.unwrap().remove(0);
            if !newest.attempts.is_empty() {
                break newest.attempts;
            }
            assert!(began.elapsed() < super::PATIENCE, "{number}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        };
        for error in errors.iter().map(|past| past.attempt.error.as_deref().unwrap()) {
            assert!(!error.contains(TOKEN) && !error.contains("whsec_"), "{error}");
        }
    }
    let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(written.contains("a callback was not answered") && written.contains(&nowhere.to_string()), "{written}");
    let key = SECRET.trim_start_matches("whsec_");
    for line in written.lines() {
        assert!(!line.contains(TOKEN) && !line.contains(key), "{line}");
    }
}
