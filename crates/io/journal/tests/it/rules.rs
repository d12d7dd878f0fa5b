//! The rules of the house about the journal, one by one.

use std::time::Duration;

use proptest::prelude::*;
use tollgate_journal::{
    AppendError, Cursor, Disk, FRAME_MOST, Fault, FaultyDisk, Fsync, JournalError, Loss, Missing, PAYLOAD_MOST,
    Settings,
};

use crate::kit::{NOW, interval, open, records, settings, tail, try_open};

const LONG: [u8; PAYLOAD_MOST] = [7; PAYLOAD_MOST];

fn fill(journal: &tollgate_journal::Journal, count: usize, now: Duration) {
    for _ in 0..count {
        journal.append(&LONG, now).expect("there is room");
    }
}

#[test]
fn house_13_4_a_record_has_at_most_4_kib() {
    let (journal, _) = open(&FaultyDisk::new(), interval(), 1);
    let longer = [0; PAYLOAD_MOST + 1];
    assert!(journal.append(&LONG, NOW).is_ok());
    assert!(matches!(journal.append(&longer, NOW), Err(AppendError::TooLong(4097))));
    let (_, mut entry) = journal.append_open(b"open", 100, NOW).unwrap();
    assert!(matches!(journal.append_close(&mut entry, &longer, NOW), Err(AppendError::TooLong(4097))));
}

#[test]
fn house_13_5_a_record_is_one_write_by_the_caller() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    disk.plan(&[]);
    let (_, mut entry) = journal.append_open(b"open", 6, NOW).unwrap();
    journal.append_close(&mut entry, b"closed", NOW).unwrap();
    assert_eq!(disk.writes(), [48 + 4, 48 + 6]);
    assert_eq!(disk.syncs(), 0);
}

#[test]
fn house_13_8_a_folder_per_process_and_only_those_with_a_free_lock_are_taken_over() {
    let disk = FaultyDisk::new();
    let (living, _) = open(&disk, interval(), 1);
    let (second, found) = open(&disk, interval(), 2);
    assert!(found.is_empty(), "its process lives");
    living.append(b"of the first", NOW).unwrap();
    drop(living);
    let (_third, mut found) = open(&disk, interval(), 3);
    assert_eq!(found.len(), 1);
    assert_eq!(records(&mut found[0]), [(1, b"of the first".to_vec())]);
    let (_fourth, none) = open(&disk, interval(), 4);
    assert!(none.is_empty(), "the third has it");
    second.append(b"goes on", NOW).unwrap();
}

/// A segment as the program of a version wrote it.
fn golden(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

const GOLDEN: u128 = 0x01a2_0000_19b9_71fc_bb14_6e64_49be_ac5d;

#[test]
fn house_13_8_what_the_version_before_and_the_one_after_wrote_is_read() {
    let wanted = [(1, b"an attempt goes out".to_vec()), (2, b"it has ended".to_vec())];
    for (version, hex) in [
        (0, include_str!("../golden/version-0.hex")),
        (1, include_str!("../golden/version-1.hex")),
        (2, include_str!("../golden/version-2.hex")),
    ] {
        let disk = FaultyDisk::new();
        let id = uuid::Uuid::from_u128(GOLDEN);
        let held = disk.create_folder(&id.to_string()).unwrap();
        disk.create(&id.to_string(), "0000000001.segment", 0).unwrap().file.append(&golden(hex)).unwrap();
        drop(held);
        let (_next, mut found) = open(&disk, interval(), 1);
        assert_eq!(records(&mut found[0]), wanted, "version {version}");
        let damage = found[0].damage().unwrap();
        assert_eq!((damage.foreign, damage.skipped_bytes, damage.last), (0, 0, 2), "version {version}");
    }
}

#[test]
fn house_13_8_what_is_written_is_what_other_versions_expect() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), GOLDEN);
    journal.append(b"an attempt goes out", Duration::from_micros(1000)).unwrap();
    journal.append(b"it has ended", Duration::from_micros(2000)).unwrap();
    let written = disk.read(&journal.id().to_string(), "0000000001.segment", 0, usize::MAX).unwrap();
    assert_eq!(written, golden(include_str!("../golden/version-1.hex")), "these bytes change with the version only");
}

#[test]
fn house_13_8_a_network_file_system_is_refused() {
    let disk = FaultyDisk::new();
    disk.set_remote(true);
    assert!(matches!(try_open(&disk, interval(), 1), Err(JournalError::Remote)));
}

