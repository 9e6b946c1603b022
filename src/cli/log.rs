//! Log lines on standard error: text for people, or one JSON object a line.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value};
use spinelift::config::{Log, LogFormat};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt as text;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Log lines go out from now on. A second call changes nothing.
pub(super) fn start(log: &Log) {
    let ours = if log.debug { Level::DEBUG } else { Level::INFO };
    let others = if log.debug { LevelFilter::INFO } else { LevelFilter::WARN };
    let wanted = Targets::new().with_default(others).with_target("spinelift", ours);
    let lines = Registry::default().with(wanted);
    // The only other error is that a subscriber is already there.
    let _ = match log.format {
        LogFormat::Text => {
            let ansi = io::stderr().is_terminal();
            let layer = text::layer().with_writer(io::stderr).with_ansi(ansi).with_target(log.debug);
            tracing::subscriber::set_global_default(lines.with(layer))
        }
        LogFormat::Json => {
            let layer = JsonLines { service: log.service.clone(), write: write_line };
            tracing::subscriber::set_global_default(lines.with(layer))
        }
    };
}

/// Whole lines, so that those of two threads do not mix. If standard error is closed there is nobody to tell.
fn write_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// One flat object a line: time, level, service, target, message, then the fields of all spans from the outermost in,
/// then the event's own. So `request_id` and `job_id` are found in every line, whichever span carries them.
struct JsonLines<W> {
    service: String,
    write: W,
}

/// The fields of a span, kept with it.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = context.span(id)
            && let Some(SpanFields(known)) = span.extensions_mut().get_mut()
        {
            known.extend(fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut own = Fields::default();
        event.record(&mut own);
        let mut line = Map::new();
        let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let message = own.0.remove("message").unwrap_or_default();
        for (name, value) in [
            ("timestamp", time.into()),
            ("level", metadata.level().as_str().into()),
            ("service", self.service.as_str().into()),
            ("target", metadata.target().into()),
            ("message", message),
        ] {
            line.insert(name.into(), value);
        }
        let spans = context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root);
        for span in spans {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                line.extend(fields.clone());
            }
        }
        line.extend(own.0);
        (self.write)(&Value::Object(line).to_string());
    }
}

/// Fields as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().into(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_json_line_carries_the_fields_of_every_span_around_it() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let write = move |line: &str| sink.lock().unwrap().push(line.to_owned());
        let layer = JsonLines { service: "mesh".into(), write };
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            let request = tracing::info_span!("request", request_id = "r-1", status = tracing::field::Empty);
            let _request = request.enter();
            request.record("status", 202);
            let _job = tracing::info_span!("job", job_id = %"j-1").entered();
            tracing::warn!(attempt = 2, "line\nbreak");
        });
        let lines = lines.lock().unwrap();
        assert!(lines.len() == 1 && !lines[0].contains('\n'), "{lines:?}");
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["message"], "line\nbreak");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["service"], "mesh");
        assert_eq!(line["request_id"], "r-1");
        assert_eq!(line["status"], 202);
        assert_eq!(line["job_id"], "j-1");
        assert_eq!(line["attempt"], 2);
    }
}
