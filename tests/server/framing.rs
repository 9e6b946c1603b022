//! Where one request ends and the next begins: said in one way only, or refused.

use super::*;

const SMUGGLED: &str = "GET /peer HTTP/1.1\r\nHost: x\r\n\r\n";

/// All that comes back, and that it is one answer to one request, after which the connection is closed.
#[track_caller]
fn one_answer(server: &Running, text: &str) -> String {
    let mut stream = server.connect();
    // The server may have closed before it has read all.
    let _ = stream.write_all(text.as_bytes());
    let answer = read_all(&mut stream);
    assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{text:?}: {answer}");
    answer
}

#[test]
fn chunks_whose_size_is_no_size_break_the_body_off() {
    let server = Running::start();
    for chunks in [
        "fffffffffffffffff\r\nbody\r\n0\r\n\r\n",
        "10000000000000004\r\nbody\r\n0\r\n\r\n",
        "-4\r\nbody\r\n0\r\n\r\n",
        "+4\r\nbody\r\n0\r\n\r\n",
        "0x4\r\nbody\r\n0\r\n\r\n",
        "4_\r\nbody\r\n0\r\n\r\n",
        "\r\nbody\r\n0\r\n\r\n",
        "4\nbody\n0\n\n",
        "4\r\nbodybody\r\n0\r\n\r\n",
        "4\r\nbody0\r\n\r\n",
        "4\r\nbody\r\n0\r\nX: a\r\nbroken trailer\r\n\r\n",
    ] {
        let answer = one_answer(&server, &format!("{}{chunks}{SMUGGLED}", chunked("/count")));
        assert!(matches!(status(&answer), "418" | "400" | "none"), "{chunks:?}: {answer}");
    }
}

#[test]
fn extensions_and_trailers_of_chunks_are_bounded() {
    let server = Running::start();
    let long = format!("4;{}\r\nbody\r\n0\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "a".repeat(200)).repeat(1000));
    let trailers = format!("4\r\nbody\r\n0\r\n{}\r\n", "X-Trailer: a\r\n".repeat(10_000));
    for chunks in [long, many, trailers] {
        let answer = one_answer(&server, &format!("{}{chunks}{SMUGGLED}", chunked("/count")));
        assert!(matches!(status(&answer), "418" | "none"), "{answer}");
    }
}

#[test]
fn odd_forms_of_a_header_are_refused() {
    let server = Running::start();
    for head in [
        "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\u{b}chunked",
        "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"",
        "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;q=1",
        "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "POST /count HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked",
        "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\tfolded",
        "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length : 4",
        "POST /count HTTP/1.1\r\nHost: x\r\nContent Length: 4",
        "POST /count HTTP/1.1\r\nHost: x\r\n: 4",
        "POST /count HTTP/1.1\r\nHost: x\rContent-Length: 4",
        "POST /count HTTP/1.1\r\nHost: x\0\r\nContent-Length: 4",
        "POST /count HTTP/2.0\r\nHost: x\r\nContent-Length: 4",
        "POST  /count HTTP/1.1\r\nHost: x\r\nContent-Length: 4",
        "POST /count\r\nHost: x\r\nContent-Length: 4",
        "PO\u{1}T /count HTTP/1.1\r\nHost: x\r\nContent-Length: 4",
    ] {
        let answer = one_answer(&server, &format!("{head}\r\n\r\n0\r\n\r\n{SMUGGLED}"));
        assert!(matches!(status(&answer), "400" | "none"), "{head:?}: {answer}");
    }
    assert_eq!(server.handled.load(Ordering::SeqCst), 0);
}

/// RFC 9112, 2.2 allows a lone line feed for the end of a line. It is read so everywhere, so that nothing is hidden.
#[test]
fn lone_line_feeds_end_lines_and_nothing_else() {
    let server = Running::start();
    let text = "POST /count HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 4\n\nbodyGET /peer HTTP/1.1\n\n";
    let answer = one_answer(&server, text);
    assert!(status(&answer) == "200" && answer.ends_with('4'), "{answer}");
}

#[test]
fn equal_lengths_and_other_cases_mean_what_they_say() {
    let server = Running::start();
    for framing in ["Content-Length: 4\r\nContent-Length: 4", "CONTENT-length:4", "Content-Length: \t4 "] {
        let text = format!("POST /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{framing}\r\n\r\nbody");
        let answer = server.ask(&text);
        assert!(status(&answer) == "200" && answer.ends_with('4'), "{framing}: {answer}");
    }
    let text = "POST /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\ntransfer-ENCODING:  Chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let answer = server.ask(text);
    assert!(status(&answer) == "200" && answer.ends_with('4'), "{answer}");
}

#[test]
fn requests_in_one_piece_are_answered_in_turn() {
    let server = Running::start();
    let bodies = format!(
        "{}four{}{HEALTH}",
        declared("/count", 4),
        "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nno"
    );
    let last = SMUGGLED.replace("Host", "Connection: close\r\nHost");
    let answer = server.ask(&format!("{bodies}{last}"));
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 4, "{answer}");
}
