use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// All that a command touches of its process.
#[derive(Debug, Clone)]
pub struct Env {
    /// The command line, the program's name first.
    pub arguments: Vec<OsString>,
    /// Where relative paths start; the process's own directory when empty, so that paths are shown as they were typed.
    pub directory: PathBuf,
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// For data.
    pub stdout: Output,
    /// For talk.
    pub stderr: Output,
    /// Cancelled when the user wants no more.
    pub stop: CancellationToken,
}

/// Where text goes. Cheap to clone.
#[derive(Clone)]
pub struct Output {
    sink: Arc<Mutex<dyn Write + Send>>,
    /// Whether a person reads along.
    pub is_terminal: bool,
    /// Whether that person sees colours.
    pub colored: bool,
}

/// The other end of an output, for tests.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Env {
    /// That of this process.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(key, value)| Some((text(key)?, text(value)?)));
        let mut env = Self {
            arguments: std::env::args_os().collect(),
            directory: PathBuf::new(),
            variables: variables.collect(),
            stdout: Output::new(io::stdout(), io::stdout().is_terminal()),
            stderr: Output::new(io::stderr(), io::stderr().is_terminal()),
            stop: CancellationToken::new(),
        };
        if env.variable("NO_COLOR").is_some() {
            env = env.colored(false);
        }
        env
    }

    /// The same, with colours or without.
    pub(crate) fn colored(mut self, colored: bool) -> Self {
        self.stdout.colored = colored;
        self.stderr.colored = colored;
        self
    }

    /// One with these arguments, whose outputs are captured: first stdout, then stderr.
    pub fn captured<S: Into<OsString>>(
        directory: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> (Self, Captured, Captured) {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let env = Self {
            arguments: [OsString::from("nova-cli")].into_iter().chain(arguments.into_iter().map(Into::into)).collect(),
            directory: directory.to_path_buf(),
            variables: BTreeMap::new(),
            stdout: Output::new(stdout.clone(), false),
            stderr: Output::new(stderr.clone(), false),
            stop: CancellationToken::new(),
        };
        (env, stdout, stderr)
    }

    /// The path that a user means by `path`.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl Output {
    /// One that writes to `sink`.
    pub fn new(sink: impl Write + Send + 'static, is_terminal: bool) -> Self {
        Self { sink: Arc::new(Mutex::new(sink)), is_terminal, colored: is_terminal }
    }

    /// Writes all of it at once.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut sink = lock(&self.sink);
        sink.write_all(bytes)?;
        sink.flush()
    }

    /// Writes a line that nobody may be there to read.
    pub(crate) fn say(&self, line: &str) {
        // Talk that cannot be heard changes nothing.
        let _ = self.write(format!("{line}\n").as_bytes());
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("is_terminal", &self.is_terminal).finish_non_exhaustive()
    }
}

impl Captured {
    /// The bytes so far.
    pub fn bytes(&self) -> Vec<u8> {
        lock(&self.0).clone()
    }

    /// The bytes so far as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(text: OsString) -> Option<String> {
    text.into_string().ok()
}
