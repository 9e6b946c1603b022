//! Our signatures under the eyes of others: the specification's own library, the one that most receivers use, and thirty
//! lines of Python that share no code with either.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::json;
use webhook_oracles::signature::{Secret, sign, verify};

/// Cases of each test.
const CASES: usize = 500;

/// An xorshift: cases need not be good, only various, and the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    fn text(&mut self, alphabet: &str, longest: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        let length = self.next(longest + 1);
        (0..length).map(|_| letters[self.next(letters.len())]).collect()
    }

    fn secret(&mut self) -> String {
        let length = 24 + self.next(41);
        let key: Vec<u8> = (0..length).map(|_| self.next(256) as u8).collect();
        format!("whsec_{}", STANDARD.encode(key))
    }
}

/// A message and the secrets that sign it.
struct Case {
    secrets: Vec<String>,
    id: String,
    sent: i64,
    body: String,
}

impl Case {
    fn headers(&self) -> HeaderMap {
        let ours: Vec<Secret> = self.secrets.iter().map(|text| Secret::parse(text).unwrap()).collect();
        let signatures = sign(&ours, &self.id, self.sent, self.body.as_bytes());
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", self.id.parse().unwrap());
        headers.insert("webhook-timestamp", self.sent.to_string().parse().unwrap());
        headers.insert("webhook-signature", signatures.parse().unwrap());
        headers
    }

    /// Whether each of the libraries takes these bytes as genuine, by one secret: the specification's, Svix's, ours.
    fn verdicts(&self, secret: &str, body: &[u8]) -> [bool; 3] {
        let headers = self.headers();
        let text = |name: &str| headers[name].to_str().unwrap();
        let (sent, signatures) = (text("webhook-timestamp"), text("webhook-signature"));
        [
            standardwebhooks::Webhook::new(secret).unwrap().verify(body, &headers).is_ok(),
            svix::webhooks::Webhook::new(secret).unwrap().verify(body, &headers).is_ok(),
            verify(&[Secret::parse(secret).unwrap()], &self.id, sent, signatures, body, now()).is_ok(),
        ]
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Bodies are empty, short, not ASCII, or full of what separates the signed parts.
fn cases() -> Vec<Case> {
    let mut random = Random(0x5eed);
    let case = |number: usize| Case {
        secrets: (0..1 + number % 4).map(|_| random.secret()).collect(),
        id: format!("msg_{}_{}", random.text("azAZ09_-", 64), random.next(1_000_000)),
        sent: now() + random.next(500) as i64 - 250,
        body: match number % 5 {
            0 => String::new(),
            1 => json!({ "message": random.text("aä€🦴\u{0}\"\\", 200) }).to_string(),
            _ => random.text("{}.,:v1 \n\taßñ日本🎨", 3000),
        },
    };
    (0..CASES).map(case).collect()
}

#[test]
fn the_libraries_take_ours_as_genuine_and_nothing_else() {
    for case in cases() {
        for secret in &case.secrets {
            assert_eq!(case.verdicts(secret, case.body.as_bytes()), [true; 3], "{}", case.id);
            assert_eq!(case.verdicts(secret, format!("{} ", case.body).as_bytes()), [false; 3], "{}", case.id);
        }
        let stranger = Random(case.body.len() as u64 + 7).secret();
        assert_eq!(case.verdicts(&stranger, case.body.as_bytes()), [false; 3], "{}", case.id);
    }
}

#[test]
fn the_libraries_sign_as_we_do() {
    for Case { secrets, id, sent, body } in cases() {
        for secret in secrets {
            // Long ago and far ahead, too: only who verifies looks at the clock.
            for sent in [sent, 0, 1, 253_402_300_799] {
                let ours = sign(&[Secret::parse(&secret).unwrap()], &id, sent, body.as_bytes());
                let specified = standardwebhooks::Webhook::new(&secret).unwrap().sign(&id, sent, body.as_bytes());
                let svix = svix::webhooks::Webhook::new(&secret).unwrap().sign(&id, sent, body.as_bytes());
                assert_eq!((&ours, &ours), (&specified.unwrap(), &svix.unwrap()), "{id} {sent}");
            }
        }
    }
}

/// Reads cases as lines of JSON, and fails at the first whose signatures are not those of its secrets.
const PYTHON: &str = r#"
import base64, hashlib, hmac, json, sys
count = 0
for line in sys.stdin:
    case = json.loads(line)
    message = f"{case['id']}.{case['sent']}.".encode() + base64.b64decode(case["body"])
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in case["secrets"]]
    tags = [base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode() for key in keys]
    expected = " ".join("v1," + tag for tag in tags)
    if case["signatures"] != expected:
        sys.exit(f"{case['id']}: {case['signatures']} is not {expected}")
    count += 1
print(count)
"#;

#[test]
fn python_signs_as_we_do() {
    let mut lines = String::new();
    for case in cases() {
        let signatures = case.headers()["webhook-signature"].to_str().unwrap().to_owned();
        let Case { secrets, id, sent, body } = case;
        // As base64, so that no reader of JSON stands between the bytes.
        let body = STANDARD.encode(body);
        let line = json!({ "secrets": secrets, "id": id, "sent": sent, "body": body, "signatures": signatures });
        lines += &format!("{line}\n");
    }
    let mut python = Command::new("python3");
    python.args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), CASES.to_string());
}
