//! The fault matrix: whatever goes wrong on the way to a provider, at whatever moment, on every way in. What comes of it is
//! asserted cell by cell, and written down in `docs/reference/faults.md` (`UPDATE=1` rewrites it).
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test whose world cannot be built ends with a message; JSON is written in place and read by index"
)]

mod cells;
mod lanes;

use std::{collections::HashMap, fmt::Write as _, path::Path, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet};
use tollgate_kit::{
    Answer, Call, FakeProvider, Gateway,
    gateway::free_port,
    http::{self, Reply},
};

use cells::{FAULTS, Fault, TIMEOUT, WHENS, When};
use lanes::{LANES, Lane};

/// Cells that run at a time.
const AT_A_TIME: usize = 32;
/// Calls that go well, for each cell: they earn the retries that a gateway in trouble would otherwise be short of, for only one
/// call in five may be tried again where more than ten a second are.
const EARNING: usize = 12;

/// One cell.
#[derive(Clone, Copy)]
struct Cell {
    lane: &'static Lane,
    fault: Fault,
    when: When,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    /// `error.type`, or the code in its place.
    typed: String,
    /// `LiteLLM`'s class, which the words begin with; or that they are the provider's own.
    class: String,
    call: String,
}

/// The records of calls, by the calls' ids.
type Records = HashMap<String, Vec<Value>>;

/// What came of a cell.
struct Outcome {
    cell: Cell,
    told: Told,
    fallback: Told,
    answered: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_at_every_moment_is_told_as_it_is() {
    let provider = FakeProvider::start().await;
    let plain = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let tls = plain.local_addr().expect("an address").port();
    let mut deaf = JoinSet::new();
    deaf.spawn(answer_without_tls(plain));
    let cells: Vec<Cell> = all_cells();
    let gateway = started(&cells, &provider, tls).await;
    let (outcomes, mut wrong) = run(&cells, &gateway).await;
    let (lines, books) = ended(gateway).await;
    let calls = provider.calls();
    for outcome in &outcomes {
        wrong.extend(outcome.check(&lines, &calls).err().map(|why| format!("{}: {why}", outcome.cell.name())));
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(books["opened"] == books["settled"] && books["opened"].as_u64() > Some(0), "{books}");
    let page = page(&outcomes, &lines);
    println!("{page}");
    compare(&page);
}

fn all_cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for lane in &LANES {
        for fault in FAULTS {
            cells.extend(WHENS.map(|when| Cell { lane, fault, when }));
        }
    }
    cells.retain(|cell| cell.is_possible());
    cells
}

/// A server that knows nothing of TLS.
async fn answer_without_tls(listener: tokio::net::TcpListener) {
    use tokio::io::AsyncWriteExt as _;
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    }
}

async fn started(cells: &[Cell], provider: &FakeProvider, tls: u16) -> Gateway {
    let gone = free_port();
    let mut models = String::new();
    let mut fallbacks = Vec::new();
    for lane in &LANES {
        let (name, at) = (spare(lane), format!("{}/{}{}", provider.url(), spare(lane), lane.suffix));
        let _ = writeln!(models, "{}", deployment(&name, lane, &at, ""));
        let [opening, content, end] = lane.stream();
        let stream = Answer::sse(opening.into_iter().chain(content).chain(end));
        for (streamed, answer) in [(true, stream), (false, Answer::json(200, lane.whole()))] {
            let path = format!("/{name}/");
            let wanted = move |call: &Call| call.path.starts_with(&path) && (call.json()["stream"] == true) == streamed;
            provider.script_when(wanted, vec![answer; cells.len()]);
        }
    }
    for cell in cells {
        for name in [cell.name(), cell.name_with_fallback()] {
            for side in ["a", "b"] {
                let base = match cell.fault {
                    Fault::Refused => format!("http://127.0.0.1:{gone}/{side}"),
                    Fault::Tls => format!("https://127.0.0.1:{tls}/{side}"),
                    Fault::Dns => format!("http://nobody.invalid/{side}"),
                    _ => format!("{}/{name}/{side}", provider.url()),
                };
                let bounds = if cell.fault.waits() {
                    format!(", timeout: {TIMEOUT}, stream_timeout: {TIMEOUT}")
                } else {
                    String::new()
                };
                let _ = writeln!(
                    models,
                    "{}",
                    deployment(&name, cell.lane, &format!("{base}{}", cell.lane.suffix), &bounds)
                );
            }
            if let Some(answer) = cell.fault.answer(cell.lane, cell.when) {
                provider.always(&format!("/{name}/*"), answer);
            }
        }
        fallbacks.push(format!("{{'{}': ['{}']}}", cell.name_with_fallback(), spare(cell.lane)));
    }
    let file = format!(
        "model_list:\n  - {{model_name: well, litellm_params: {{model: openai/well, mock_response: words}}}}\n{models}\
         router_settings: {{num_retries: 1}}\nlitellm_settings: {{json_logs: true, fallbacks: [{}]}}\n",
        fallbacks.join(", ")
    );
    Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&file).start().await
}

