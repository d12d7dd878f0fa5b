//! Batches at a provider: how one stands, and what each of its results used. Two APIs have them: `OpenAI`'s, which many
//! speak, and Anthropic's message batches.

use memchr::memchr;
use serde::Deserialize;
use serde_json::Value;
use tollgate_wire::Usage;

use crate::gauge::usage_of;

/// Largest line of results that is looked into, bytes. A line holds one answer.
const LONGEST_LINE: usize = 4 << 20;

/// Whose words a batch is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// `object: batch`; its results are files.
    OpenAi,
    /// `type: message_batch`; its results have an address of their own.
    Anthropic,
}

/// How a batch stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its requests are still being answered.
    Running,
    /// Nothing more will come of it.
    Over(End),
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The files that hold its results; of Anthropic's none, as there they have an address.
    pub files: Vec<String>,
    /// Requests were answered, so there must be results.
    pub has_answers: bool,
    /// Why none of its requests was tried, in one word of the provider's.
    pub refused: Option<String>,
}

impl Words {
    /// How the batch of this document stands; `None` where it is no batch.
    #[must_use]
    pub fn standing(self, batch: &Value) -> Option<Standing> {
        let text = |name: &str| batch.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let counted = |name: &str| batch.get("request_counts")?.get(name)?.as_u64();
        match self {
            Self::Anthropic => Some(match text("processing_status")? {
                "ended" => {
                    let has_answers = counted("succeeded").is_some_and(|answered| answered > 0);
                    Standing::Over(End { files: Vec::new(), has_answers, refused: None })
                }
                _ => Standing::Running,
            }),
            Self::OpenAi => Some(match text("status")? {
                "failed" => Standing::Over(End { files: Vec::new(), has_answers: false, refused: Some(reason(batch)) }),
                "completed" | "expired" | "cancelled" => {
                    let files = ["output_file_id", "error_file_id"].into_iter().filter_map(text).map(str::to_owned);
                    let has_answers = counted("completed").is_some_and(|answered| answered > 0);
                    Standing::Over(End { files: files.collect(), has_answers, refused: None })
                }
                _ => Standing::Running,
            }),
        }
    }

    /// Where a batch is, as [`resource_url`](crate::passage::resource_url) takes it.
    #[must_use]
    pub fn path(self, id: &str) -> String {
        match self {
            Self::OpenAi => format!("/batches/{id}"),
            Self::Anthropic => format!("/messages/batches/{id}"),
        }
    }

    /// Where the results of an ended batch are.
    #[must_use]
    pub fn result_paths(self, id: &str, end: &End) -> Vec<String> {
        match self {
            Self::OpenAi => end.files.iter().map(|file| format!("/files/{file}/content")).collect(),
            // Answered or not, every request has a line there.
            Self::Anthropic => vec![format!("{}/results", self.path(id))],
        }
    }
}

/// The first of a refused batch's errors, by its code: the message may repeat what was asked.
fn reason(batch: &Value) -> String {
    let first = batch.pointer("/errors/data/0/code").and_then(Value::as_str).unwrap_or("unknown");
    first.chars().filter(|letter| letter.is_ascii_alphanumeric() || "_-. ".contains(*letter)).take(80).collect()
}

/// What one result says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A model answered, and said what it used.
    Answered {
        /// The model, by its provider's name.
        model: Option<String>,
        /// What it used.
        usage: Usage,
    },
    /// The request was refused, or never tried: it costs nothing.
    Refused,
    /// It was answered, or may have been, and there is no telling what it used.
    Silent,
}

/// Reads results as they come, line by line. Memory: one line, at most 4 MiB; what is longer is passed over.
#[derive(Debug, Default)]
pub struct Results {
    line: Vec<u8>,
    is_too_long: bool,
}

