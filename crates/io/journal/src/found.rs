//! Journals whose processes have ended: taken over, read in order, kept for a while.

use std::{collections::VecDeque, io, ops::Range, sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    disk::{Disk, Held, Listed},
    journal::{Journal, JournalError, Position},
    segments,
    settings::Settings,
    survey::{Damage, Part, Survey, survey, walk},
};

/// A file without content, whose name says up to which record a journal is in the store. A hint: the store knows.
const PROJECTED: &str = "projected-";

/// A journal that a process left, locked.
#[derive(Debug)]
pub struct Found {
    disk: Arc<dyn Disk>,
    settings: Settings,
    journal: Uuid,
    folder: String,
    survey: Option<Survey>,
    checkpoint: Option<u64>,
    copied: Option<String>,
    _held: Held,
}

/// A journal as it is on disk, looked at without its lock: its process may be writing it.
#[derive(Debug)]
pub struct Looked {
    /// The journal's id.
    pub journal: Uuid,
    /// A process has it.
    pub is_held: bool,
    /// What it went through. Of a journal that is being written the last record may be there in part.
    pub damage: Damage,
    parts: Vec<Part>,
    folder: String,
    disk: Arc<dyn Disk>,
}

impl Looked {
    /// Its records in order, as far as they had been written when it was looked at or read.
    #[must_use]
    pub fn replay(&self) -> Replay {
        Replay::new(&self.disk, self.journal, &self.folder, &self.parts, 0)
    }
}

/// Looks at every journal on a disk, and changes nothing: for those who want to read what was written down.
///
/// # Errors
/// The disk fails. Missing records are told, not refused.
pub fn look(disk: &Arc<dyn Disk>) -> Result<Vec<Looked>, JournalError> {
    let fail = || JournalError::disk("look at");
    let mut journals = Vec::new();
    for folder in disk.folders().map_err(fail())? {
        let Ok(journal) = Uuid::parse_str(&folder) else { continue };
        match look_at(disk, journal, folder) {
            Ok(looked) => journals.push(looked),
            // It was pruned meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail()(error)),
        }
    }
    Ok(journals)
}

fn look_at(disk: &Arc<dyn Disk>, journal: Uuid, folder: String) -> io::Result<Looked> {
    let is_held = disk.lock(&folder)?.is_none();
    let Survey { parts, damage } = survey(disk, &folder, journal, &Settings::default())?;
    Ok(Looked { journal, is_held, damage, parts, folder, disk: Arc::clone(disk) })
}

/// What became of a process, as far as its journal tells.
#[derive(Debug)]
pub enum Ended {
    /// Its journal is not on this disk.
    Elsewhere,
    /// It lives: it has its journal's lock.
    Not,
    /// It has ended and left this.
    Left(Box<Found>),
    /// It has ended and left nothing.
    LeftNothing,
}

impl Journal {
    /// What became of another process that wrote a journal here; what it left is taken over.
    ///
    /// # Errors
    /// The disk fails, or what it left is damaged and that is not accepted.
    pub fn ended(&self, journal: Uuid) -> Result<Ended, JournalError> {
        let (disk, folder) = (&self.shared.disk, journal.to_string());
        let is_there = || Ok(disk.folders().map_err(JournalError::disk("look for"))?.contains(&folder));
        if !is_there()? {
            return Ok(Ended::Elsewhere);
        }
        match take_one(disk, &self.shared.settings, journal, folder.clone()) {
            Ok(Some(found)) => Ok(Ended::Left(Box::new(found))),
            Ok(None) if is_there()? => Ok(Ended::Not),
            Ok(None) => Ok(Ended::LeftNothing),
            Err(JournalError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Ended::LeftNothing)
            }
            Err(error) => Err(error),
        }
    }
}

/// One record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub position: Position,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// Reads a journal in order, each record once.
#[derive(Debug)]
pub struct Replay {
    disk: Arc<dyn Disk>,
    journal: Uuid,
    folder: String,
    waiting: VecDeque<Part>,
    loaded: Vec<Loaded>,
    last: u64,
}

/// A segment in memory, and where its records are, the lowest last.
#[derive(Debug)]
struct Loaded {
    bytes: Vec<u8>,
    records: Vec<(u64, Range<usize>)>,
}