fn deployment(name: &str, lane: &Lane, base: &str, more: &str) -> String {
    let model = lane.prefix;
    format!(
        "  - {{model_name: {name}, litellm_params: {{model: {model}m, api_base: '{base}', api_key: sk-fake-provider-key{more}}}}}"
    )
}

fn spare(lane: &Lane) -> String {
    format!("spare-{}", lane.word())
}

/// What came of every cell, and what was wrong with some.
async fn run(cells: &[Cell], gateway: &Gateway) -> (Vec<Outcome>, Vec<String>) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut running = JoinSet::new();
    for cell in cells.iter().copied() {
        let (places, url) = (Arc::clone(&places), gateway.url().to_owned());
        running.spawn(async move {
            let _place = places.acquire().await.expect("an open semaphore");
            cell.run(&url).await.map_err(|why| format!("{}: {why}", cell.name()))
        });
    }
    let (mut outcomes, mut wrong) = (Vec::new(), Vec::new());
    for done in running.join_all().await {
        match done {
            Ok(outcome) => outcomes.push(outcome),
            Err(why) => wrong.push(why),
        }
    }
    (outcomes, wrong)
}

impl Cell {
    fn is_possible(self) -> bool {
        self.fault.answer(self.lane, self.when).is_some() || (!self.fault.is_heard() && self.when != When::AfterContent)
    }

    fn name(self) -> String {
        let fault: String = self.fault.name().chars().filter(char::is_ascii_alphanumeric).collect();
        format!("{}-{fault}-{:?}", self.lane.word(), self.when)
    }

    fn name_with_fallback(self) -> String {
        format!("{}-with-fallback", self.name())
    }

    /// Calls without and with a fallback, and says what came of them.
    async fn run(self, url: &str) -> Result<Outcome, String> {
        let (mut connection, _) = http::Connection::open(url).await;
        for _ in 0..EARNING {
            let well = LANES.first().map(|lane| lane.ask("well", false)).unwrap_or_default();
            connection.ask_json("/v1/chat/completions", &[], &well).await;
            let reply = connection.reply().await;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        let at = format!("{url}{}", self.lane.path);
        let alone = http::post(&at, &[], &self.lane.ask(&self.name(), self.when.streams())).await;
        let helped = http::post(&at, &[], &self.lane.ask(&self.name_with_fallback(), self.when.streams())).await;
        let told = self.told(&alone)?.ok_or_else(|| format!("no failure in {}", alone.text()))?;
        let has_time = alone.header("retry-after") == Some("7");
        ensure(has_time || self.fault != Fault::ComeBack, || format!("no retry-after: {:?}", alone.headers))?;
        let failed = self.told(&helped)?;
        let answered = failed.is_none();
        let group = helped.header("x-litellm-model-group");
        ensure(!answered || (helped.text().contains("Hel") && group == Some(&spare(self.lane))), || helped.text())?;
        let call = || helped.header("x-litellm-call-id").unwrap_or_default().to_owned();
        let fallback =
            failed.unwrap_or_else(|| Told { status: 200, typed: String::new(), class: String::new(), call: call() });
        Ok(Outcome { cell: self, told, fallback, answered })
    }

    /// The failure that a reply tells; `None` where it is an answer, to its end.
    fn told(self, reply: &Reply) -> Result<Option<Told>, String> {
        let text = reply.text();
        ensure(reply.complete, || format!("an answer without an end: {text}"))?;
        let document = match (reply.status == 200, self.when.streams()) {
            (true, false) => return Ok(None),
            (true, true) if text.contains(self.lane.last_word) => {
                ensure(!text.contains("\"error\":{"), || format!("a failure and a good end: {text}"))?;
                return Ok(None);
            }
            (true, true) => {
                let events = reply.events();
                let speaks = events.iter().any(|event| self.lane.speaks(event));
                ensure(speaks, || format!("an error in a stream without content: {text}"))?;
                events.last().map(http::Event::json).unwrap_or_default()
            }
            _ => reply.json(),
        };
        let (typed, words) = self.lane.error(&document).ok_or_else(|| format!("no error in {text}"))?;
        let class = words.strip_prefix("litellm.").and_then(|words| words.split_once(':'));
        Ok(Some(Told {
            status: reply.status,
            typed,
            class: class.map_or_else(|| "as sent".to_owned(), |(class, _)| class.to_owned()),
            call: reply.header("x-litellm-call-id").unwrap_or_default().to_owned(),
        }))
    }
}

fn ensure(holds: bool, else_words: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(else_words()) }
}

