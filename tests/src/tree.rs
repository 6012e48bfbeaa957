use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use rand::{RngCore, SeedableRng, rngs::SmallRng};

/// Makes files below a directory; the same calls make the same bytes.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    random: SmallRng,
}

impl Tree {
    /// An empty directory at `root`.
    pub fn new(root: &Path) -> Self {
        fs::create_dir_all(root).unwrap();
        Self { root: root.to_path_buf(), random: SmallRng::seed_from_u64(7) }
    }

    /// A tree with a bit of everything that trees have, of about `length` bytes.
    pub fn of_everything(root: &Path, length: usize) -> PathBuf {
        let big = length / 2;
        Self::new(root)
            .file("weights.bin", big)
            .file("nested/deeper/part-1.bin", length / 4)
            .file("nested/deeper/part-2.bin", length - big - length / 4)
            .file("nested/empty", 0)
            .file("ünï/日本語 and a space", 4321)
            .executable("bin/run.sh", "#!/bin/sh\necho run\n")
            .link("latest", "nested/deeper/part-2.bin")
            .root()
    }

    /// A file of so many random bytes.
    #[must_use]
    pub fn file(mut self, path: &str, length: usize) -> Self {
        let mut bytes = vec![0; length];
        self.random.fill_bytes(&mut bytes);
        self.write(path, &bytes);
        self
    }

    /// A file that may be executed.
    #[must_use]
    pub fn executable(self, path: &str, text: &str) -> Self {
        self.write(path, text.as_bytes());
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// A symlink.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        symlink(target, self.root.join(path)).unwrap();
        self
    }

    /// Where it is.
    pub fn root(&self) -> PathBuf {
        self.root.clone()
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// What is at a place: a file's bytes and whether it may be executed, or a symlink's target.
#[derive(PartialEq, Eq)]
enum Found {
    File(Vec<u8>, bool),
    Link(PathBuf),
}

/// Two files, or two trees, are the same byte for byte, with the same executable bits and symlinks.
pub fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (listing(one), listing(other));
    let names = |listing: &BTreeMap<PathBuf, Found>| listing.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other));
    for (path, found) in &one {
        assert!(other[path] == *found, "{} differs", path.display());
    }
}

/// The files of one tree are in the other too, byte for byte. Most stock clients keep neither symlinks nor executable
/// bits, and Transmission 3 makes no files without bytes.
pub fn has_files_of(tree: &Path, copy: &Path) -> Result<(), String> {
    for (path, found) in listing(tree) {
        let at = if tree.is_file() { copy.to_path_buf() } else { copy.join(path) };
        match (found, fs::read(&at)) {
            (Found::File(bytes, _), Ok(copied)) if bytes == copied => {}
            (Found::Link(_), _) => {}
            (Found::File(bytes, _), Err(error)) if bytes.is_empty() && error.kind() == ErrorKind::NotFound => {}
            (Found::File(..), Ok(_)) => return Err(format!("{} differs", at.display())),
            (Found::File(..), Err(error)) => return Err(format!("{}: {error}", at.display())),
        }
    }
    Ok(())
}

fn listing(root: &Path) -> BTreeMap<PathBuf, Found> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(root).unwrap().to_path_buf();
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if metadata.is_symlink() {
            found.insert(name, Found::Link(fs::read_link(&path).unwrap()));
        } else {
            found.insert(name, Found::File(fs::read(&path).unwrap(), metadata.permissions().mode() & 0o100 != 0));
        }
    }
    found
}
