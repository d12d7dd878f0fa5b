//! A disk in memory that fails as it is told to, the same each time. For tests: of the journal, and of whatever stands on it.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::disk::{Appendable, Created, Disk, Held, Listed};

/// What goes wrong. Writes and syncs are counted from 0, over all files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This write takes only so many bytes.
    Short {
        /// Which write.
        write: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// This write fails and leaves so many bytes behind.
    WriteFails {
        /// Which write.
        write: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// This sync fails, and what was not on disk is lost: a later sync of the file succeeds without it.
    SyncFails {
        /// Which sync.
        sync: usize,
    },
    /// The process dies in this write, after so many bytes.
    DiesInWrite {
        /// Which write.
        write: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// The process dies before this sync has done anything.
    DiesInSync {
        /// Which sync.
        sync: usize,
    },
}

/// What is left when everything starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Everything that was written: the process was killed.
    Nothing,
    /// Power was lost: files have what was forced to disk, and of the rest what this number decides. Blocks that did not reach
    /// the disk read as zeros. Names that were not forced may be gone.
    Unsynced(u64),
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk {
    world: Arc<Mutex<World>>,
}

#[derive(Debug, Default)]
struct World {
    folders: BTreeMap<String, BTreeMap<String, Contents>>,
    locked: HashSet<String>,
    faults: Vec<Fault>,
    capacity: Option<u64>,
    is_read_only: bool,
    is_remote: bool,
    is_dead: bool,
    /// Files made before this life are not written any more.
    life: u64,
    writes: Vec<usize>,
    syncs: usize,
    now: Duration,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    bytes: Vec<u8>,
    /// How much of it is on disk.
    synced: usize,
    room: u64,
    is_named: bool,
    modified: Duration,
}

#[derive(Debug)]
struct MemoryFile {
    world: Arc<Mutex<World>>,
    folder: String,
    name: String,
    life: u64,
}

#[derive(Debug)]
struct MemoryLock {
    world: Arc<Mutex<World>>,
    folder: String,
    life: u64,
}

impl FaultyDisk {
    /// A disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on these go wrong.
    pub fn plan(&self, faults: &[Fault]) {
        let mut world = self.world();
        world.faults = faults.to_vec();
        world.writes.clear();
        world.syncs = 0;
    }

    /// So much fits on it; `None` for as much as there is.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// Nothing can be written to it.
    pub fn set_read_only(&self, is_read_only: bool) {
        self.world().is_read_only = is_read_only;
    }

    /// It is another machine's.
    pub fn set_remote(&self, is_remote: bool) {
        self.world().is_remote = is_remote;
    }

    /// The time that files are stamped with.
    pub fn set_time(&self, unix: Duration) {
        self.world().now = unix;
    }

    /// The length of every write since the faults were planned.
    #[must_use]
    pub fn writes(&self) -> Vec<usize> {
        self.world().writes.clone()
    }

    /// How many syncs there were since the faults were planned.
    #[must_use]
    pub fn syncs(&self) -> usize {
        self.world().syncs
    }

    /// What is taken, room in advance included.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.world().used()
    }

    /// The process has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.world().is_dead
    }

    /// Spoils a byte of a file.
    pub fn spoil(&self, folder: &str, name: &str, at: usize) {
        let mut world = self.world();
        let file = world.folders.get_mut(folder).and_then(|folder| folder.get_mut(name));
        if let Some(byte) = file.and_then(|file| file.bytes.get_mut(at)) {
            *byte ^= 0xff;
        }
    }

    /// The process ends, if it has not, and another one starts: locks are free, faults are over.
    pub fn restart(&self, loss: Loss) {
        let mut world = self.world();
        world.life += 1;
        world.locked.clear();
        world.is_dead = false;
        world.faults.clear();
        let Loss::Unsynced(mut seed) = loss else { return };
        for folder in world.folders.values_mut() {
            folder.retain(|_, file| file.is_named || roll(&mut seed).is_multiple_of(2));
            for file in folder.values_mut() {
                file.lose_power(&mut seed);
            }
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    /// A block of 512 bytes that was not forced is there, or reads as zeros, or the file ends before it.
    fn lose_power(&mut self, seed: &mut u64) {
        let unsynced = self.bytes.len() - self.synced;
        let keep = usize::try_from(roll(seed) % (unsynced as u64 + 1)).unwrap_or_default();
        self.bytes.truncate(self.synced + keep);
        let (synced, length) = (self.synced, self.bytes.len());
        for start in (synced..length).step_by(512) {
            if roll(seed).is_multiple_of(4) {
                let end = (start + 512).min(length);
                self.bytes.get_mut(start..end).unwrap_or_default().fill(0);
            }
        }
        self.synced = length;
        self.is_named = true;
    }
}

/// Chance that repeats: splitmix64.
fn roll(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl World {
    fn used(&self) -> u64 {
        let files = self.folders.values().flat_map(BTreeMap::values);
        files.map(|file| file.room.max(file.bytes.len() as u64)).sum()
    }

    fn check(&self, changes: bool) -> io::Result<()> {
        match () {
            () if self.is_dead => Err(io::Error::other("the process is dead")),
            () if changes && self.is_read_only => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            () => Ok(()),
        }
    }

    fn files(&mut self, folder: &str) -> io::Result<&mut BTreeMap<String, Contents>> {
        self.folders.get_mut(folder).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&mut self, folder: &str, name: &str) -> io::Result<&mut Contents> {
        self.files(folder)?.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn fault(&self, is_it: impl Fn(&Fault) -> bool) -> Option<Fault> {
        self.faults.iter().copied().find(is_it)
    }

    fn append(&mut self, folder: &str, name: &str, bytes: &[u8]) -> io::Result<usize> {
        self.check(true)?;
        let number = self.writes.len();
        self.writes.push(bytes.len());
        let fault = self.fault(|fault| match fault {
            Fault::Short { write, .. } | Fault::WriteFails { write, .. } | Fault::DiesInWrite { write, .. } => {
                *write == number
            }
            Fault::SyncFails { .. } | Fault::DiesInSync { .. } => false,
        });
        let wanted = match fault {
            Some(Fault::Short { bytes, .. } | Fault::WriteFails { bytes, .. } | Fault::DiesInWrite { bytes, .. }) => {
                bytes
            }
            _ => bytes.len(),
        };
        let free = self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()));
        let now = self.now;
        let file = self.file(folder, name)?;
        let in_room = file.room.saturating_sub(file.bytes.len() as u64);
        let fits = usize::try_from(free.saturating_add(in_room)).unwrap_or(usize::MAX);
        let taken = wanted.min(bytes.len()).min(fits);
        file.bytes.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        file.modified = now;
        match fault {
            Some(Fault::DiesInWrite { .. }) => {
                self.is_dead = true;
                Err(io::Error::other("the process is dead"))
            }
            Some(Fault::WriteFails { .. }) => Err(io::Error::other("the disk fails")),
            _ if taken == 0 && !bytes.is_empty() => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(taken),
        }
    }

    fn sync(&mut self, folder: &str, name: &str) -> io::Result<()> {
        self.check(true)?;
        let number = self.syncs;
        self.syncs += 1;
        let fault = self.fault(|fault| match fault {
            Fault::SyncFails { sync } | Fault::DiesInSync { sync } => *sync == number,
            _ => false,
        });
        if let Some(Fault::DiesInSync { .. }) = fault {
            self.is_dead = true;
            return Err(io::Error::other("the process is dead"));
        }
        let file = self.file(folder, name)?;
        let lost = file.synced;
        file.synced = file.bytes.len();
        if fault.is_some() {
            file.bytes.get_mut(lost..).unwrap_or_default().fill(0);
            return Err(io::Error::other("the disk fails"));
        }
        Ok(())
    }
}

impl Appendable for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if world.life != self.life {
            return Err(io::Error::other("the process is dead"));
        }
        world.append(&self.folder, &self.name, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner).sync(&self.folder, &self.name)
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if world.life == self.life {
            world.locked.remove(&self.folder);
        }
    }
}