#[test]
fn house_13_8_a_segment_goes_when_all_is_projected_and_no_live_open_begins_in_it() {
    let disk = FaultyDisk::new();
    let keeps_nothing = Settings { keep_bytes: 0, ..interval() };
    let (journal, _) = open(&disk, keeps_nothing, 1);
    let (position, mut entry) = journal.append_open(b"open", 6, NOW).unwrap();
    fill(&journal, 10, NOW);
    journal.sync().unwrap();
    let before = disk.files(&journal.id().to_string()).unwrap().len();

    journal.release(position.sequence + 10);
    journal.prune(NOW).unwrap();
    let begun = disk.files(&journal.id().to_string()).unwrap();
    assert_eq!(begun[0].name, "0000000001.segment", "the open record is in it");

    journal.append_close(&mut entry, b"closed", NOW).unwrap();
    journal.sync().unwrap();
    journal.release(position.sequence + 11);
    journal.prune(NOW).unwrap();
    let after = disk.files(&journal.id().to_string()).unwrap();
    assert!(after.len() < before && after.iter().all(|file| file.name != begun[0].name), "{after:?}");

    // What is left begins in the middle, and nobody takes that for damage.
    disk.restart(Loss::Nothing);
    let (_next, mut found) = open(&disk, interval(), 2);
    assert!(found[0].damage().unwrap().begins_after > 0);
    assert_eq!(records(&mut found[0]).last().unwrap().1, b"closed");
}

#[test]
fn house_13_8_what_goes_from_the_middle_is_not_missed() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, Settings { keep_bytes: 0, ..interval() }, 1);
    let (_, _entry) = journal.append_open(b"open", 6, NOW).unwrap();
    fill(&journal, 20, NOW);
    journal.sync().unwrap();
    journal.release(21);
    journal.prune(NOW).unwrap();
    let late = NOW + Duration::from_mins(1);
    journal.append(b"late", late).unwrap();
    disk.restart(Loss::Nothing);

    let (_next, mut found) = open(&disk, interval(), 2);

    let left = records(&mut found[0]);
    assert!(left.len() < 12, "{} are left", left.len());
    assert_eq!((left[0].1.as_slice(), left.last().unwrap().1.as_slice()), (&b"open"[..], &b"late"[..]));
}

#[test]
fn house_13_8_replay_resynchronises_over_stumps_and_counts_what_it_skips() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    disk.plan(&[Fault::Short { write: 1, bytes: 20 }]);
    for text in [&b"one"[..], b"two", b"three"] {
        journal.append(text, NOW).unwrap();
    }
    assert_eq!(journal.standing().stumps, 1);
    disk.restart(Loss::Nothing);
    let (_next, mut found) = open(&disk, interval(), 2);
    assert_eq!(found[0].damage().unwrap().skipped_bytes, 20);
    assert_eq!(records(&mut found[0]), [(1, b"one".to_vec()), (2, b"two".to_vec()), (3, b"three".to_vec())]);
}

/// Three records, of which the second is spoiled; the last one is written so long after the others.
fn spoiled(later: Duration) -> FaultyDisk {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    for text in [&b"one"[..], b"two", b"six"] {
        journal.append(text, NOW).unwrap();
    }
    journal.append(b"end", NOW + later).unwrap();
    disk.spoil(&journal.id().to_string(), "0000000001.segment", 51 + 30);
    disk.restart(Loss::Nothing);
    disk
}