impl Results {
    /// Takes the next bytes, and tells every line that they end.
    pub fn push(&mut self, mut bytes: &[u8], tell: &mut impl FnMut(Line)) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (head, tail) = bytes.split_at(end);
            self.keep(head);
            self.tell(tell);
            bytes = tail.get(1..).unwrap_or_default();
        }
        self.keep(bytes);
    }

    /// There are no more.
    pub fn finish(&mut self, tell: &mut impl FnMut(Line)) {
        self.tell(tell);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.is_too_long || self.line.len() + bytes.len() > LONGEST_LINE {
            self.is_too_long = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn tell(&mut self, tell: &mut impl FnMut(Line)) {
        if std::mem::take(&mut self.is_too_long) {
            tell(Line::Silent);
        } else if !self.line.trim_ascii().is_empty() {
            tell(read(&self.line));
        }
        self.line.clear();
    }
}

/// A line in either API's words.
#[derive(Deserialize)]
struct Raw {
    response: Option<Response>,
    result: Option<MessageResult>,
}

#[derive(Deserialize)]
struct Response {
    status_code: Option<u16>,
    body: Option<Body>,
}

#[derive(Deserialize)]
struct MessageResult {
    #[serde(rename = "type")]
    kind: String,
    message: Option<Body>,
}

#[derive(Deserialize)]
struct Body {
    model: Option<String>,
    usage: Option<Value>,
}

fn read(line: &[u8]) -> Line {
    let Ok(raw) = serde_json::from_slice::<Raw>(line) else { return Line::Silent };
    let body = match (raw.response, raw.result) {
        (Some(response), _) if response.status_code.is_none_or(|status| status < 300) => response.body,
        (None, Some(result)) if result.kind == "succeeded" => result.message,
        _ => return Line::Refused,
    };
    let Some(Body { model, usage }) = body else { return Line::Silent };
    usage.and_then(|usage| usage_of(&usage)).map_or(Line::Silent, |usage| Line::Answered { model, usage })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn over(files: &[&str], has_answers: bool, refused: Option<&str>) -> Option<Standing> {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        Some(Standing::Over(End { files, has_answers, refused: refused.map(str::to_owned) }))
    }

    #[test]
    fn openais_batches_are_over_in_four_ways() {
        let standing = |document: Value| Words::OpenAi.standing(&document);
        for running in ["validating", "in_progress", "finalizing", "cancelling", "what comes next"] {
            assert_eq!(standing(json!({"status": running})), Some(Standing::Running), "{running}");
        }
        let counts = json!({"total": 2, "completed": 1, "failed": 1});
        assert_eq!(
            standing(
                json!({"status": "completed", "output_file_id": "o", "error_file_id": "", "request_counts": counts})
            ),
            over(&["o"], true, None)
        );
        for early in ["expired", "cancelled"] {
            let document = json!({"status": early, "output_file_id": null, "error_file_id": "e"});
            assert_eq!(standing(document), over(&["e"], false, None), "{early}");
        }
        let errors = json!({"data": [{"code": "invalid_json_line", "message": "this is a prompt", "line": 3}]});
        assert_eq!(
            standing(json!({"status": "failed", "errors": errors})),
            over(&[], false, Some("invalid_json_line"))
        );
        assert_eq!(standing(json!({"status": "failed"})), over(&[], false, Some("unknown")));
        assert_eq!(standing(json!({"error": {}})), None);
    }

    #[test]
    fn anthropics_batches_end_in_one() {
        let standing = |status: &str| {
            let counts = json!({"succeeded": 1, "errored": 0, "canceled": 2, "expired": 0, "processing": 0});
            Words::Anthropic.standing(&json!({"processing_status": status, "request_counts": counts}))
        };
        assert_eq!(standing("in_progress"), Some(Standing::Running));
        assert_eq!(standing("canceling"), Some(Standing::Running));
        assert_eq!(standing("ended"), over(&[], true, None));
        assert_eq!(Words::Anthropic.standing(&json!({"id": "msgbatch_1"})), None);
    }

    fn lines(pieces: &[&[u8]]) -> Vec<Line> {
        let (mut results, mut told) = (Results::default(), Vec::new());
        for piece in pieces {
            results.push(piece, &mut |line| told.push(line));
        }
        results.finish(&mut |line| told.push(line));
        told
    }

    fn answered(model: &str, input: u64, output: u64) -> Line {
        Line::Answered { model: Some(model.to_owned()), usage: Usage { input, output, ..Usage::default() } }
    }

    #[test]
    fn every_kind_of_result_is_told_from_the_others() {
        let told = |document: Value| lines(&[document.to_string().as_bytes()]);
        let check = |document: Value, expected: Line| assert_eq!(told(document.clone()), [expected], "{document}");
        let usage = json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7});
        check(
            json!({"custom_id": "a", "response": {"status_code": 200, "body": {"model": "m", "usage": usage}}, "error": null}),
            answered("m", 5, 2),
        );
        let message = json!({"model": "c", "content": [], "usage": {"input_tokens": 3, "output_tokens": 4}});
        check(json!({"custom_id": "a", "result": {"type": "succeeded", "message": message}}), answered("c", 3, 4));
        check(json!({"custom_id": "a", "result": {"type": "errored", "error": {"type": "error"}}}), Line::Refused);
        check(json!({"response": {"status_code": 400, "body": {"error": {}}}}), Line::Refused);
        check(json!({"response": null, "error": {"code": "batch_expired"}}), Line::Refused);
        check(json!({"response": {"status_code": 200, "body": {"data": []}}}), Line::Silent);
        check(json!([1]), Line::Silent);
        assert_eq!(lines(&[b"no json"]), [Line::Silent]);
    }

    #[test]
    fn a_line_over_the_bound_is_passed_over_and_takes_no_memory() {
        let (mut results, mut told) = (Results::default(), Vec::new());
        for _ in 0..100 {
            results.push(&[b'x'; 1 << 16], &mut |line| told.push(line));
            assert!(results.line.capacity() <= 2 * LONGEST_LINE);
        }
        results.push(b"\n{\"response\":null}\n", &mut |line| told.push(line));
        assert_eq!(told, [Line::Silent, Line::Refused]);
    }

    proptest! {
        #[test]
        fn results_are_the_same_wherever_they_are_cut(cuts in prop::collection::vec(0usize..400, 0..6)) {
            let line = |tokens: u64| {
                json!({"response": {"status_code": 200, "body": {"model": "m\u{e9}", "usage": {"input_tokens": tokens, "output_tokens": 1}}}})
            };
            let whole = format!("{}\r\n\n{}\n{}", line(1), json!({"response": null}), line(2));
            let mut at: Vec<usize> = cuts.into_iter().map(|cut| cut % whole.len()).collect();
            at.extend([0, whole.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &whole.as_bytes()[ends[0]..ends[1]]).collect();
            prop_assert_eq!(lines(&pieces), [answered("m\u{e9}", 1, 1), Line::Refused, answered("m\u{e9}", 2, 1)]);
        }
    }
}
