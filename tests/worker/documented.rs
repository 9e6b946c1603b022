//! docs/callbacks.md against a real callback: its code says what is genuine, in four languages, and its tables name what
//! is sent.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde_json::{Value, json};
use spinelift::signature::{Secret, sign};

use super::blocks::blocks;
use super::world::{World, image, with_callback};
use super::{SECRET, body, ends_come, header, receiver, verify};

const OTHER: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// A callback as it came, or changed on its way.
#[derive(Debug, Clone)]
struct Case {
    what: &'static str,
    secrets: Vec<&'static str>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    is_genuine: bool,
}

impl Case {
    fn to_json(&self) -> Value {
        json!({ "secrets": self.secrets, "headers": self.headers, "body": STANDARD.encode(&self.body) })
    }
}

/// The post of a job's end, by a service that changes its secret at the moment.
async fn captured() -> String {
    let mut world = World::with(|config| config.access.callback_secrets = vec![SECRET.into(), OTHER.into()]).await;
    let (server, posts) = receiver(|_| "200 OK").await;
    world.start();
    // Bytes beyond ASCII are where code that signs text goes wrong.
    let broken = world.upload("sprite-42", image().slice(..1000)).await;
    world.run(with_callback(broken, &server.url)).await;
    ends_come(&posts, 1).await.remove(0)
}