#[test]
fn house_13_8_a_record_missing_from_before_the_last_second_refuses_the_start() {
    let disk = spoiled(Duration::from_secs(2));
    let refused = try_open(&disk, interval(), 2);
    let Err(JournalError::Damaged { missing, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!(missing, &[Missing { first: 2, last: 2 }]);
    assert!(refused.unwrap_err().to_string().contains("misses records 2-2; start with --accept-journal-damage"));

    let (_next, mut found) = open(&disk, Settings { accept_damage: true, ..interval() }, 3);
    assert_eq!(found[0].copied(), Some(format!("damaged-{}", found[0].journal()).as_str()));
    assert_eq!(found[0].damage().unwrap().missing, [Missing { first: 2, last: 2 }]);
    assert_eq!(records(&mut found[0]).len(), 3);
}

#[test]
fn house_13_8_a_record_missing_from_the_last_second_is_normal() {
    let disk = spoiled(Duration::from_millis(900));
    let (_next, mut found) = open(&disk, interval(), 2);
    let damage = found[0].damage().unwrap();
    assert_eq!((damage.missing.len(), damage.unsure.as_slice()), (0, &[Missing { first: 2, last: 2 }][..]));
}

#[test]
fn house_13_9_an_open_is_accepted_only_with_room_for_its_settlement() {
    let disk = FaultyDisk::new();
    disk.set_capacity(Some(3 * 4 * FRAME_MOST as u64));
    let (journal, _) = open(&disk, interval(), 1);
    let mut entries = Vec::new();
    while let Ok((_, entry)) = journal.append_open(b"open", PAYLOAD_MOST, NOW) {
        entries.push(entry);
    }
    assert!(entries.len() > 4, "only {}", entries.len());
    assert!(matches!(journal.append(b"new", NOW), Err(AppendError::Full)) || journal.append(&LONG, NOW).is_err());
    // Nothing else is free, and yet everything that runs can settle.
    disk.set_capacity(Some(0));
    for entry in &mut entries {
        journal.append_close(entry, &LONG, NOW).expect("its room was set aside");
    }
    assert_eq!((journal.standing().running, journal.standing().set_aside), (0, 0));
}

#[test]
fn house_13_9_a_full_journal_refuses_what_is_new_and_heals_without_a_hand() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    disk.set_capacity(Some(0));
    while journal.append(&LONG, NOW).is_ok() {}
    assert!(journal.standing().is_full && journal.standing().refused > 0);
    disk.set_capacity(None);
    journal.sync().unwrap();
    assert!(!journal.standing().is_full);
    journal.append(&LONG, NOW).unwrap();
}

#[test]
fn house_13_9_a_journal_that_reaches_its_bound_is_full_until_the_store_has_taken_over() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, Settings { most_bytes: 4 * 4 * FRAME_MOST as u64, ..interval() }, 1);
    while journal.append(&LONG, NOW).is_ok() {}
    let last = journal.standing().written;
    assert!((10..=16).contains(&last), "{last}");
    journal.sync().unwrap();
    journal.release(last);
    journal.sync().unwrap();
    journal.append(&LONG, NOW).expect("what was only kept goes first");
}

#[test]
fn house_13_9_a_short_write_is_never_continued() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    disk.plan(&[Fault::Short { write: 0, bytes: 30 }]);
    journal.append(b"whole", NOW).unwrap();
    assert_eq!(disk.writes(), [53, 53]);
}

#[test]
fn house_13_9_a_write_that_fails_goes_to_the_next_segment_and_its_number_is_not_used_twice() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    disk.plan(&[Fault::WriteFails { write: 1, bytes: 53 }, Fault::WriteFails { write: 2, bytes: 0 }]);
    journal.append(b"one", NOW).unwrap();
    // It stands on the disk in full, although the system says that it failed, twice.
    assert!(matches!(journal.append(b"twice", NOW), Err(AppendError::Disk(_))));
    journal.append(b"three", NOW + Duration::from_mins(1)).unwrap();
    disk.restart(Loss::Nothing);
    let (_next, mut found) = open(&disk, interval(), 2);
    assert_eq!(records(&mut found[0]), [(1, b"one".to_vec()), (2, b"twice".to_vec()), (3, b"three".to_vec())]);
}

#[test]
fn house_13_9_after_a_failed_fsync_what_was_not_on_disk_is_written_again_elsewhere() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    journal.append(b"on disk", NOW).unwrap();
    journal.sync().unwrap();
    disk.plan(&[Fault::SyncFails { sync: 0 }]);
    let (_, mut entry) = journal.append_open(b"open", 6, NOW).unwrap();
    journal.append_close(&mut entry, b"closed", NOW).unwrap();
    journal.sync().unwrap();
    assert_eq!((journal.standing().failed_syncs, journal.standing().synced), (1, 3));
    let whole = [(1, b"on disk".to_vec()), (2, b"open".to_vec()), (3, b"closed".to_vec())];
    assert_eq!(tail(&journal), whole);
    disk.restart(Loss::Unsynced(5));
    let (_next, mut found) = open(&disk, interval(), 2);
    assert_eq!(records(&mut found[0]), whole);
}