/// Stops the gateway; gives the records of its calls by their ids, and its books.
async fn ended(gateway: Gateway) -> (Records, Value) {
    let ended = tokio::time::timeout(Duration::from_secs(20), gateway.stop()).await.expect("an end");
    let mut records: Records = HashMap::new();
    let mut books = Value::Null;
    for line in ended.output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if line["target"] == "tollgate::ledger" {
            books = line;
        } else if let (Some(call), true) = (line["call_id"].as_str(), line["took_ms"].is_number()) {
            records.entry(call.to_owned()).or_default().push(line);
        }
    }
    (records, books)
}

impl Outcome {
    /// What must hold in every cell, whatever the page says.
    fn check(&self, lines: &Records, calls: &[Call]) -> Result<(), String> {
        let Self { cell, told, .. } = self;
        let is_late = cell.when == When::AfterContent;
        let status = if is_late { 200 } else { cell.fault.status() };
        ensure(told.status == status, || format!("not {status}: {told:?}"))?;
        let attempts = cell.fault.attempts(cell.when);
        let (alone, helped) = (record(lines, told)?, record(lines, &self.fallback)?);
        ensure(alone["attempts"] == attempts, || format!("not {attempts} attempts: {alone}"))?;
        ensure(self.answered != is_late, || format!("the fallback: {:?}", self.fallback))?;
        let with_fallback = attempts + u64::from(self.answered);
        ensure(helped["attempts"] == with_fallback, || format!("not {with_fallback} attempts: {helped}"))?;
        let heard =
            |group: &str| calls.iter().filter(|call| call.path.starts_with(&format!("/{group}/"))).count() as u64;
        let heard = (heard(&cell.name()), heard(&cell.name_with_fallback()));
        ensure(!cell.fault.is_heard() || heard == (attempts, attempts), || format!("the provider heard {heard:?}"))
    }
}

/// The one record of a call.
fn record<'lines>(lines: &'lines Records, told: &Told) -> Result<&'lines Value, String> {
    match lines.get(&told.call).map(Vec::as_slice) {
        Some([one]) => Ok(one),
        others => Err(format!("not one record of {told:?}: {others:?}")),
    }
}

const HEAD: &str = include_str!("faults/head.md");

fn page(outcomes: &[Outcome], lines: &Records) -> String {
    let mut page = HEAD.to_owned();
    for lane in &LANES {
        let _ = write!(page, "\n## {} (`{}`)\n\n", lane.name, lane.path);
        page.push_str("| fault | whole | stream, before content | stream, after content |\n|---|---|---|---|\n");
        for fault in FAULTS {
            let cells = WHENS.map(|when| {
                let found = outcomes.iter().find(|outcome| {
                    outcome.cell.lane.name == lane.name && outcome.cell.fault == fault && outcome.cell.when == when
                });
                found.map_or_else(|| "–".to_owned(), |outcome| outcome.text(lines))
            });
            let _ = writeln!(page, "| {} | {} |", fault.name(), cells.join(" | "));
        }
    }
    page
}

impl Outcome {
    fn text(&self, lines: &Records) -> String {
        let Told { status, typed, class, .. } = &self.told;
        let attempts = record(lines, &self.told).map_or(&Value::Null, |record| &record["attempts"]);
        let told = if *status == 200 { "in-band".to_owned() } else { status.to_string() };
        let fallback = if self.answered { ", then the fallback" } else { "" };
        format!("{told} `{typed}` {class} · {attempts}×{fallback}")
    }
}

fn compare(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference/faults.md");
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, page).expect("the page can be written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let found = page.lines().find(|line| !kept.lines().any(|known| known == *line));
    assert!(kept == page, "docs/reference/faults.md is stale (UPDATE=1 rewrites it); new there: {found:?}");
}
