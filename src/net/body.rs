//! A body as it comes in: kept, or unpacked where the source has packed it although asked not to, within a cap.
//!
//! What is unpacked is counted byte by byte as it is written, so a bomb costs no more than the piece that it is seen in.
//! One member of gzip is read and no second: each begins a decoder anew, and millions of empty ones fit in a body.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzDecoder;
use hyper::header::{CONTENT_ENCODING, HeaderMap};
use thiserror::Error;

/// Most bytes set aside before the first has come: a length is a claim until then.
const MOST_SET_ASIDE: u64 = 1 << 20;

/// How many times larger than what was sent a body may unpack to: images are packed already and gain next to nothing.
const RATIO: u64 = 100;

/// Unpacked bytes that are judged by no ratio: a small file may be all zeros.
const UNJUDGED: u64 = 64 << 10;

/// Packed bytes that are unpacked at a time.
const STEP: usize = 4 << 10;

/// How a body was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
}

impl Encoding {
    /// What the header says; `None` where it is anything else, or packed twice.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(CONTENT_ENCODING).iter();
        let words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        let mut packed = words.filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case(b"identity"));
        match (packed.next(), packed.next()) {
            (None, _) => Some(Self::Identity),
            (Some(word), None) if [&b"gzip"[..], b"x-gzip"].iter().any(|gzip| word.eq_ignore_ascii_case(gzip)) => {
                Some(Self::Gzip)
            }
            _ => None,
        }
    }
}

/// Why a body is not taken.
#[derive(Debug, Error)]
pub(super) enum BodyError {
    /// It is, or unpacks to, more than the cap.
    #[error("the body is larger than the cap")]
    TooLarge,
    /// It unpacks to more than any file would.
    #[error("the body unpacks to more than {RATIO} times its size")]
    Bomb,
    /// It is not packed as its header says, or is cut short.
    #[error("the body is not what its Content-Encoding says")]
    Broken(#[source] io::Error),
}

/// What has come so far.
pub(super) enum Body {
    Plain(Capped),
    Gzip(GzDecoder<Capped>),
}

impl Body {
    /// Takes a body of at most `cap` bytes, sent and unpacked. `declared` is what its header says.
    pub(super) fn new(encoding: Encoding, declared: u64, cap: u64) -> Self {
        let set_aside = declared.min(MOST_SET_ASIDE).min(cap);
        let kept = Vec::with_capacity(usize::try_from(set_aside).unwrap_or(0));
        let capped = Capped { kept, cap, sent: 0, judged: encoding != Encoding::Identity, over: None };
        match encoding {
            Encoding::Identity => Self::Plain(capped),
            Encoding::Gzip => Self::Gzip(GzDecoder::new(capped)),
        }
    }

    /// Bytes that were sent.
    pub(super) fn sent(&self) -> u64 {
        match self {
            Self::Plain(capped) => capped.sent,
            Self::Gzip(decoder) => decoder.get_ref().sent,
        }
    }

    /// Takes a piece as it was sent.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        for step in piece.chunks(STEP) {
            let capped = match self {
                Self::Plain(capped) => capped,
                Self::Gzip(decoder) => decoder.get_mut(),
            };
            capped.sent += step.len() as u64;
            if capped.sent > capped.cap {
                return Err(BodyError::TooLarge);
            }
            match self {
                Self::Plain(capped) => capped.write_all(step).map_err(|error| capped.error(error))?,
                Self::Gzip(decoder) => {
                    let written = decoder.write_all(step).and_then(|()| decoder.flush());
                    written.map_err(|error| decoder.get_ref().error(error))?;
                }
            }
        }
        Ok(())
    }

    /// The whole of it.
    pub(super) fn finish(self) -> Result<Bytes, BodyError> {
        let capped = match self {
            Self::Plain(capped) => capped,
            Self::Gzip(mut decoder) => {
                decoder.try_finish().map_err(|error| decoder.get_ref().error(error))?;
                decoder.finish().map_err(BodyError::Broken)?
            }
        };
        Ok(capped.kept.into())
    }
}

