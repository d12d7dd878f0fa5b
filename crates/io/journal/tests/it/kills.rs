//! Real kills of a real process on a real disk.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tollgate_journal::{Journal, RealDisk, Settings};
use tollgate_kit::TempFolder;
use uuid::Uuid;

use crate::kit::{interval, records};

const FOLDER: &str = "TOLLGATE_JOURNAL_CHILD";
const LIFE: &str = "TOLLGATE_JOURNAL_LIFE";

/// Not a test by itself: what the next one starts and kills. It says the number of each record that it has written.
#[test]
fn the_process_that_is_killed() {
    let (Ok(folder), Ok(life)) = (env::var(FOLDER), env::var(LIFE)) else { return };
    let id = Uuid::from_u128(life.parse().unwrap());
    let disk = Arc::new(RealDisk::new(Path::new(&folder)));
    let (journal, _) = Journal::open(disk, interval(), id).unwrap();
    let mut out = std::io::stdout();
    for round in 0_u64.. {
        let payload = vec![u8::try_from(round % 251).unwrap(); usize::try_from(round % 37 * 100).unwrap()];
        let (position, mut entry) = journal.append_open(&payload, 50, Duration::from_millis(round)).unwrap();
        let closed = journal.append_close(&mut entry, &[1; 50], Duration::from_millis(round)).unwrap();
        writeln!(out, "wrote {} {}", position.sequence, closed.sequence).unwrap();
        if round % 50 == 49 {
            journal.sync().unwrap();
        }
    }
}

#[test]
fn house_13_12_a_kill_loses_nothing_that_was_acknowledged() {
    let kills: usize = env::var("JOURNAL_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let folder = TempFolder::new();
    let disk = Arc::new(RealDisk::new(folder.path()));
    for life in 1..=kills {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "kills::the_process_that_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(LIFE, life.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = Vec::new();
        let wanted = life * 7 % 61 + 1;
        let mut lines = lines.map_while(Result::ok);
        for line in lines.by_ref() {
            // The runner's own words may stand before the first line.
            let Some((_, numbers)) = line.split_once("wrote ") else { continue };
            told.extend(numbers.split(' ').map(|number| number.parse::<u64>().unwrap()));
            if told.len() >= 2 * wanted {
                child.kill().unwrap();
                break;
            }
        }
        // What it had said before it died counts, too; its last line may be cut.
        for line in lines {
            let numbers = line.split_once("wrote ").map(|(_, numbers)| numbers.split(' ').map(str::parse::<u64>));
            if let Some([Ok(open), Ok(close)]) = numbers.map(Iterator::collect::<Vec<_>>).as_deref() {
                told.extend([*open, *close].into_iter().take_while(|number| *number > 0));
            }
        }
        child.wait().unwrap();
        let last = told.len().saturating_sub(2);
        let reader = Uuid::from_u128(1_000_000 + life as u128);
        let (journal, mut found) =
            Journal::open(disk.clone(), Settings { keep_bytes: 0, ..interval() }, reader).unwrap();
        let dead = found.iter_mut().find(|found| found.journal().as_u128() == life as u128).unwrap();
        let there: Vec<u64> = records(dead).into_iter().map(|(sequence, _)| sequence).collect();
        assert!(told[..last].iter().all(|sequence| there.contains(sequence)), "life {life}");
        assert!(there.is_sorted_by(|one, other| one < other), "life {life}: twice");
        assert!(there.iter().copied().eq(1..=there.len() as u64), "life {life}: a hole");
        for found in &mut found {
            found.mark_projected().unwrap();
        }
        drop(found);
        journal.prune(Duration::ZERO).unwrap();
    }
}
