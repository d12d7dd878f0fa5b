//! What a record costs whoever appends it: one that opens something and one that ends it, on a real disk.
//! `cargo bench -p tollgate-journal`.
#![expect(clippy::expect_used, reason = "a benchmark on a disk that fails stops with a message")]

use std::{hint::black_box, sync::Arc, time::Duration};

use divan::{AllocProfiler, Bencher};
use tollgate_journal::{Fsync, Journal, RealDisk, Settings};
use tollgate_kit::TempFolder;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn journal(folder: &TempFolder) -> Journal {
    let settings = Settings { fsync: Fsync::Off, most_bytes: 16 << 30, ..Settings::default() };
    let disk = Arc::new(RealDisk::new(folder.path()));
    Journal::open(disk, settings, uuid::Uuid::from_u128(1)).expect("the folder can be written").0
}

#[divan::bench(args = [64, 600, 4096])]
fn append(bencher: Bencher<'_, '_>, bytes: usize) {
    let folder = TempFolder::new();
    let journal = journal(&folder);
    let payload = vec![7; bytes];
    bencher.bench_local(|| journal.append(black_box(&payload), Duration::ZERO).is_ok());
}

#[divan::bench(args = [600])]
fn open_and_close(bencher: Bencher<'_, '_>, bytes: usize) {
    let folder = TempFolder::new();
    let journal = journal(&folder);
    let payload = vec![7; bytes];
    bencher.bench_local(|| {
        let (_, mut entry) = journal.append_open(black_box(&payload), bytes, Duration::ZERO).expect("there is room");
        journal.append_close(&mut entry, &payload, Duration::ZERO).is_ok()
    });
}
