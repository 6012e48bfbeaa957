use std::os::unix::fs::symlink;

use super::{
    fixture::{info, write},
    *,
};

fn error_of(info: &Info, root: &Path) -> String {
    Content::new(info, root).read_at(0, &mut [0; 4]).unwrap_err().to_string()
}

#[test]
fn every_range_reads_across_files_and_padding() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("a", b"abc"), ("c/d", b"defg"), ("empty", b"")]);
    let info = info(&[
        ("a", 3, FileKind::Plain),
        (".pad/2", 2, FileKind::Padding),
        ("empty", 0, FileKind::Plain),
        ("c/d", 4, FileKind::Executable),
        ("missing and empty", 0, FileKind::Plain),
    ]);
    let content = Content::new(&info, dir.path());
    let whole = b"abc\0\0defg";
    for start in 0..=whole.len() {
        for end in start..=whole.len() {
            let mut buf = vec![b'?'; end - start];
            content.read_at(start as u64, &mut buf).unwrap();
            assert_eq!(buf, &whole[start..end], "{start}..{end}");
        }
    }
    assert_eq!(content.read_at(5, &mut [0; 5]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(content.read_at(u64::MAX, &mut [0; 5]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn few_files_stay_open_however_many_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..200).map(|number| format!("{number:03}")).collect();
    for name in &names {
        write(dir.path(), &[(name, name.as_bytes())]);
    }
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), 3, FileKind::Plain)).collect();
    let info = info(&files);
    let content = Content::new(&info, dir.path());
    for _ in 0..2 {
        let mut all = vec![0; 600];
        content.read_at(0, &mut all).unwrap();
        assert_eq!(all, names.concat().as_bytes());
    }
    assert_eq!(content.open.0.lock().unwrap().len(), OPEN_FILES);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let info = info(&[("sub/file", 4, FileKind::Plain)]);
    let path = dir.path().join("sub/file").display().to_string();
    assert!(error_of(&info, dir.path()).starts_with(&format!("cannot read {path}: No such file")));
    write(dir.path(), &[("sub/file", b"abc")]);
    assert_eq!(error_of(&info, dir.path()), format!("cannot read {path}: shorter than 4 bytes"));
}

#[test]
fn a_symlink_in_place_of_a_file_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("secret", b"secret"), ("root/x", b"")]);
    symlink("../secret", dir.path().join("root/file")).unwrap();
    let error = error_of(&info(&[("file", 4, FileKind::Plain)]), &dir.path().join("root"));
    assert!(error.contains("symbolic link"), "{error}");
}

#[test]
fn a_path_is_not_resolved_to_one_that_may_lead_elsewhere_later() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("root/file", b"abcd")]);
    symlink("root", dir.path().join("link")).unwrap();
    let info = info(&[("file", 4, FileKind::Plain)]);
    let content = Content::new(&info, &dir.path().join("link"));
    content.read_at(0, &mut [0; 4]).unwrap();
    assert_eq!(content.path_of(0), dir.path().join("link/file"));
}
