//! The one log line of a call. Written by hand into one buffer: through `tracing`'s formatting the same line cost a tenth
//! of all instructions of a call. It looks like `tracing`'s lines, human or JSON.

use std::{fmt::Write as _, time::Duration};

use crate::{
    logs,
    record::{AttemptRecord, CallRecord, Outcome},
};

/// Writes the call's one line, if such lines are wanted. Never a prompt, never a key.
pub fn log_call(record: &CallRecord, at: Duration) {
    match logs::call_lines() {
        None => {}
        Some(json) => logs::push(line(record, at, json).as_bytes()),
    }
}

fn line(record: &CallRecord, at: Duration, json: bool) -> String {
    let mut fields = Fields { out: String::with_capacity(512), json };
    fields.begin(at, outcome(record.outcome));
    fields.text("call_id", &record.call_id);
    fields.text("route", record.route);
    fields.text("model", &record.asked);
    fields.text("caller", &record.caller);
    if let Some(attempt) = record.attempts.last() {
        fields.attempt(attempt);
        fields.sums(&record.attempts);
    }
    fields.number("attempts", record.attempts.len() as u64);
    if let Some(hedge) = record.hedge {
        fields.text("hedge", hedge.as_str());
    }
    if record.continued > 0 {
        fields.number("continued", record.continued.into());
    }
    fields.number("status", record.status.into());
    fields.plain("streamed", if record.streamed { "true" } else { "false" });
    fields.milliseconds("took_ms", record.took);
    if let Some(first) = record.first_byte {
        fields.milliseconds("first_byte_ms", first);
    }
    if let Outcome::Failed(kind) = record.outcome {
        fields.text("failure", &format!("{kind:?}"));
    }
    fields.end()
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "answered",
        Outcome::ClientLeft => "client left",
        Outcome::Outrun => "outrun",
        Outcome::Failed(_) => "failed",
    }
}

struct Fields {
    out: String,
    json: bool,
}

// Writing to a String cannot fail, so the results of `write!` are dropped here.
impl Fields {
    fn begin(&mut self, at: Duration, message: &str) {
        let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let _ = match self.json {
            true => write!(
                self.out,
                "{{\"timestamp\":\"{time:.3}\",\"level\":\"INFO\",\"message\":\"{message}\",\"target\":\"tollgate::call\""
            ),
            false => write!(self.out, "{time:.3}  INFO tollgate::call: {message}"),
        };
    }

    fn attempt(&mut self, attempt: &AttemptRecord) {
        self.text("provider", attempt.provider);
        // Enough of an id to find it again.
        self.text("deployment", attempt.deployment.get(..12).unwrap_or(&attempt.deployment));
        self.text("certainty", attempt.certainty.as_str());
    }

    /// What all attempts took together: a failed one may cost, too.
    fn sums(&mut self, attempts: &[AttemptRecord]) {
        self.number("input_tokens", attempts.iter().map(|attempt| attempt.usage.input).sum());
        self.number("output_tokens", attempts.iter().map(|attempt| attempt.usage.output).sum());
        let known = attempts.iter().filter_map(|attempt| attempt.cost);
        if let Some(cost) = known.reduce(|sum, cost| sum.saturating_add(cost)) {
            self.name("cost");
            let _ = write!(self.out, "{cost}");
        }
    }

    fn name(&mut self, name: &str) {
        let _ = match self.json {
            true => write!(self.out, ",\"{name}\":"),
            false => write!(self.out, " {name}="),
        };
    }

    /// Text as it is where it cannot be mistaken, else as a JSON string: a client must not forge lines or fields.
    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        let is_plain =
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        match (is_plain, self.json) {
            (true, false) => self.out.push_str(text),
            (true, true) => {
                self.out.push('"');
                self.out.push_str(text);
                self.out.push('"');
            }
            (false, _) => {
                let _ = write!(self.out, "{}", serde_json::Value::from(text));
            }
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        let _ = write!(self.out, "{number}");
    }

    fn plain(&mut self, name: &str, word: &str) {
        self.name(name);
        self.out.push_str(word);
    }

    fn milliseconds(&mut self, name: &str, duration: Duration) {
        self.name(name);
        // 64 bits print several times faster than 128, and hold half a million years.
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let _ = write!(self.out, "{}.{:03}", micros / 1000, micros % 1000);
    }

    fn end(mut self) -> String {
        self.out.push_str(if self.json { "}\n" } else { "\n" });
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_wire::FailureKind;

    fn record(asked: &str) -> CallRecord {
        CallRecord {
            call_id: "id-1".to_owned(),
            route: "/chat/completions",
            asked: asked.to_owned(),
            caller: "admin".into(),
            status: 429,
            streamed: false,
            took: Duration::from_micros(12_034),
            first_byte: None,
            outcome: Outcome::Failed(FailureKind::RateLimited),
            hedge: None,
            continued: 0,
            attempts: Vec::new(),
        }
    }

    #[test]
    fn a_line_tells_the_call() {
        let line = line(&record("gpt-4o"), Duration::from_millis(1_763_715_600_123), false);
        let expected = "2025-11-21T09:00:00.123Z  INFO tollgate::call: failed call_id=id-1 route=/chat/completions \
                        model=gpt-4o caller=admin attempts=0 status=429 streamed=false took_ms=12.034 failure=RateLimited\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn a_line_says_whether_a_second_attempt_was_faster() {
        let plain = line(&record("gpt"), Duration::ZERO, false);
        assert!(!plain.contains("hedge"), "{plain}");
        let hedged = CallRecord { hedge: Some(crate::record::Hedge::Won), ..record("gpt") };
        assert!(line(&hedged, Duration::ZERO, false).contains(" hedge=won status="));
    }

    #[test]
    fn a_model_name_cannot_forge_a_line() {
        let forged = "x\n2025-11-21T09:00:00.123Z  INFO tollgate::call: answered \"status\":200";
        let human = line(&record(forged), Duration::ZERO, false);
        assert_eq!(human.lines().count(), 1, "{human}");
        let json: serde_json::Value = serde_json::from_str(&line(&record(forged), Duration::ZERO, true)).unwrap();
        assert_eq!((json["model"].as_str(), json["status"].as_u64()), (Some(forged), Some(429)));
    }
}
