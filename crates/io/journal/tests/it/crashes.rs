//! Every crash point: a short life of a journal, stopped before and after every write and torn at every byte of it, and
//! at every sync.

use tollgate_journal::{Fault, FaultyDisk, Journal, Loss, PAYLOAD_MOST};

use crate::kit::{NOW, interval, open, records};

/// What the life of before has been told: records acknowledged, and those forced to disk.
#[derive(Default)]
struct Told {
    acknowledged: Vec<(u64, Vec<u8>)>,
    synced: u64,
}

/// Some calls with small records and large ones, over three segments. Ends at the first failure.
fn live(journal: &Journal, told: &mut Told) -> Option<()> {
    let large = [3; PAYLOAD_MOST];
    let mut open = Vec::new();
    for round in 0_u8..6 {
        let payload = [round; 20];
        let (position, entry) = journal.append_open(&payload, 30, NOW).ok()?;
        told.acknowledged.push((position.sequence, payload.to_vec()));
        open.push(entry);
        if round % 2 == 0 {
            let position = journal.append(&large, NOW).ok()?;
            told.acknowledged.push((position.sequence, large.to_vec()));
        }
        if round % 3 == 2 {
            journal.sync().ok()?;
            told.synced = journal.standing().synced;
            let mut first = open.remove(0);
            let payload = [round + 100; 30];
            let position = journal.append_close(&mut first, &payload, NOW).ok()?;
            told.acknowledged.push((position.sequence, payload.to_vec()));
        }
    }
    Some(())
}

/// How many bytes of a write there are when the process dies: all for small ones, the ends and some between for large ones.
fn cuts(length: usize) -> Vec<usize> {
    if length < 200 {
        (0..=length).collect()
    } else {
        (0..60).chain((60..length).step_by(97)).chain([length]).collect()
    }
}

fn check(fault: Fault, losses: &[Loss]) {
    for loss in losses {
        let disk = FaultyDisk::new();
        let (journal, _) = open(&disk, interval(), 1);
        disk.plan(&[fault]);
        let mut told = Told::default();
        let outcome = live(&journal, &mut told);
        assert!(outcome.is_none() && disk.is_dead(), "{fault:?} did not happen");
        disk.restart(*loss);
        drop(journal);
        let (_next, mut found) = open(&disk, interval(), 2);
        // A journal that never got a record is gone.
        let (damage, there) = found.first_mut().map_or_else(Default::default, |found| {
            (found.damage().expect("a crash is no damage").clone(), records(found))
        });
        if *loss == Loss::Nothing {
            // At most the record that was being written is there beyond what was acknowledged.
            let extra = there.len() - told.acknowledged.len();
            assert_eq!(there[..told.acknowledged.len()], told.acknowledged, "{fault:?}");
            assert!(extra <= 1 && damage.unsure.is_empty(), "{fault:?}: {extra} more, {damage:?}");
        } else {
            let forced = told.acknowledged.iter().filter(|(sequence, _)| *sequence <= told.synced);
            for record in forced {
                assert!(there.contains(record), "{fault:?} {loss:?}: {} is lost", record.0);
            }
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_process_dies() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    disk.plan(&[]);
    live(&journal, &mut Told::default()).expect("no fault is planned");
    let (writes, syncs) = (disk.writes(), disk.syncs());
    assert!(writes.len() > 10 && syncs >= 2, "{writes:?} {syncs}");

    let mut points = 0;
    for (write, length) in writes.into_iter().enumerate() {
        for bytes in cuts(length) {
            let losses = if bytes % 16 == 0 {
                &[Loss::Nothing, Loss::Unsynced(1), Loss::Unsynced(2)][..]
            } else {
                &[Loss::Nothing]
            };
            check(Fault::DiesInWrite { write, bytes }, losses);
            points += 1;
        }
    }
    for sync in 0..syncs {
        check(Fault::DiesInSync { sync }, &[Loss::Nothing, Loss::Unsynced(3), Loss::Unsynced(4), Loss::Unsynced(5)]);
        points += 1;
    }
    assert!(points > 800, "{points}");
}
