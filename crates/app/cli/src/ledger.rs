//! `ledger verify` and `ledger show`: what the store and the journals of this machine say, beside a gateway that runs or after
//! one that was killed. Nothing is changed.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use serde_json::Value;
use tokio::runtime::Builder;
use tollgate_gateway::review::{Review, Reviewed, Said, review, scope, trace};
use tollgate_journal::Disk;
use tollgate_store::{Lease, NanoDollars, Store, Window};

use crate::{
    args::{Ledger, LedgerCommand, Options},
    config,
    environment::Environment,
    out, store,
};

/// Something differs, or nothing is known.
const FOUND: u8 = 1;
/// Nothing can be said.
const UNREADABLE: u8 = 2;

/// Does what is asked; 2 if the ledger cannot be read.
pub(crate) fn run(options: &Options, ledger: &Ledger, environment: Environment) -> ExitCode {
    let done = match &ledger.command {
        LedgerCommand::Verify(asked) => verify(options, environment, asked.json),
        LedgerCommand::Show(asked) => show(options, environment, &asked.id, asked.place.json),
    };
    done.unwrap_or_else(|error| {
        out::aside(&format!("error: {error:#}"));
        ExitCode::from(UNREADABLE)
    })
}

/// The store and the journals of a configuration, for somebody who reads.
struct Opened {
    store: Store,
    disk: Option<Arc<dyn Disk>>,
}

async fn open(options: &Options, environment: Environment) -> anyhow::Result<Opened> {
    let loaded = config::load(options, environment)?;
    let store = store::look(options, &loaded.config, &loaded.environment).await?;
    Ok(Opened { store, disk: store::journals(options, &loaded.environment) })
}

fn within<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    Builder::new_current_thread().enable_all().build().context("the runtime cannot start")?.block_on(work)
}