/// Takes over every journal whose lock is free.
pub(crate) fn take_over(disk: &Arc<dyn Disk>, settings: &Settings) -> Result<Vec<Found>, JournalError> {
    let mut found = Vec::new();
    for folder in disk.folders().map_err(JournalError::disk("look for"))? {
        let Ok(journal) = Uuid::parse_str(&folder) else { continue };
        match take_one(disk, settings, journal, folder) {
            Ok(Some(one)) => found.push(one),
            Ok(None) => {}
            // Another process that took it over has removed it meanwhile.
            Err(JournalError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn take_one(
    disk: &Arc<dyn Disk>,
    settings: &Settings,
    journal: Uuid,
    folder: String,
) -> Result<Option<Found>, JournalError> {
    let fail = || JournalError::disk("take over");
    let Some(held) = disk.lock(&folder).map_err(fail())? else { return Ok(None) };
    let files = disk.files(&folder).map_err(fail())?;
    if clear(disk, &folder, &files).map_err(fail())? {
        return Ok(None);
    }
    let checkpoint = checkpoint(&files);
    let mut found = Found {
        disk: Arc::clone(disk),
        settings: settings.clone(),
        journal,
        folder,
        survey: None,
        checkpoint,
        copied: None,
        _held: held,
    };
    // What is in the store already is read only if the store asks for it again.
    if checkpoint.is_none() {
        found.look()?;
    }
    Ok(Some(found))
}

/// Gives back the room that nobody will write to. A journal without anything in it goes, and is told with `true`.
fn clear(disk: &Arc<dyn Disk>, folder: &str, files: &[Listed]) -> io::Result<bool> {
    let segments = || files.iter().filter(|file| segments::is_segment(&file.name));
    if segments().all(|file| file.bytes == 0) {
        disk.remove_folder(folder)?;
        return Ok(true);
    }
    for file in segments() {
        match file.bytes {
            0 => disk.remove(folder, &file.name)?,
            _ => disk.trim(folder, &file.name)?,
        }
    }
    Ok(false)
}

fn checkpoint(files: &[Listed]) -> Option<u64> {
    files.iter().filter_map(|file| file.name.strip_prefix(PROJECTED)?.parse().ok()).max()
}

impl Found {
    /// The journal's id.
    #[must_use]
    pub fn journal(&self) -> Uuid {
        self.journal
    }

    /// Up to where it was in the store when somebody last said so; the store may have been restored from a backup since.
    #[must_use]
    pub fn checkpoint(&self) -> Option<u64> {
        self.checkpoint
    }

    /// The folder into which a damaged journal was copied before anything else.
    #[must_use]
    pub fn copied(&self) -> Option<&str> {
        self.copied.as_deref()
    }

    /// What it went through. Reads all of it if that has not been done yet.
    ///
    /// # Errors
    /// The disk fails, or records are missing and the settings do not accept that.
    pub fn damage(&mut self) -> Result<&Damage, JournalError> {
        Ok(&self.look()?.damage)
    }

    /// The records behind this one, 0 for all, in order.
    ///
    /// # Errors
    /// As [`Found::damage`].
    pub fn replay(&mut self, after: u64) -> Result<Replay, JournalError> {
        self.look()?;
        let parts = self.survey.as_ref().map_or(&[][..], |survey| survey.parts.as_slice());
        Ok(Replay::new(&self.disk, self.journal, &self.folder, parts, after))
    }

    /// All of it is in the store: it is only kept from now on, and not read at the next start.
    ///
    /// # Errors
    /// The disk fails, or records are missing and the settings do not accept that.
    pub fn mark_projected(&mut self) -> Result<(), JournalError> {
        let last = self.look()?.damage.last;
        if self.checkpoint == Some(last) {
            return Ok(());
        }
        let fail = || JournalError::disk("mark");
        self.disk.create(&self.folder, &format!("{PROJECTED}{last}"), 0).map_err(fail())?;
        self.disk.sync_folder(&self.folder).map_err(fail())?;
        self.checkpoint = Some(last);
        Ok(())
    }

    fn look(&mut self) -> Result<&Survey, JournalError> {
        if self.survey.is_none() {
            let fail = || JournalError::disk("read");
            let survey = survey(&self.disk, &self.folder, self.journal, &self.settings).map_err(fail())?;
            if !survey.damage.missing.is_empty() {
                if !self.settings.accept_damage {
                    let missing = survey.damage.missing.clone();
                    return Err(JournalError::Damaged { journal: self.journal, missing });
                }
                self.copied = Some(self.disk.copy_aside(&self.folder).map_err(fail())?);
            }
            self.survey = Some(survey);
        }
        Ok(self.survey.get_or_insert_default())
    }
}

impl Replay {
    fn new(disk: &Arc<dyn Disk>, journal: Uuid, folder: &str, parts: &[Part], after: u64) -> Self {
        let waiting = parts.iter().cloned().collect();
        let (disk, folder) = (Arc::clone(disk), folder.to_owned());
        Self { disk, journal, folder, waiting, loaded: Vec::new(), last: after }
    }

    /// The lowest record in memory, and in which segment.
    fn lowest(&self) -> Option<(u64, usize)> {
        let heads = self.loaded.iter().enumerate();
        heads.filter_map(|(at, loaded)| Some((loaded.records.last()?.0, at))).min()
    }

    /// Loads every segment that may hold a record below the lowest one in memory.
    fn load(&mut self) -> io::Result<()> {
        self.loaded.retain(|loaded| !loaded.records.is_empty());
        while let Some(part) = self.waiting.front() {
            if self.lowest().is_some_and(|(lowest, _)| lowest < part.first) {
                return Ok(());
            }
            let bytes = self.disk.read(&self.folder, &part.name, 0, usize::MAX)?;
            let mut records = Vec::new();
            walk(&bytes, self.journal, &mut Damage::default(), |frame, payload| {
                records.push((frame.sequence, payload));
            });
            records.sort_unstable_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
            self.loaded.push(Loaded { bytes, records });
            self.waiting.pop_front();
        }
        Ok(())
    }
}

impl Iterator for Replay {
    type Item = Result<Entry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Err(source) = self.load() {
                // Once told, it ends.
                self.waiting.clear();
                self.loaded.clear();
                return Some(Err(JournalError::Disk { doing: "read", source }));
            }
            let (sequence, at) = self.lowest()?;
            let loaded = self.loaded.get_mut(at)?;
            let (_, range) = loaded.records.pop()?;
            // Written twice after forcing to disk had failed.
            if sequence > self.last {
                self.last = sequence;
                let payload = loaded.bytes.get(range)?.to_vec();
                return Some(Ok(Entry { position: Position { journal: self.journal, sequence }, payload }));
            }
        }
    }
}

/// Removes journals that are in the store: what is older than the settings say, and the oldest beyond their bytes, to which
/// the living journal adds `kept`. What holds records that this version cannot read stays.
pub(crate) fn prune(disk: &Arc<dyn Disk>, settings: &Settings, own: &str, kept: u64, unix: Duration) -> io::Result<()> {
    let mut old = Vec::new();
    for folder in disk.folders()? {
        let Ok(journal) = Uuid::parse_str(&folder) else { continue };
        if folder == own {
            continue;
        }
        let Some(held) = disk.lock(&folder)? else { continue };
        let files = disk.files(&folder)?;
        let written: Vec<&Listed> = files.iter().filter(|file| segments::is_segment(&file.name)).collect();
        if checkpoint(&files).is_some() {
            let bytes: u64 = written.iter().map(|file| file.bytes).sum();
            let modified = written.iter().map(|file| file.modified).max().unwrap_or_default();
            old.push((modified, bytes, folder, journal, held));
        }
    }
    old.sort_by_key(|(modified, ..)| *modified);
    let mut total = kept + old.iter().map(|(_, bytes, ..)| bytes).sum::<u64>();
    for (modified, bytes, folder, journal, _held) in old {
        if modified + settings.keep_for <= unix || total > settings.keep_bytes {
            if survey(disk, &folder, journal, settings)?.damage.foreign == 0 {
                disk.remove_folder(&folder)?;
            }
            total -= bytes;
        }
    }
    Ok(())
}
