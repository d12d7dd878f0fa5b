//! A real disk that is really full: a tmpfs of one megabyte, where mounting is permitted.

use std::{fs, path::Path, process::Command, sync::Arc};

use tollgate_journal::{AppendError, Journal, PAYLOAD_MOST, RealDisk};
use tollgate_kit::TempFolder;
use uuid::Uuid;

use crate::kit::{NOW, interval, records};

struct Mounted<'path>(&'path Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn house_13_9_a_really_full_disk_stops_what_is_new_and_nothing_that_runs() {
    let folder = TempFolder::new();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tollgate-test"])
        .arg(folder.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        println!("skipped: a tmpfs cannot be mounted here");
        return;
    }
    let small = Mounted(folder.path());
    let disk = Arc::new(RealDisk::new(small.0));
    let (journal, _) = Journal::open(disk.clone(), interval(), Uuid::from_u128(1)).unwrap();
    assert!(!journal.standing().lacks_promise);
    let mut entries = Vec::new();
    let refused = loop {
        match journal.append_open(&[1; 500], PAYLOAD_MOST, NOW) {
            Ok((_, entry)) => entries.push(entry),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::Full), "{refused}");
    assert!(entries.len() > 100, "only {}", entries.len());
    // Somebody else takes the last byte as well.
    let _ = fs::write(small.0.join("ballast"), vec![0; 1 << 20]);
    let (opened, last) = (entries.len(), entries.split_off(entries.len() / 2));
    for mut entry in last {
        journal.append_close(&mut entry, &[2; PAYLOAD_MOST], NOW).expect("its room was set aside");
    }
    fs::remove_file(small.0.join("ballast")).unwrap();
    journal.sync().unwrap();
    drop((entries, journal));
    let (_next, mut found) = Journal::open(disk, interval(), Uuid::from_u128(2)).unwrap();
    assert_eq!(records(&mut found[0]).len(), opened + opened.div_ceil(2));
}