fn verify(options: &Options, environment: Environment, json: bool) -> anyhow::Result<ExitCode> {
    let found = within(async {
        let Opened { store, disk } = open(options, environment).await?;
        review(&store, disk.as_ref()).await.context("the ledger cannot be read")
    })?;
    match json {
        true => out::line(&format!("{:#}", found.to_json())),
        false => told(&found).iter().for_each(|line| out::line(line)),
    }
    Ok(if found.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn told(found: &Review) -> Vec<String> {
    let mut lines: Vec<String> = found.journals.iter().map(journal).collect();
    if found.elsewhere > 0 {
        let words = "journals are on other machines or gone; their records were not compared";
        lines.push(format!("{} {words}", found.elsewhere));
    }
    for (window, pending) in &found.pending {
        let (settled, unknown) = (usd(pending.settled), usd(pending.unknown));
        lines.push(format!("not in the store yet: {}: {settled} spent, {unknown} unknown", scope(window)));
    }
    lines.extend(found.leases.iter().map(leased));
    let (compared, folded) = (found.compared, found.folded);
    lines.push(format!("{compared} records compared with the store, {folded} known by their sums alone"));
    let (count, held) = found.unknown;
    lines.push(format!("{count} attempts are unknown: {} held", usd(held)));
    if found.quarantined.0 > 0 {
        let (count, amount) = found.quarantined;
        lines.push(format!("{count} records are in quarantine: {} in no total", usd(amount)));
    }
    lines.extend(wrong(found));
    lines.push(format!("difference {}", usd(found.difference())));
    lines
}

fn journal(one: &Reviewed) -> String {
    let state = if one.is_held { "being written" } else { "ended" };
    let (in_store, open) = (one.watermark.min(one.last), one.open);
    let mut line = format!(
        "journal {} ({state}): {} records, {in_store} in the store, {open} attempts open",
        one.journal, one.last
    );
    if one.skipped_bytes > 0 {
        line.push_str(&format!(", {} bytes that are no record", one.skipped_bytes));
    }
    if one.unread > 0 {
        line.push_str(&format!(", {} records of a newer version", one.unread));
    }
    line
}

/// What differs or is missing.
fn wrong(found: &Review) -> Vec<String> {
    let mut lines = Vec::new();
    for one in &found.differences {
        let mut line = format!("DIFFERS {}:", scope(&one.window));
        for (what, (said, is)) in [("spent", one.settled), ("unknown", one.unknown)] {
            if said != is {
                line.push_str(&format!(" {what} {} by its total, {} by what it is made of", usd(said), usd(is)));
            }
        }
        lines.push(line);
    }
    for lost in &found.lost {
        let (first, last) = lost.records;
        let records = if first == last { format!("record {first}") } else { format!("records {first} to {last}") };
        let id = lost.id.map(|id| format!(" ({id}, {})", usd(lost.amount))).unwrap_or_default();
        lines.push(format!("LOST {records} of journal {}{id}: {}", lost.journal, lost.what));
    }
    let orphans = found.orphans.iter().map(|lease| format!("ORPHANED {}: its instance is gone", leased(lease)));
    lines.extend(orphans);
    lines
}

fn leased(lease: &Lease) -> String {
    let window = Window { kind: lease.kind.clone(), id: lease.id.clone(), start: lease.window_start };
    format!(
        "lease of {} from {}: {} granted, {} used, {} reserved",
        lease.instance,
        scope(&window),
        usd(lease.granted),
        usd(lease.used),
        usd(lease.reserved)
    )
}

fn show(options: &Options, environment: Environment, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let found = within(async {
        let Opened { store, disk } = open(options, environment).await?;
        trace(&store, disk.as_ref(), id).await.context("the ledger cannot be read")
    })?;
    if found.is_empty() {
        out::aside(&format!(
            "nothing is known of {id}: it is the id of no call, attempt or answer in the store or the journals here"
        ));
        return Ok(ExitCode::from(FOUND));
    }
    match json {
        true => out::line(&format!("{:#}", Value::from_iter(found.iter().map(Said::to_json)))),
        false => found.iter().for_each(|said| line(said).iter().for_each(|line| out::line(line))),
    }
    Ok(ExitCode::SUCCESS)
}

fn line(said: &Said) -> [String; 2] {
    let all = said.to_json();
    let at = all.get("at").and_then(Value::as_str).unwrap_or_default();
    let amount = said.amount.map_or_else(|| "no price".to_owned(), usd);
    let certainty = if said.certainty.is_empty() { String::new() } else { format!(", {}", said.certainty) };
    let more: Vec<String> = said
        .more
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    [
        format!("{at} {} {} {amount}{certainty} [{}]", said.what, said.attempt, said.place),
        format!("    {} | {}", said.scopes.join(", "), more.join(" ")),
    ]
}

/// USD with nine decimals.
fn usd(amount: NanoDollars) -> String {
    let (whole, rest) = (amount.0.unsigned_abs() / 1_000_000_000, amount.0.unsigned_abs() % 1_000_000_000);
    format!("{}{whole}.{rest:09} USD", if amount.0 < 0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use tollgate_gateway::review::Lost;
    use tollgate_store::{Difference, EpochMs};

    use super::*;

    #[test]
    fn money_is_shown_with_all_that_is_booked() {
        assert_eq!(usd(NanoDollars(1_000_000_001)), "1.000000001 USD");
        assert_eq!(usd(NanoDollars(-5)), "-0.000000005 USD");
    }
    #[test]
    fn what_is_wrong_is_said_with_where_and_by_how_much() {
        let window = Window { kind: "key".to_owned(), id: "k".to_owned(), start: EpochMs(0) };
        let nanos = |said, is| (NanoDollars(said), NanoDollars(is));
        let journal = uuid::Uuid::nil();
        let found = Review {
            differences: vec![Difference { window, settled: nanos(7, 5), unknown: nanos(1, 1) }],
            lost: vec![
                Lost {
                    journal,
                    records: (3, 3),
                    id: Some(journal),
                    amount: NanoDollars(9),
                    what: "it is gone".to_owned(),
                },
                Lost { journal, records: (4, 6), id: None, amount: NanoDollars(0), what: "they are gone".to_owned() },
            ],
            ..Review::default()
        };
        assert!(!found.is_sound());
        let lines = told(&found).join("\n");
        for line in [
            "DIFFERS key:k: spent 0.000000007 USD by its total, 0.000000005 USD by what it is made of",
            "LOST record 3 of journal 00000000-0000-0000-0000-000000000000 (00000000-0000-0000-0000-000000000000, 0.000000009 USD): \
             it is gone",
            "LOST records 4 to 6 of journal 00000000-0000-0000-0000-000000000000: they are gone",
            "difference 0.000000002 USD",
        ] {
            assert!(lines.lines().any(|said| said == line), "no {line:?} in\n{lines}");
        }
    }
}
