//! A name server that answers anything, over UDP and TCP: each test says what it does with a question.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

/// Largest answer over UDP, bytes: RFC 1035. What is longer is cut and asked for again over TCP.
const DATAGRAM: usize = 512;

/// What is answered. Of addresses only those of the kind that is asked for.
#[derive(Clone)]
pub(crate) enum Says {
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// Another name, and its addresses.
    Alias(&'static str, Vec<IpAddr>),
    /// A code of RFC 1035: 2 for a server that failed, 3 for a name that does not exist.
    Code(u8),
    /// Nothing.
    Nothing,
}

/// Listens on loopback until dropped.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    tasks: [JoinHandle<()>; 2],
}

impl NameServer {
    /// Answers by the name, in lower case and without its last dot, and by how often the same kind of address has been
    /// asked for before, all names together.
    pub(crate) async fn by(answer: impl Fn(&str, usize) -> Says + Send + Sync + 'static) -> Self {
        let (udp, tcp) = one_port().await;
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let zone =
            Arc::new(Zone { answer: Box::new(answer), asked: Arc::clone(&asked), asked_others: AtomicUsize::new(0) });
        let tasks = [tokio::spawn(datagrams(udp, Arc::clone(&zone))), tokio::spawn(streams(tcp, zone))];
        Self { address, asked, tasks }
    }

    /// How often somebody asked for IPv4 addresses.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A port that is free for both.
async fn one_port() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

type Answer = dyn Fn(&str, usize) -> Says + Send + Sync;

struct Zone {
    answer: Box<Answer>,
    asked: Arc<AtomicUsize>,
    asked_others: AtomicUsize,
}

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

impl Zone {
    /// The whole answer to a message.
    fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = read_name(message, 12)?;
        let kind = u16::from_be_bytes([message[end], message[end + 1]]);
        let asked = if kind == A { &*self.asked } else { &self.asked_others };
        let before = asked.fetch_add(1, Ordering::SeqCst);
        let (code, records) = match (self.answer)(&name, before) {
            Says::Nothing => return None,
            Says::Code(code) => (code, Vec::new()),
            Says::Addresses(addresses) => (0, of_kind(&addresses, kind, &[0xC0, 12])),
            Says::Alias(alias, addresses) => {
                let target = written(alias);
                let mut records = vec![record(&[0xC0, 12], CNAME, &target)];
                records.extend(of_kind(&addresses, kind, &target));
                (0, records)
            }
        };
        let mut text = message[..2].to_vec();
        text.extend([0x81, 0x80 | code, 0, 1]);
        text.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
        text.extend([0, 0, 0, 0]);
        text.extend(&message[12..end + 4]);
        records.iter().for_each(|record| text.extend(record));
        Some(text)
    }
}

fn of_kind(addresses: &[IpAddr], kind: u16, name: &[u8]) -> Vec<Vec<u8>> {
    let records = addresses.iter().filter_map(|address| match (address, kind) {
        (IpAddr::V4(address), A) => Some(record(name, A, &address.octets())),
        (IpAddr::V6(address), AAAA) => Some(record(name, AAAA, &address.octets())),
        _ => None,
    });
    records.collect()
}

/// A record that nobody may keep.
fn record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut text = name.to_vec();
    text.extend(kind.to_be_bytes());
    text.extend([0, 1, 0, 0, 0, 0]);
    text.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    text.extend(data);
    text
}

/// A name as it stands in messages.
fn written(name: &str) -> Vec<u8> {
    let mut text = Vec::new();
    for label in name.split('.') {
        text.push(u8::try_from(label.len()).unwrap());
        text.extend(label.as_bytes());
    }
    text.push(0);
    text
}

/// The name in a question, and where it ends.
fn read_name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
        at += length;
    }
}

async fn datagrams(socket: UdpSocket, zone: Arc<Zone>) {
    let mut buffer = [0; 4096];
    loop {
        let (read, from) = socket.recv_from(&mut buffer).await.unwrap();
        let Some(mut answer) = zone.answer(&buffer[..read]) else { continue };
        if answer.len() > DATAGRAM {
            let (_, end) = read_name(&answer, 12).unwrap();
            answer.truncate(end + 4);
            // Cut, and so without records.
            answer[2] |= 2;
            answer[6..8].fill(0);
        }
        let _ = socket.send_to(&answer, from).await;
    }
}

async fn streams(listener: TcpListener, zone: Arc<Zone>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let zone = Arc::clone(&zone);
        tokio::spawn(async move {
            while let Ok(length) = stream.read_u16().await {
                let mut message = vec![0; usize::from(length)];
                stream.read_exact(&mut message).await?;
                let Some(answer) = zone.answer(&message) else { break };
                stream.write_u16(u16::try_from(answer.len()).unwrap()).await?;
                stream.write_all(&answer).await?;
            }
            std::io::Result::Ok(())
        });
    }
}