fn cases(post: &str) -> Vec<Case> {
    let headers: BTreeMap<String, String> = post
        .split_once("\r\n\r\n")
        .unwrap()
        .0
        .lines()
        .skip(1)
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let body = post.split_once("\r\n\r\n").unwrap().1.as_bytes().to_vec();
    let genuine = Case { what: "as it came", secrets: vec![SECRET], headers, body, is_genuine: true };
    let forged = |what: &'static str, change: &dyn Fn(&mut Case)| {
        let mut case = Case { what, is_genuine: false, ..genuine.clone() };
        change(&mut case);
        case
    };
    // Signed as the service does, by nobody else's code.
    let signed = |what: &'static str, age: i64, body: &[u8], is_genuine: bool| {
        let mut case = Case { what, body: body.to_vec(), is_genuine, ..genuine.clone() };
        let sent_at = Utc::now().timestamp() - age;
        let secret = Secret::parse(SECRET).unwrap();
        let signatures = sign(&[secret], &case.headers["webhook-id"], sent_at, body);
        case.headers.insert("webhook-timestamp".into(), sent_at.to_string());
        case.headers.insert("webhook-signature".into(), format!("v1a,AAAA {signatures}"));
        case
    };
    let set = |case: &mut Case, name: &str, value: &str| drop(case.headers.insert(name.into(), value.into()));
    vec![
        genuine.clone(),
        Case { what: "by the other secret", secrets: vec![OTHER], ..genuine.clone() },
        Case {
            what: "one of two secrets known",
            secrets: vec!["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", OTHER],
            ..genuine.clone()
        },
        signed("of a minute ago", 60, "{\"a\":\"é€🦴\"}".as_bytes(), true),
        signed("without a body", 0, b"", true),
        signed("of six minutes ago", 360, b"{}", false),
        signed("from the future", -360, b"{}", false),
        forged("a byte more", &|case| case.body.push(b' ')),
        forged("another progress", &|case| case.body[2] ^= 1),
        forged("an empty body", &|case| case.body.clear()),
        forged("another message's id", &|case| set(case, "webhook-id", "msg_sprite-42_999")),
        forged("a later time", &|case| {
            let later = case.headers["webhook-timestamp"].parse::<i64>().unwrap() + 1;
            set(case, "webhook-timestamp", &later.to_string());
        }),
        forged("a time that is none", &|case| set(case, "webhook-timestamp", "soon")),
        forged("a stranger's secret", &|case| case.secrets = vec!["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]),
        forged("no secret", &|case| case.secrets.clear()),
        forged("another version's signature", &|case| {
            let others = case.headers["webhook-signature"].replace("v1,", "v2,");
            set(case, "webhook-signature", &others);
        }),
        forged("half a signature", &|case| set(case, "webhook-signature", "v1,K5oZfzN95Z9U")),
        forged("no signature", &|case| drop(case.headers.remove("webhook-signature"))),
        forged("no id", &|case| drop(case.headers.remove("webhook-id"))),
        forged("no time", &|case| drop(case.headers.remove("webhook-timestamp"))),
    ]
}

fn document() -> String {
    std::fs::read_to_string("docs/callbacks.md").unwrap()
}

/// Runs the document's code in a language, with a line that asks it about every case and prints yes and no as JSON.
async fn holds(language: &str, program: &[&str], ask: &str) {
    let found = Command::new(program[0]).arg("--version").output();
    if found.is_err() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{} is missing; install it", program[0]);
        println!("skipped: {} is not installed", program[0]);
        return;
    }
    let cases = cases(&captured().await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verify");
    std::fs::write(&path, format!("{}\n{ask}\n", blocks(&document(), language).join("\n"))).unwrap();
    let mut run = Command::new(program[0]);
    run.args(&program[1..]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = run.spawn().unwrap();
    let asked: Vec<Value> = cases.iter().map(Case::to_json).collect();
    child.stdin.take().unwrap().write_all(json!(asked).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<bool> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(answers) {
        assert_eq!(answer, case.is_genuine, "{language}: {}", case.what);
    }
}

#[tokio::test]
async fn the_documents_python_knows_what_is_genuine() {
    let ask = "import json, sys\nprint(json.dumps([is_genuine(c['secrets'], c['headers'], base64.b64decode(c['body'])) \
               for c in json.load(sys.stdin)]))";
    holds("python", &["python3"], ask).await;
}

#[tokio::test]
async fn the_documents_javascript_knows_what_is_genuine() {
    let ask = "const cases = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));\n\
               const of = (c) => isGenuine(c.secrets, c.headers, Buffer.from(c.body, 'base64'));\n\
               console.log(JSON.stringify(cases.map(of)));";
    holds("javascript", &["node"], ask).await;
}

#[tokio::test]
async fn the_documents_ruby_knows_what_is_genuine() {
    let ask = "require 'json'\ncases = JSON.parse($stdin.read)\n\
               puts cases.map { |c| genuine?(c['secrets'], c['headers'], c['body'].unpack1('m')) }.to_json";
    holds("ruby", &["ruby"], ask).await;
}

#[tokio::test]
async fn the_documents_rust_knows_what_is_genuine() {
    let (_, written) = include_str!("verify.rs").trim_end().split_once("\n\n").unwrap();
    assert_eq!(blocks(&document(), "rust").join("\n"), written, "tests/worker/verify.rs is the document's block");
    for case in cases(&captured().await) {
        let secrets: Vec<Secret> = case.secrets.iter().map(|text| Secret::parse(text).unwrap()).collect();
        let header = |name: &str| case.headers.get(name).map(String::as_str);
        let answer = verify::is_genuine(&secrets, header, &case.body, Utc::now().timestamp());
        assert_eq!(answer, case.is_genuine, "{}", case.what);
    }
}

#[tokio::test]
async fn the_documents_example_has_what_is_sent() {
    let shown = blocks(&document(), "http").join("\r\n");
    let sent = captured().await;
    let names = |post: &str| {
        let head = post.split_once("\r\n\r\n").unwrap().0.to_owned();
        let mut names: Vec<String> =
            head.lines().skip(1).map(|line| line.split_once(": ").unwrap().0.to_lowercase()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&shown), names(&sent));
    assert_eq!(
        header(&shown, "content-length"),
        Some(shown.split_once("\r\n\r\n").unwrap().1.len().to_string().as_str())
    );
    // This one has failed; the document shows one that has not.
    let fields = |post: &str| body(post).as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let shown_fields: Vec<String> = fields(&shown).into_iter().filter(|name| name != "result_url").collect();
    assert_eq!(shown_fields, fields(&sent).into_iter().filter(|name| name != "error").collect::<Vec<_>>());
    let text = document();
    for name in fields(&shown).iter().chain(&fields(&sent)) {
        assert!(text.contains(&format!("\n| `{name}` |")), "{name} is not in the table");
    }
    let secret = Secret::parse(SECRET).unwrap();
    let sent_at = header(&shown, "webhook-timestamp").unwrap().parse().unwrap();
    let body = shown.split_once("\r\n\r\n").unwrap().1.as_bytes();
    let signature = sign(&[secret], header(&shown, "webhook-id").unwrap(), sent_at, body);
    assert_eq!(
        header(&shown, "webhook-signature"),
        Some(signature.as_str()),
        "by the secret of Standard Webhooks' own example"
    );
}
