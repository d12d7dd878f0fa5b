//! A folder of a local file system.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use crate::disk::{Appendable, Created, Disk, Held, Listed};

/// The lock's file in each folder.
const LOCK: &str = "lock";
/// Folders that are being made. They get their name when they are locked.
const MAKING: &str = "making-";

/// Folders that are being removed: half a journal would look like one that is damaged.
const REMOVING: &str = "removing-";

/// The folder of journals in a data directory.
#[derive(Clone, Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// The folder `journal` in the data directory.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { root: data.join("journal") }
    }

    fn folder(&self, folder: &str) -> PathBuf {
        self.root.join(folder)
    }

    fn path(&self, folder: &str, name: &str) -> PathBuf {
        self.folder(folder).join(name)
    }
}

impl Disk for RealDisk {
    fn is_remote(&self) -> io::Result<bool> {
        fs::create_dir_all(&self.root)?;
        is_remote(&self.root)
    }

    fn folders(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if let (true, Ok(name)) = (entry.file_type()?.is_dir(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_folder(&self, folder: &str) -> io::Result<Held> {
        let making = self.folder(&format!("{MAKING}{folder}"));
        fs::create_dir_all(&making)?;
        // What a process has left that died while it removed one. Another one may be at it, too.
        for left in self.folders()?.iter().filter(|name| name.starts_with(REMOVING)) {
            let _ = fs::remove_dir_all(self.folder(left));
        }
        let lock = File::create_new(making.join(LOCK))?;
        lock.try_lock().map_err(io::Error::from)?;
        // The lock is the file's, so it goes with the folder to its new name.
        fs::rename(&making, self.folder(folder))?;
        File::open(&self.root)?.sync_all()?;
        Ok(Held::new(lock))
    }

    fn lock(&self, folder: &str) -> io::Result<Option<Held>> {
        let path = self.path(folder, LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Held::new(lock))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn files(&self, folder: &str) -> io::Result<Vec<Listed>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.folder(folder))? {
            let entry = entry?;
            let facts = entry.metadata()?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name != LOCK && facts.is_file() {
                let modified = facts.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
                files.push(Listed { name, bytes: facts.len(), modified });
            }
        }
        files.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }

    fn create(&self, folder: &str, name: &str, room: u64) -> io::Result<Created> {
        let path = self.path(folder, name);
        let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        match set_aside(&file, room) {
            Ok(has_room) => Ok(Created { file: Arc::new(Segment { file }), has_room }),
            Err(error) => {
                // It may have got part of the room, which others need now. Nothing more can be done if this fails, too.
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    fn read(&self, folder: &str, name: &str, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(folder, name))?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn trim(&self, folder: &str, name: &str) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path(folder, name))?;
        // Cut to the length that it has, a file loses what was set aside behind it.
        file.set_len(file.metadata()?.len())
    }

    fn remove(&self, folder: &str, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(folder, name))
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        let removing = self.folder(&format!("{REMOVING}{folder}"));
        fs::rename(self.folder(folder), &removing)?;
        fs::remove_dir_all(removing)
    }

    fn copy_aside(&self, folder: &str) -> io::Result<String> {
        let mut name = format!("damaged-{folder}");
        let mut count = 1_u32;
        while self.folder(&name).exists() {
            count += 1;
            name = format!("damaged-{folder}-{count}");
        }
        fs::create_dir(self.folder(&name))?;
        for file in self.files(folder)? {
            fs::copy(self.path(folder, &file.name), self.path(&name, &file.name))?;
        }
        Ok(name)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        File::open(self.folder(folder))?.sync_all()
    }
}

#[derive(Debug)]
struct Segment {
    /// Opened for appending, so that each write goes to the end.
    file: File,
}

impl Appendable for Segment {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.file).write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Room behind the end of the file: its length stays, so that appending leaves no hole.
#[cfg(target_os = "linux")]
fn set_aside(file: &File, room: u64) -> io::Result<bool> {
    use rustix::{fs::FallocateFlags, io::Errno};
    // The system refuses to give no room.
    if room == 0 {
        return Ok(true);
    }
    loop {
        return match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, room) {
            Ok(()) => Ok(true),
            Err(Errno::INTR) => continue,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        };
    }
}

/// Other systems have no call for it that the safe library offers.
#[cfg(not(target_os = "linux"))]
fn set_aside(_file: &File, _room: u64) -> io::Result<bool> {
    Ok(false)
}

/// The magic numbers of `statfs(2)`: NFS, SMB in three versions, Ceph, AFS twice, Lustre, Coda, NCP, OCFS2, GFS2.
#[cfg(target_os = "linux")]
fn is_remote(path: &Path) -> io::Result<bool> {
    const REMOTE: [u32; 12] = [
        0x6969,
        0x517B,
        0xFF53_4D42,
        0xFE53_4D42,
        0x00C3_6400,
        0x5346_414F,
        0x6B41_4653,
        0x0BD0_0BD0,
        0x7375_7245,
        0x564C,
        0x7461_636F,
        0x0116_1970,
    ];
    let facts = rustix::fs::statfs(path)?;
    // The field is signed on some machines and 64 bits wide on most; the numbers have 32.
    let kind = facts.f_type as u32;
    Ok(REMOTE.contains(&kind))
}

/// Cannot be told here.
#[cfg(not(target_os = "linux"))]
fn is_remote(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tollgate_kit::TempFolder;

    use super::*;

    fn touch(path: &Path, at: Duration) {
        let file = OpenOptions::new().append(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + at).unwrap();
    }

    #[test]
    fn a_folder_that_is_half_removed_is_no_journal_and_goes_with_the_next_start() {
        let folder = TempFolder::new();
        let disk = RealDisk::new(folder.path());
        fs::create_dir_all(disk.folder("removing-1")).unwrap();
        fs::write(disk.path("removing-1", "0000000003.segment"), "half").unwrap();
        let held = disk.create_folder("2").unwrap();
        assert_eq!(disk.folders().unwrap(), ["2"]);
        drop(held);
        disk.remove_folder("2").unwrap();
        assert_eq!(disk.folders().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let folder = TempFolder::new();
        let disk = RealDisk::new(folder.path());
        assert!(!disk.is_remote().unwrap());
        let held = disk.create_folder("a").unwrap();
        assert!(disk.lock("a").unwrap().is_none());
        drop(held);
        assert!(disk.lock("a").unwrap().is_some());
        assert_eq!(disk.folders().unwrap(), ["a"]);
    }

    #[test]
    fn room_is_set_aside_and_appending_leaves_no_hole() {
        let folder = TempFolder::new();
        let disk = RealDisk::new(folder.path());
        disk.is_remote().unwrap();
        let _held = disk.create_folder("a").unwrap();
        let created = disk.create("a", "s", 1 << 20).unwrap();
        assert_eq!(created.file.append(b"one").unwrap(), 3);
        assert_eq!(created.file.append(b"two").unwrap(), 3);
        created.file.sync().unwrap();
        let path = disk.path("a", "s");
        touch(&path, Duration::from_secs(77));
        let listed = Listed { name: "s".to_owned(), bytes: 6, modified: Duration::from_secs(77) };
        assert_eq!(disk.files("a").unwrap(), [listed]);
        assert_eq!(disk.read("a", "s", 2, 100).unwrap(), b"etwo");
        #[cfg(target_os = "linux")]
        if created.has_room {
            use std::os::unix::fs::MetadataExt;
            let blocks = fs::metadata(&path).unwrap().blocks();
            assert!(blocks * 512 >= 1 << 20, "only {blocks} blocks");
            disk.trim("a", "s").unwrap();
            let facts = fs::metadata(disk.path("a", "s")).unwrap();
            assert!(facts.len() == 6 && facts.blocks() < 64, "{} blocks", facts.blocks());
        }
    }
}
