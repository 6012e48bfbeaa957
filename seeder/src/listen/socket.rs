//! A unix socket as a file: who may connect, and what a dead server left.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, de};
use tokio::net::{UnixListener, UnixStream};

/// Who may connect to a socket: whoever may write to its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Its mode.
    pub mode: Mode,
    /// The id of its group; that of the process when there is none.
    pub group: Option<u32>,
}

/// The permission bits of a socket, written in octal: `0660`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Mode(u32);

/// Not the mode of a socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mode, expected three octal digits in quotes, such as \"0660\"")]
pub struct ModeError(String);

/// A group that is not there.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// No such name.
    #[error("there is no group {0:?} in /etc/group: make it, or give its number")]
    Unknown(String),
    /// The list of groups cannot be read.
    #[error("cannot look for the group {0:?} in /etc/group: {1}")]
    Unreadable(String, io::Error),
}

/// Why a socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers there.
    #[error("{} is already in use: another process listens there", .0.display())]
    InUse(PathBuf),
    /// Something else has its name.
    #[error("{} is there and is no socket: remove it, or choose another path", .0.display())]
    NoSocket(PathBuf),
    /// The file system's fault.
    #[error("{}: {source}", path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

/// A unix socket that listens. Its file is removed with it, unless somebody else has put another there.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of its file.
    file: (u64, u64),
}

impl Permissions {
    /// These, with a group by its name or number; an empty one is that of the process.
    ///
    /// # Errors
    /// Every variant of [`GroupError`].
    pub fn new(mode: Mode, group: &str) -> Result<Self, GroupError> {
        let group = match (group, group.parse()) {
            ("", _) => None,
            (_, Ok(id)) => Some(id),
            (name, Err(_)) => Some(id_of_group(name)?),
        };
        Ok(Self { mode, group })
    }
}

impl Mode {
    /// Owner and group may connect.
    pub const OWNER_AND_GROUP: Self = Self(0o660);
}

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
        mode.map(Self).ok_or_else(|| ModeError(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Reads text that may look like a number: in the environment there are no quotes to tell `660` from `"660"`.
pub(crate) fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Number(u32),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Text(text) => text,
        Written::Number(number) => number.to_string(),
    })
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        format!("{:04o}", mode.0)
    }
}

impl Socket {
    /// Makes a socket at `path`, in the place of one that a dead server left.
    ///
    /// Nobody can connect before its permissions are right: it is made in a directory of its own, and renamed.
    ///
    /// # Errors
    /// Every variant of [`SocketError`].
    pub fn bind(path: &Path, permissions: &Permissions) -> Result<Self, SocketError> {
        refuse_living(path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        // Paths of sockets may have about a hundred bytes, so these names are short.
        let private = tempfile::Builder::new().prefix(".").rand_bytes(4).tempdir_in(folder).map_err(about(folder))?;
        let made = private.path().join("s");
        let listener = UnixListener::bind(&made).map_err(about(path))?;
        if permissions.group.is_some() {
            chown(&made, None, permissions.group).map_err(about(path))?;
        }
        fs::set_permissions(&made, fs::Permissions::from_mode(permissions.mode.0)).map_err(about(path))?;
        let file = fs::symlink_metadata(&made).map(|found| (found.dev(), found.ino())).map_err(about(path))?;
        fs::rename(&made, path).map_err(about(path))?;
        Ok(Self { listener, path: path.to_path_buf(), file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket was not removed");
        }
    }
}

/// Refuses to take the place of anything but a socket at which nobody listens.
fn refuse_living(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(about(path)(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NoSocket(path.to_path_buf())),
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // One that must not be connected to, or whose queue is full, has an owner too.
        Ok(_) | Err(_) => Err(SocketError::InUse(path.to_path_buf())),
    }
}

fn id_of_group(name: &str) -> Result<u32, GroupError> {
    let groups = fs::read_to_string("/etc/group").map_err(|error| GroupError::Unreadable(name.to_owned(), error))?;
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        if fields.next() == Some(name) { fields.nth(1)?.parse().ok() } else { None }
    };
    groups.lines().find_map(of_line).ok_or_else(|| GroupError::Unknown(name.to_owned()))
}

fn about(path: &Path) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_path_buf();
    |source| SocketError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(path: &Path) -> Result<Socket, SocketError> {
        Socket::bind(path, &Permissions { mode: Mode::OWNER_AND_GROUP, group: None })
    }

    #[tokio::test]
    async fn a_socket_has_the_mode_and_the_group_that_were_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("agent.sock");
        let own = fs::metadata(home.path()).unwrap().gid();
        let permissions = Permissions::new("0620".parse().unwrap(), &own.to_string()).unwrap();
        let _socket = Socket::bind(&path, &permissions).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.mode() & 0o7777, found.gid()), (0o620, own));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_living_socket_is_in_use_and_a_dead_one_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("agent.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let first = bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(SocketError::InUse(_))));
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
        drop(first);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("agent.sock");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(bind(&path), Err(SocketError::NoSocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_is_not_removed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("agent.sock");
        let first = bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }

    #[test]
    fn modes_are_octal_and_groups_exist() {
        assert_eq!(["0660", "600"].map(|text| String::from(text.parse::<Mode>().unwrap())), ["0660", "0600"]);
        for written in [r#""0660""#, r#""660""#, "660"] {
            assert_eq!(serde_json::from_str::<Mode>(written).unwrap(), Mode::OWNER_AND_GROUP, "{written}");
        }
        for text in ["", "66", "rw", "0888", "1777", "+660", "00660"] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
        assert!(matches!(Permissions::new(Mode::OWNER_AND_GROUP, "no-such-group"), Err(GroupError::Unknown(_))));
        assert_eq!(Permissions::new(Mode::OWNER_AND_GROUP, "root").unwrap().group, Some(0));
    }
}