/// Keeps what is written to it while that is within bounds.
pub(super) struct Capped {
    kept: Vec<u8>,
    cap: u64,
    sent: u64,
    judged: bool,
    over: Option<Over>,
}

/// Which bound was passed.
#[derive(Clone, Copy)]
enum Over {
    Cap,
    Ratio,
}

impl Capped {
    /// What an error of writing means.
    fn error(&self, error: io::Error) -> BodyError {
        match self.over {
            Some(Over::Cap) => BodyError::TooLarge,
            Some(Over::Ratio) => BodyError::Bomb,
            None => BodyError::Broken(error),
        }
    }
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = (self.kept.len() + bytes.len()) as u64;
        if size > self.cap {
            self.over = Some(Over::Cap);
        } else if self.judged && size > UNJUDGED.max(self.sent.saturating_mul(RATIO)) {
            self.over = Some(Over::Ratio);
        }
        if self.over.is_some() {
            return Err(io::Error::other("over the limit"));
        }
        self.kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// So many zeros, packed.
    fn zeros(bytes: usize) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![0; bytes]).unwrap();
        encoder.finish().unwrap()
    }

    fn headers(values: &[&'static str]) -> HeaderMap {
        let value = hyper::header::HeaderValue::from_static;
        values.iter().fold(HeaderMap::new(), |mut headers, text| {
            headers.append(CONTENT_ENCODING, value(text));
            headers
        })
    }

    #[test]
    fn an_encoding_is_one_or_none() {
        for (values, encoding) in [
            (&[][..], Some(Encoding::Identity)),
            (&["identity"], Some(Encoding::Identity)),
            (&["", "identity, "], Some(Encoding::Identity)),
            (&["gzip"], Some(Encoding::Gzip)),
            (&["identity, X-GZip"], Some(Encoding::Gzip)),
            (&["gzip, gzip"], None),
            (&["gzip", "gzip"], None),
            (&["br"], None),
            (&["gzipped"], None),
        ] {
            assert_eq!(Encoding::of(&headers(values)), encoding, "{values:?}");
        }
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_step_that_it_is_seen_in() {
        let bomb = zeros(64 << 20);
        let mut body = Body::new(Encoding::Gzip, bomb.len() as u64, 1 << 30);
        let began = std::time::Instant::now();
        assert!(matches!(body.push(&bomb), Err(BodyError::Bomb)));
        println!("seen after {} bytes and {:?}", body.sent(), began.elapsed());
        let Body::Gzip(decoder) = &body else { unreachable!() };
        assert_eq!(body.sent(), STEP as u64);
        assert!(decoder.get_ref().kept.capacity() as u64 <= 2 * RATIO * STEP as u64 + MOST_SET_ASIDE);
    }

    #[test]
    fn what_follows_the_end_is_not_unpacked() {
        for rest in [zeros(1), zeros(0), b"more".to_vec()] {
            let mut body = Body::new(Encoding::Gzip, 0, 1 << 20);
            let ended = body.push(&[zeros(100), rest].concat()).and_then(|()| body.finish().map(|_| ()));
            assert!(matches!(ended, Err(BodyError::Broken(_))), "{ended:?}");
        }
    }

    #[test]
    fn a_small_file_of_zeros_is_no_bomb() {
        let mut body = Body::new(Encoding::Gzip, 0, 1 << 20);
        body.push(&zeros(UNJUDGED as usize)).unwrap();
        assert_eq!(body.finish().unwrap().len() as u64, UNJUDGED);
    }

    #[test]
    fn pieces_may_be_cut_anywhere() {
        let packed = zeros(5000);
        for size in 1..packed.len() {
            let mut body = Body::new(Encoding::Gzip, 0, 5000);
            packed.chunks(size).for_each(|piece| body.push(piece).unwrap());
            assert_eq!(body.finish().unwrap().len(), 5000, "in pieces of {size}");
        }
    }
}