#[test]
fn house_13_9_what_could_not_be_forced_is_written_again_when_there_is_room() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    journal.append(b"kept", NOW).unwrap();
    disk.set_capacity(Some(0));
    disk.plan(&[Fault::SyncFails { sync: 0 }]);
    assert!(journal.sync().is_err() && journal.sync().is_err(), "there is no room for another segment");
    assert_eq!((journal.standing().synced, tail(&journal).len()), (0, 0));
    disk.set_capacity(None);
    journal.sync().unwrap();
    assert_eq!(tail(&journal), [(1, b"kept".to_vec())]);
    disk.restart(Loss::Unsynced(1));
    let (_next, mut found) = open(&disk, interval(), 2);
    assert_eq!(records(&mut found[0]), [(1, b"kept".to_vec())]);
}

#[test]
fn house_13_9_a_record_that_failed_is_neither_written_later_nor_missed() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    journal.append(b"one", NOW).unwrap();
    let nothing = |write| Fault::WriteFails { write, bytes: 0 };
    disk.plan(&[nothing(0), nothing(1), Fault::SyncFails { sync: 0 }]);
    assert!(journal.append(b"two", NOW).is_err());
    journal.append(b"three", NOW).unwrap();
    journal.append(b"four", NOW + Duration::from_mins(1)).unwrap();
    journal.sync().unwrap();
    let there = [(1, b"one".to_vec()), (3, b"three".to_vec()), (4, b"four".to_vec())];
    assert_eq!(tail(&journal), there);
    disk.restart(Loss::Nothing);
    let (_next, mut found) = open(&disk, interval(), 2);
    assert!(found[0].damage().unwrap().unsure.is_empty());
    assert_eq!(records(&mut found[0]), there);
}

#[test]
fn a_journal_that_is_found_takes_no_more_room_than_its_records() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    journal.append(b"one", NOW).unwrap();
    let (idle, _) = open(&disk, interval(), 2);
    drop((journal, idle));
    let (next, found) = open(&disk, interval(), 3);
    assert_eq!(found.len(), 1, "there was nothing in the other one");
    assert_eq!(disk.used(), 51 + next.standing().bytes);
    assert_eq!(disk.folders().unwrap().len(), 2);
}

#[test]
fn a_journal_is_looked_at_while_it_is_written_and_left_as_it_is() {
    let disk = FaultyDisk::new();
    let (living, _) = open(&disk, interval(), 1);
    let (dead, _) = open(&disk, interval(), 2);
    living.append(b"of the living", NOW).unwrap();
    dead.append(b"of the dead", NOW).unwrap();
    drop(dead);
    let shared: std::sync::Arc<dyn Disk> = std::sync::Arc::new(disk.clone());
    for _ in 0..2 {
        let looked = tollgate_journal::look(&shared).unwrap();
        assert_eq!(looked.iter().map(|one| one.is_held).collect::<Vec<_>>(), [true, false]);
        let payload = |one: &tollgate_journal::Looked| one.replay().next().unwrap().unwrap().payload;
        assert_eq!((payload(&looked[0]), payload(&looked[1])), (b"of the living".to_vec(), b"of the dead".to_vec()));
    }
    living.append(b"it goes on", NOW).unwrap();
    let (_next, found) = open(&disk, interval(), 3);
    assert_eq!(found.len(), 1, "the lock of the dead one is free again");
}

#[test]
fn house_13_8_nothing_is_released_that_power_could_take_back() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, Settings { keep_bytes: 0, ..interval() }, 1);
    fill(&journal, 10, NOW);
    journal.release(10);
    journal.prune(NOW).unwrap();
    journal.sync().unwrap();
    assert_eq!(tail(&journal).len(), 10);
}

#[test]
fn house_13_9_a_read_only_disk_fails_the_start_and_what_runs() {
    let disk = FaultyDisk::new();
    disk.set_read_only(true);
    assert!(matches!(try_open(&disk, interval(), 1), Err(JournalError::Disk { .. })));
    disk.set_read_only(false);
    let (journal, _) = open(&disk, interval(), 2);
    disk.set_read_only(true);
    assert!(journal.append(b"new", NOW).is_err());
    disk.set_read_only(false);
    journal.sync().unwrap();
    assert!(journal.append(b"new", NOW).is_ok());
}

