//! What a journal asks of a disk. [`crate::RealDisk`] is one; [`crate::FaultyDisk`] fails as it is told to.

use std::{fmt, io, sync::Arc, time::Duration};

/// A folder of journals, each of them a folder of files.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Whether it is known to be a file system of another machine, whose locks and promises are not to be trusted.
    ///
    /// # Errors
    /// The folder of journals cannot be made or looked at.
    fn is_remote(&self) -> io::Result<bool>;

    /// The folders in it.
    ///
    /// # Errors
    /// As the system says.
    fn folders(&self) -> io::Result<Vec<String>>;

    /// Makes a folder, which nobody ever sees without its lock.
    ///
    /// # Errors
    /// As the system says; there is a folder of this name.
    fn create_folder(&self, folder: &str) -> io::Result<Held>;

    /// Takes the lock of a folder; `None` while a living process has it.
    ///
    /// # Errors
    /// As the system says.
    fn lock(&self, folder: &str) -> io::Result<Option<Held>>;

    /// The files in a folder, without its lock.
    ///
    /// # Errors
    /// As the system says.
    fn files(&self, folder: &str) -> io::Result<Vec<Listed>>;

    /// Makes an empty file with room for so many bytes, to append to.
    ///
    /// # Errors
    /// As the system says, such as that there is no such room.
    fn create(&self, folder: &str, name: &str, room: u64) -> io::Result<Created>;

    /// Up to `most` bytes of a file.
    ///
    /// # Errors
    /// As the system says.
    fn read(&self, folder: &str, name: &str, from: u64, most: usize) -> io::Result<Vec<u8>>;

    /// Gives back the room behind the end of a file that nobody will append to any more.
    ///
    /// # Errors
    /// As the system says.
    fn trim(&self, folder: &str, name: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, folder: &str, name: &str) -> io::Result<()>;

    /// Removes a folder with all in it.
    ///
    /// # Errors
    /// As the system says.
    fn remove_folder(&self, folder: &str) -> io::Result<()>;

    /// Copies all files of a folder to a new one that is no journal's, and gives its name.
    ///
    /// # Errors
    /// As the system says.
    fn copy_aside(&self, folder: &str) -> io::Result<String>;

    /// Forces the names in a folder to disk.
    ///
    /// # Errors
    /// As the system says.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
}

/// The lock of a folder, which ends with it.
pub struct Held(Box<dyn Send + Sync>);

impl Held {
    /// A lock that is given back when `lock` is dropped.
    pub fn new(lock: impl Send + Sync + 'static) -> Self {
        Self(Box::new(lock))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_lock) = self;
        out.write_str("Held")
    }
}

/// A file to append to.
pub trait Appendable: Send + Sync + fmt::Debug {
    /// Writes what it can at the end, in one system call, and says how much.
    ///
    /// # Errors
    /// As the system says.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Forces the file to disk.
    ///
    /// # Errors
    /// What was written since the last time may be lost, whatever a second try says.
    fn sync(&self) -> io::Result<()>;
}

/// A file that was made.
#[derive(Debug)]
pub struct Created {
    /// To append to it.
    pub file: Arc<dyn Appendable>,
    /// Its room is really set aside.
    pub has_room: bool,
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// When it was written last, since 1970.
    pub modified: Duration,
}