impl Disk for FaultyDisk {
    fn is_remote(&self) -> io::Result<bool> {
        Ok(self.world().is_remote)
    }

    fn folders(&self) -> io::Result<Vec<String>> {
        let world = self.world();
        world.check(false)?;
        Ok(world.folders.keys().cloned().collect())
    }

    fn create_folder(&self, folder: &str) -> io::Result<Held> {
        let mut world = self.world();
        world.check(true)?;
        if world.folders.contains_key(folder) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.folders.insert(folder.to_owned(), BTreeMap::new());
        world.locked.insert(folder.to_owned());
        let life = world.life;
        Ok(Held::new(MemoryLock { world: Arc::clone(&self.world), folder: folder.to_owned(), life }))
    }

    fn lock(&self, folder: &str) -> io::Result<Option<Held>> {
        let mut world = self.world();
        world.check(false)?;
        world.files(folder)?;
        if !world.locked.insert(folder.to_owned()) {
            return Ok(None);
        }
        let life = world.life;
        Ok(Some(Held::new(MemoryLock { world: Arc::clone(&self.world), folder: folder.to_owned(), life })))
    }

    fn files(&self, folder: &str) -> io::Result<Vec<Listed>> {
        let mut world = self.world();
        world.check(false)?;
        let listed = |(name, file): (&String, &Contents)| Listed {
            name: name.clone(),
            bytes: file.bytes.len() as u64,
            modified: file.modified,
        };
        Ok(world.files(folder)?.iter().map(listed).collect())
    }

    fn create(&self, folder: &str, name: &str, room: u64) -> io::Result<Created> {
        let mut world = self.world();
        world.check(true)?;
        if world.capacity.is_some_and(|capacity| world.used() + room > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let (modified, life) = (world.now, world.life);
        let files = world.files(folder)?;
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        files.insert(name.to_owned(), Contents { room, modified, ..Contents::default() });
        let (folder, name) = (folder.to_owned(), name.to_owned());
        let file = Arc::new(MemoryFile { world: Arc::clone(&self.world), folder, name, life });
        Ok(Created { file, has_room: true })
    }

    fn read(&self, folder: &str, name: &str, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut world = self.world();
        world.check(false)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let bytes = world.file(folder, name)?.bytes.get(from..).unwrap_or_default();
        Ok(bytes.get(..most.min(bytes.len())).unwrap_or_default().to_vec())
    }

    fn trim(&self, folder: &str, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.check(true)?;
        world.file(folder, name)?.room = 0;
        Ok(())
    }

    fn remove(&self, folder: &str, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.check(true)?;
        world.files(folder)?.remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        let mut world = self.world();
        world.check(true)?;
        world.folders.remove(folder).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn copy_aside(&self, folder: &str) -> io::Result<String> {
        let mut world = self.world();
        world.check(true)?;
        let files = world.files(folder)?.clone();
        let name = format!("damaged-{folder}");
        world.folders.insert(name.clone(), files);
        Ok(name)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut world = self.world();
        world.check(true)?;
        world.files(folder)?.values_mut().for_each(|file| file.is_named = true);
        Ok(())
    }
}
