use std::{fs::File as Handle, os::unix::fs::symlink, sync::Arc};

use tempfile::{TempDir, tempdir};

use super::*;
use crate::content::fixture::{created, info, make_fifo, set_mode, write_mixed};

struct Tree {
    _dir: TempDir,
    root: PathBuf,
    info: Arc<Info>,
}

impl Tree {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let root = write_mixed(dir.path());
        let info = created(&root).metainfo.info;
        Self { _dir: dir, root, info }
    }

    fn verify(&self, check: Check<'_>) -> Report {
        verify(&self.info, &self.root, check, |_, _| {}, &CancellationToken::new()).unwrap()
    }

    /// The faults of everything, as text.
    fn faults(&self) -> Vec<String> {
        let report = self.verify(Check::Everything(&[]));
        assert_eq!(report.ok(), report.damaged_files.is_empty());
        report.damaged_files.iter().map(|(path, fault)| format!("{path}: {fault}")).collect()
    }
}

#[test]
fn whole_content_is_good() {
    let tree = Tree::new();
    let report = tree.verify(Check::Everything(&[]));
    assert!(report.ok() && report.good_pieces.len() == 13);
}

#[test]
fn content_of_no_bytes_is_good_when_its_files_are_there() {
    let dir = tempdir().unwrap();
    Handle::create(dir.path().join("empty")).unwrap();
    let check = |name| {
        let info = info(&[(name, 0, FileKind::Plain)]);
        verify(&info, dir.path(), Check::Bytes, |_, _| {}, &CancellationToken::new()).unwrap()
    };
    assert!(check("empty").ok());
    assert_eq!(check("other").damaged_files, [(FilePath::parse("other").unwrap(), Fault::Missing)]);
}

#[test]
fn a_changed_byte_is_blamed_on_the_files_of_its_piece() {
    let tree = Tree::new();
    let mut bytes = fs::read(tree.root.join("a/long")).unwrap();
    bytes[70_000] ^= 1;
    fs::write(tree.root.join("a/long"), bytes).unwrap();
    let report = tree.verify(Check::Bytes);
    let bad: Vec<usize> = (0..13).filter(|&index| !report.good_pieces[index]).collect();
    assert_eq!((bad, tree.faults()), (vec![1], vec!["a/long: content differs".to_owned()]));
    fs::write(tree.root.join("b"), "x").unwrap();
    assert_eq!(tree.faults(), ["a/long", "b", "bin/run", "ünï/日本語"].map(|path| format!("{path}: content differs")));
}

#[test]
fn a_file_that_explains_a_bad_piece_is_blamed_alone() {
    let tree = Tree::new();
    fs::remove_file(tree.root.join("b")).unwrap();
    assert_eq!(tree.faults(), ["b: missing"]);
    fs::write(tree.root.join("b"), "").unwrap();
    assert_eq!(tree.faults(), ["b: 0 bytes, expected 1"]);
    assert_eq!(tree.verify(Check::Bytes).good_pieces.iter().filter(|&good| !good).count(), 1);
    fs::write(tree.root.join("b"), "bb").unwrap();
    assert_eq!(tree.faults(), ["b: 2 bytes, expected 1"]);
    assert!(tree.verify(Check::Bytes).good_pieces.iter().all(|&good| good));
}

#[test]
fn kinds_count_when_asked() {
    let tree = Tree::new();
    set_mode(&tree.root.join("bin/run"), 0o644);
    set_mode(&tree.root.join("b"), 0o744);
    fs::remove_file(tree.root.join("a/link")).unwrap();
    symlink("../b", tree.root.join("a/link")).unwrap();
    assert!(tree.verify(Check::Bytes).ok());
    assert_eq!(
        tree.faults(),
        [
            "a/link: a symlink to ../b, expected ../bin/run",
            "b: executable, expected not executable",
            "bin/run: not executable, expected executable",
        ]
    );
}

#[test]
fn another_way_to_write_a_target_is_the_same_symlink() {
    let tree = Tree::new();
    fs::remove_file(tree.root.join("a/link")).unwrap();
    symlink(".././bin/run", tree.root.join("a/link")).unwrap();
    assert!(tree.verify(Check::Everything(&[])).ok());
}

#[test]
fn a_fifo_in_place_of_a_file_does_not_block() {
    let tree = Tree::new();
    fs::remove_file(tree.root.join("b")).unwrap();
    make_fifo(&tree.root.join("b"));
    assert_eq!(tree.faults(), ["b: of another kind, or below a symlink"]);
}

#[test]
fn content_behind_a_symlinked_directory_is_not_there() {
    let tree = Tree::new();
    fs::rename(tree.root.join("bin"), tree.root.with_file_name("elsewhere")).unwrap();
    symlink("../elsewhere", tree.root.join("bin")).unwrap();
    assert_eq!(tree.faults(), ["bin/run: of another kind, or below a symlink"]);
}

#[test]
fn a_root_that_is_missing_has_every_fault() {
    let tree = Tree::new();
    let report = verify(&tree.info, Path::new("/nowhere"), Check::Bytes, |_, _| {}, &CancellationToken::new()).unwrap();
    assert!(report.good_pieces.iter().all(|&good| !good));
    assert!(report.damaged_files.len() == 5 && report.damaged_files.iter().all(|(_, fault)| *fault == Fault::Missing));
}

#[test]
fn a_cancelled_token_ends_it() {
    let tree = Tree::new();
    let token = CancellationToken::new();
    token.cancel();
    assert_eq!(verify(&tree.info, &tree.root, Check::Bytes, |_, _| {}, &token), Err(Cancelled));
}
