//! The sheet as a page: pictures are in it, so that it can be sent, kept and read without a network.

use std::fmt::{self, Write};

use super::{Body, Part};
use crate::export::svg::{Escaped, base64};
use crate::mesh::{Error, Result};

/// Light or dark as the reader has it. Pictures keep their own backdrop, on which both light and dark art is seen.
const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#1c1f24;--soft:#5c6673;--line:#dfe3e8;--bad:#b3261e;\
--badpaper:#fdeceb}\
@media (prefers-color-scheme:dark){:root{--paper:#17191d;--card:#22252b;--ink:#eceff3;--soft:#a3adba;--line:#33383f;\
--bad:#ffb4ab;--badpaper:#3a2022}}\
body{margin:0;padding:1.5rem;background:var(--paper);color:var(--ink);font:15px/1.45 system-ui,sans-serif}\
h1{font-size:1.25rem;margin:0}header p{margin:.2rem 0 1.2rem;color:var(--soft)}\
main{display:grid;gap:1rem;align-items:start}\
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;overflow:hidden}\
figure>div{display:grid;place-items:center;aspect-ratio:1;background:#939393}\
img{display:block;max-width:100%;max-height:100%}\
figcaption{padding:.6rem .75rem .75rem}h2{font-size:.95rem;margin:0 0 .35rem;overflow-wrap:anywhere}\
dl{display:grid;grid-template-columns:auto 1fr;gap:0 .75rem;margin:0;font-variant-numeric:tabular-nums}\
dt{color:var(--soft)}dd{margin:0;text-align:right}\
.failed{border-color:var(--bad)}.failed>div{background:var(--badpaper);color:var(--bad);padding:.75rem;overflow:auto}\
.failed p{margin:0;overflow-wrap:anywhere}";

pub(super) fn write(side: u32, title: &str, parts: &[Part]) -> Result<Vec<u8>> {
    let mut text = String::new();
    head(&mut text, side, title, parts).map_err(internal)?;
    for part in parts {
        match &part.body {
            Body::Drawn { thumbnail, facts } => {
                let png = thumbnail.png()?;
                let size = [thumbnail.width, thumbnail.height];
                drawn(&mut text, &part.name, &png, size, facts).map_err(internal)?;
            }
            Body::Failed { error } => failed(&mut text, &part.name, error).map_err(internal)?,
        }
    }
    text.push_str("</main>\n</html>\n");
    Ok(text.into_bytes())
}

fn internal(error: fmt::Error) -> Error {
    Error::Internal(error.to_string())
}

fn head(out: &mut String, side: u32, title: &str, parts: &[Part]) -> fmt::Result {
    let failures = parts.iter().filter(|part| matches!(part.body, Body::Failed { .. })).count();
    let title = Escaped(title);
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}main{{grid-template-columns:repeat(auto-fill,minmax(min(100%,{side}px),1fr))}}</style>"
    )?;
    let count = parts.len();
    let plural = if count == 1 { "" } else { "s" };
    write!(out, "<header><h1>{title}</h1><p>{count} part{plural}")?;
    if failures > 0 {
        write!(out, ", {failures} failed")?;
    }
    writeln!(out, "</p></header>\n<main>")
}

fn drawn(
    out: &mut String,
    name: &str,
    png: &[u8],
    [width, height]: [u32; 2],
    facts: &[(String, String)],
) -> fmt::Result {
    let name = Escaped(name);
    write!(out, "<figure><div><img width=\"{width}\" height=\"{height}\" alt=\"\" src=\"data:image/png;base64,")?;
    base64(out, png);
    write!(out, "\"></div><figcaption><h2>{name}</h2><dl>")?;
    for (label, value) in facts {
        write!(out, "<dt>{}<dd>{}", Escaped(label), Escaped(value))?;
    }
    writeln!(out, "</dl></figcaption></figure>")
}

fn failed(out: &mut String, name: &str, error: &str) -> fmt::Result {
    let (name, error) = (Escaped(name), Escaped(error));
    writeln!(out, "<figure class=\"failed\"><div><p>{error}</p></div><figcaption><h2>{name}</h2></figcaption></figure>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::contact_sheet::{ContactSheet, tests};

    #[test]
    fn pages_hold_everything_and_escape_what_strangers_named() {
        let sheet = ContactSheet::for_parts(2);
        let text = String::from_utf8(write(sheet.side, "a <b>", &tests::parts(sheet)).unwrap()).unwrap();
        assert!(text.contains("<title>a &lt;b&gt;</title>") && text.contains("<p>2 parts, 1 failed</p>"), "{text}");
        assert!(text.contains("<h2>&lt;hero&gt; &amp; &quot;co&quot;.png</h2>"), "{text}");
        assert!(text.contains("<dt>vertices<dd>5<dt>triangles<dd>4<dt>coverage<dd>99.8 %</dl>"), "{text}");
        assert!(text.contains("<p>the file is &lt;empty&gt;</p>"), "{text}");
        assert_eq!(text.matches("src=\"data:image/png;base64,iVBORw0KGgo").count(), 1);
        assert!(!text.contains("http"), "nothing is fetched");
    }
}
