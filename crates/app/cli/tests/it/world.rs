//! One helper builds the world: the binary in a folder of its own, with an empty environment.
#![expect(clippy::expect_used, reason = "a test whose world cannot be built ends with a message")]

use std::process::{Command, Output, Stdio};

use tollgate_kit::TempFolder;

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A folder with files, in which the binary is run.
pub(crate) struct World {
    folder: TempFolder,
    environment: Vec<(String, String)>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: TempFolder::new(), environment: Vec::new() }
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        self.folder.write(name, text);
        self
    }

    /// Where this file or folder of it is.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the binary with arguments that hold no spaces.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        self.run_as(env!("CARGO_BIN_EXE_tollgate"), arguments)
    }

    /// Runs it through a link of another name.
    pub(crate) fn run_called(&self, name: &str, arguments: &str) -> Ran {
        let link = self.folder.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tollgate"), &link).expect("a link");
        self.run_as(&link.display().to_string(), arguments)
    }

    fn run_as(&self, program: &str, arguments: &str) -> Ran {
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace()).current_dir(self.folder.path()).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().expect("the binary runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Ran { code: status.code().expect("no signal"), out: text(stdout), err: text(stderr) }
    }
}

impl Ran {
    /// Fails unless it ended with 1 and this one line.
    #[track_caller]
    pub(crate) fn refused_with(&self, parts: &[&str]) {
        assert_eq!((self.code, self.err.lines().count(), self.out.as_str()), (1, 1, ""), "{}{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in {}", self.err);
        }
    }

    /// Fails unless it ended well.
    #[track_caller]
    pub(crate) fn went_well(&self) -> &Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }
}