#[test]
fn house_13_9_a_disk_that_turns_read_only_refuses_what_is_new_until_it_can_be_written_again() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    let (_, mut entry) = journal.append_open(b"open", 100, NOW).unwrap();
    disk.set_read_only(true);
    assert!(journal.append_close(&mut entry, b"close", NOW).is_err(), "nothing can be written");
    assert!(journal.standing().is_full, "and that is told");
    // Whoever looks after it finds that it is so still, whatever room was set aside before.
    let _ = journal.sync();
    assert!(journal.standing().is_full);
    assert!(matches!(journal.append_open(b"new", 100, NOW), Err(AppendError::Full)));
    disk.set_read_only(false);
    journal.sync().unwrap();
    assert!(!journal.standing().is_full, "it heals without a hand");
    journal.append_close(&mut entry, b"close", NOW).expect("what ran can settle after all");
    journal.sync().unwrap();
    assert_eq!(tail(&journal).into_iter().map(|(_, payload)| payload).collect::<Vec<_>>(), [&b"open"[..], b"close"]);
    let files = disk.files(&journal.id().to_string()).unwrap();
    assert!(files.iter().all(|file| file.name.ends_with(".segment")), "{files:?}");
}

#[test]
fn house_13_9_a_disk_that_cannot_force_for_long_fills_no_more_than_its_bound_and_heals() {
    let disk = FaultyDisk::new();
    let bound = 8 * 4 * FRAME_MOST as u64;
    let (journal, _) = open(&disk, Settings { most_bytes: bound, ..interval() }, 1);
    journal.append(b"before", NOW).unwrap();
    journal.sync().unwrap();
    disk.plan(&(0..1000).map(|sync| Fault::SyncFails { sync }).collect::<Vec<_>>());
    let mut acknowledged = vec![b"before".to_vec()];
    for round in 0_u8..100 {
        if journal.append(&[round; 30], NOW).is_ok() {
            acknowledged.push(vec![round; 30]);
        }
        assert!(journal.sync().is_err(), "round {round}");
        assert!(disk.used() <= bound, "{} bytes in round {round}", disk.used());
    }
    assert!(acknowledged.len() > 10, "only {}", acknowledged.len());
    disk.plan(&[]);
    journal.sync().expect("the disk is well again");
    journal.append(b"after", NOW).expect("there is room again");
    acknowledged.push(b"after".to_vec());
    journal.sync().unwrap();
    assert_eq!(tail(&journal).into_iter().map(|(_, payload)| payload).collect::<Vec<_>>(), acknowledged);
    disk.restart(Loss::Nothing);
    drop(journal);
    let (_next, mut found) = open(&disk, interval(), 2);
    let there: Vec<_> = records(&mut found[0]).into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(there, acknowledged, "and all of it is found after a kill");
}

#[test]
fn house_13_7_projected_segments_are_kept_so_long_and_so_many_bytes() {
    let disk = FaultyDisk::new();
    let (day, week) = (Duration::from_hours(24), Duration::from_hours(7 * 24));
    let keeps = Settings { keep_bytes: 5 * 4 * FRAME_MOST as u64, ..interval() };
    let (journal, _) = open(&disk, keeps, 1);
    let count = || disk.files(&journal.id().to_string()).unwrap().iter().filter(|file| file.bytes > 0).count();
    fill(&journal, 40, NOW);
    journal.sync().unwrap();
    journal.release(40);
    assert_eq!(count(), 10);
    journal.prune(day).unwrap();
    assert_eq!(count(), 5 + 1, "the oldest beyond the bytes are gone, the one being written is not counted");
    journal.prune(week).unwrap();
    assert_eq!(count(), 1, "they are a week old");
    // What the store has not taken over stays, however old and large.
    fill(&journal, 40, NOW);
    journal.sync().unwrap();
    journal.prune(2 * week).unwrap();
    assert_eq!(count(), 11);
}

#[test]
fn house_13_7_a_journal_that_was_found_is_kept_for_a_restored_store() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    journal.append(b"one", NOW).unwrap();
    journal.append(b"two", NOW).unwrap();
    drop(journal);
    let (second, mut found) = open(&disk, interval(), 2);
    second.append(b"of the second", NOW).unwrap();
    assert_eq!(found[0].checkpoint(), None);
    found[0].mark_projected().unwrap();
    drop((second, found));

    let (third, mut found) = open(&disk, interval(), 3);
    let first = found.iter_mut().find(|found| found.journal().as_u128() == 1).unwrap();
    assert_eq!(first.checkpoint(), Some(2));
    let after: Vec<_> = first.replay(1).unwrap().map(|entry| entry.unwrap().payload).collect();
    assert_eq!(after, [b"two".to_vec()], "a store restored from a backup asks again");
    drop(found);
    third.prune(Duration::from_hours(7 * 24)).unwrap();
    let left = disk.folders().unwrap();
    assert!(!left.contains(&uuid::Uuid::from_u128(1).to_string()), "{left:?}");
    assert!(left.contains(&uuid::Uuid::from_u128(2).to_string()), "nobody said that it is in the store: {left:?}");
}

#[test]
fn house_13_12_with_always_a_record_is_on_disk_when_its_append_returns() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, settings(Fsync::Always), 1);
    journal.append(b"one", NOW).unwrap();
    assert_eq!(journal.standing().synced, 1);
    disk.plan(&[Fault::SyncFails { sync: 0 }, Fault::SyncFails { sync: 1 }, Fault::SyncFails { sync: 2 }]);
    assert!(matches!(journal.append(b"two", NOW), Err(AppendError::Disk(_))), "it is not promised");
    journal.append(b"three", NOW).unwrap();
    disk.restart(Loss::Unsynced(9));
    let (_next, mut found) = open(&disk, interval(), 2);
    assert_eq!(records(&mut found[0]).len(), 3);
}

#[test]
fn house_13_12_one_fsync_serves_all_who_wait() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, settings(Fsync::Always), 1);
    disk.plan(&[]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| assert!(journal.append(b"x", NOW).is_ok())));
        }
    });
    assert_eq!(journal.standing().synced, 400);
    assert!(disk.syncs() <= 400 + 8, "{} syncs for 400 records", disk.syncs());
}

#[test]
fn house_13_12_off_forces_nothing_until_the_end() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, settings(Fsync::Off), 1);
    disk.plan(&[]);
    fill(&journal, 20, NOW);
    journal.sync().unwrap();
    assert_eq!((disk.syncs(), tail(&journal).len()), (0, 20));
    journal.force().unwrap();
    assert!(disk.syncs() > 0);
}

#[test]
fn an_entry_that_is_dropped_gives_its_room_back_and_stays_open() {
    let (journal, _) = open(&FaultyDisk::new(), interval(), 1);
    let (_, entry) = journal.append_open(b"open", 100, NOW).unwrap();
    assert_eq!((journal.standing().running, journal.standing().set_aside), (1, 148));
    drop(entry);
    assert_eq!((journal.standing().running, journal.standing().set_aside), (0, 0));
}

#[test]
fn records_written_by_many_at_once_are_all_there_in_order() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let (_, mut entry) = journal.append_open(&LONG[..200], 200, NOW).unwrap();
                    journal.append_close(&mut entry, &LONG[..100], NOW).unwrap();
                }
            });
        }
        scope.spawn(|| (0..20).for_each(|_| journal.sync().unwrap()));
    });
    journal.sync().unwrap();
    let sequences: Vec<u64> = tail(&journal).into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(sequences, (1..=400).collect::<Vec<_>>());
}

#[test]
fn a_follower_reads_on_where_it_stopped_over_many_segments() {
    let (journal, _) = open(&FaultyDisk::new(), interval(), 1);
    let (mut cursor, mut read) = (Cursor::after(3), Vec::new());
    for round in 0..10 {
        fill(&journal, 7, NOW);
        journal.append(b"short", NOW).unwrap();
        if round % 3 != 0 {
            journal.sync().unwrap();
        }
        let mut left = 5;
        let take = |position: tollgate_journal::Position, _: &[u8]| {
            read.push(position.sequence);
            left -= 1;
            left > 0
        };
        journal.tail(&mut cursor, take).unwrap();
    }
    journal.sync().unwrap();
    journal
        .tail(&mut cursor, |position, _| {
            read.push(position.sequence);
            true
        })
        .unwrap();
    assert_eq!(read, (4..=80).collect::<Vec<_>>());
}

#[test]
fn a_follower_reads_what_stands_behind_a_failed_write_that_left_more_than_it_said() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    disk.plan(&[Fault::WriteFails { write: 0, bytes: 9 }, Fault::WriteFails { write: 1, bytes: 9 }]);
    assert!(journal.append(b"lost", NOW).is_err());
    journal.append(b"two", NOW).unwrap();
    journal.sync().unwrap();
    assert_eq!(tail(&journal), [(2, b"two".to_vec())]);
}

#[test]
fn a_follower_passes_over_a_segment_that_was_written_again() {
    let disk = FaultyDisk::new();
    let (journal, _) = open(&disk, interval(), 1);
    disk.plan(&[Fault::WriteFails { write: 1, bytes: 0 }, Fault::SyncFails { sync: 1 }]);
    journal.append(b"one", NOW).unwrap();
    journal.sync().unwrap();
    journal.append(b"two", NOW).unwrap();
    journal.release(1);
    journal.prune(Duration::from_hours(30 * 24)).unwrap();
    journal.sync().unwrap();
    assert_eq!(tail(&journal), [(2, b"two".to_vec())]);
}

/// One step of a journal's life.
#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Open(usize),
    Close,
    Drop,
    Sync,
    Release,
    Prune,
    Kill,
    LosePower(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![4 => 0..200_usize, 1 => Just(PAYLOAD_MOST)];
    prop_oneof![
        6 => length().prop_map(Step::Append),
        6 => length().prop_map(Step::Open),
        4 => Just(Step::Close),
        1 => Just(Step::Drop),
        3 => Just(Step::Sync),
        1 => Just(Step::Release),
        1 => Just(Step::Prune),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::LosePower),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (0..40_usize, 0..300_usize).prop_map(|(write, bytes)| Fault::Short { write, bytes }),
        (0..40_usize, 0..300_usize).prop_map(|(write, bytes)| Fault::WriteFails { write, bytes }),
        (0..10_usize).prop_map(|sync| Fault::SyncFails { sync }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: what was acknowledged is there once and in order after a kill; after a loss of power what was forced
    /// to disk is.
    #[test]
    fn what_was_acknowledged_is_found_again(
        steps in proptest::collection::vec(step(), 1..80),
        faults in proptest::collection::vec(fault(), 0..6),
    ) {
        let disk = FaultyDisk::new();
        let (mut journal, mut id) = (open(&disk, interval(), 1).0, 1);
        let (mut known, mut entries) = (Vec::<u64>::new(), Vec::new());
        let mut released = 0;
        disk.plan(&faults);
        for step in steps {
            match step {
                Step::Append(length) => {
                    known.extend(journal.append(&LONG[..length], NOW).ok().map(|position| position.sequence));
                }
                Step::Open(length) => {
                    if let Ok((position, entry)) = journal.append_open(&LONG[..length], 300, NOW) {
                        known.push(position.sequence);
                        entries.push(entry);
                    }
                }
                Step::Close => {
                    if let Some(mut entry) = entries.pop() {
                        let closed = journal.append_close(&mut entry, &LONG[..300], NOW);
                        known.extend(closed.ok().map(|position| position.sequence));
                    }
                }
                Step::Drop => drop(entries.pop()),
                Step::Sync => drop(journal.sync()),
                Step::Release => {
                    released = journal.standing().synced;
                    journal.release(released);
                }
                Step::Prune => journal.prune(Duration::from_hours(24 * 30)).unwrap(),
                Step::Kill | Step::LosePower(_) => {
                    let synced = journal.standing().synced;
                    entries.clear();
                    drop(journal);
                    let loss = match step {
                        Step::LosePower(seed) => Loss::Unsynced(seed),
                        _ => Loss::Nothing,
                    };
                    disk.restart(loss);
                    id += 1;
                    let (next, mut found) = open(&disk, interval(), id);
                    let before = found.iter_mut().find(|found| found.journal().as_u128() == id - 1);
                    // A journal that never got a record is gone.
                    let (damage, there) = before.map_or_else(Default::default, |found| {
                        (found.damage().unwrap().clone(), records(found))
                    });
                    let there: Vec<u64> = there.into_iter().map(|(sequence, _)| sequence).collect();
                    prop_assert!(there.is_sorted_by(|one, other| one < other));
                    let promised = |sequence: &&u64| {
                        **sequence > released && (loss == Loss::Nothing || **sequence <= synced)
                    };
                    for sequence in known.iter().filter(promised) {
                        prop_assert!(there.contains(sequence), "{sequence} is lost: {there:?} {damage:?}");
                    }
                    (journal, released) = (next, 0);
                    known.clear();
                    disk.plan(&faults);
                }
            }
        }
        // And one who follows the living journal sees the same.
        disk.plan(&[]);
        journal.sync().unwrap();
        let there: Vec<u64> = tail(&journal).into_iter().map(|(sequence, _)| sequence).collect();
        prop_assert!(known.iter().filter(|sequence| **sequence > released).all(|sequence| there.contains(sequence)));
    }
}
