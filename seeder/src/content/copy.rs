//! Bytes from one content to another, whose files may be cut differently.

use std::{fs::File, io, ops::Deref, os::unix::fs::FileExt};

use nova_protocol::metainfo::{FileKind, Info};
use rustix::{fs::copy_file_range, io::Errno};

use super::Content;

/// Bytes that are copied at once where the system does not copy by itself.
const CHUNK: usize = 128 << 10;

/// Copies `length` bytes from `offset` of one content to `offset` of another, which is writable. File systems that can
/// share the blocks of two files do that where the files are cut alike.
///
/// # Errors
/// Of whichever file could not be read or written; part of the bytes may have been copied.
pub(crate) fn copy<I, J>(from: (&Content<I>, u64), to: (&Content<J>, u64), length: u64) -> io::Result<()>
where
    I: Deref<Target = Info>,
    J: Deref<Target = Info>,
{
    let mut done = 0;
    while done < length {
        let (source, target) = (Place::of(from.0, from.1 + done)?, Place::of(to.0, to.1 + done)?);
        let step = source.rest.min(target.rest).min(length - done);
        if !target.is_padding {
            let file = to.0.file(target.index)?;
            if source.is_padding {
                write_zeros(&file, target.inside, step)?;
            } else {
                copy_range(&*from.0.file(source.index)?, source.inside, &file, target.inside, step)?;
            }
        }
        done += step;
    }
    Ok(())
}

/// Where a byte of a content is.
struct Place {
    index: usize,
    is_padding: bool,
    /// Bytes before it in its file.
    inside: u64,
    /// Bytes from it to the end of its file.
    rest: u64,
}

impl Place {
    fn of<I: Deref<Target = Info>>(content: &Content<I>, offset: u64) -> io::Result<Self> {
        let index = content.info().files_in(offset..offset + 1).next().ok_or(io::ErrorKind::UnexpectedEof)?;
        let file = &content.info().files[index];
        let inside = offset - file.offset;
        Ok(Self { index, is_padding: file.kind == FileKind::Padding, inside, rest: file.length - inside })
    }
}

fn copy_range(source: &File, from: u64, target: &File, to: u64, length: u64) -> io::Result<()> {
    let mut done = 0;
    while done < length {
        let (mut read_at, mut write_at) = (from + done, to + done);
        let wanted = usize::try_from(length - done).unwrap_or(usize::MAX);
        match copy_file_range(source, Some(&mut read_at), target, Some(&mut write_at), wanted) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => done += copied as u64,
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return copy_through(source, from + done, target, to + done, length - done);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_through(source: &File, from: u64, target: &File, to: u64, length: u64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    steps(length).try_for_each(|(done, part)| {
        source.read_exact_at(&mut chunk[..part], from + done)?;
        target.write_all_at(&chunk[..part], to + done)
    })
}

fn write_zeros(target: &File, to: u64, length: u64) -> io::Result<()> {
    let zeros = vec![0; CHUNK];
    steps(length).try_for_each(|(done, part)| target.write_all_at(&zeros[..part], to + done))
}

/// Where each chunk of so many bytes starts, and how long it is.
fn steps(length: u64) -> impl Iterator<Item = (u64, usize)> {
    let part = move |start| usize::try_from(length - start).map_or(CHUNK, |rest| rest.min(CHUNK));
    (0..length).step_by(CHUNK).map(move |start| (start, part(start)))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use rustix::fs::statvfs;

    use super::*;
    use crate::content::fixture::{Xfs, info, write};

    #[test]
    fn files_that_are_cut_differently_have_the_same_bytes_afterwards() {
        let home = tempfile::tempdir().unwrap();
        let (old, new) = (home.path().join("old"), home.path().join("new"));
        fs::create_dir_all(&old).unwrap();
        fs::create_dir_all(&new).unwrap();
        fs::write(old.join("a"), b"abcdef").unwrap();
        fs::write(new.join("b"), b"....").unwrap();
        fs::write(new.join("c"), b"..").unwrap();
        let source = Arc::new(info(&[("a", 6, FileKind::Plain), (".pad/2", 2, FileKind::Padding)]));
        let target =
            Arc::new(info(&[(".pad/1", 1, FileKind::Padding), ("b", 4, FileKind::Plain), ("c", 2, FileKind::Plain)]));
        let (source, target) = (Content::new(source, &old), Content::writable(target, &new));
        copy((&source, 1), (&target, 0), 7).unwrap();
        assert_eq!(
            (fs::read(new.join("b")).unwrap(), fs::read(new.join("c")).unwrap()),
            (b"cdef".to_vec(), vec![0, 0])
        );
        assert!(copy((&source, 0), (&target, 0), 9).is_err());
    }

    #[test]
    fn blocks_are_shared_where_the_file_system_can() {
        let disk = Xfs::mount();
        let [old, new] = ["old", "new"].map(|name| disk.path().join(name));
        let bytes: Vec<u8> = (0..8_u32 << 20).flat_map(u32::to_le_bytes).collect();
        let length = bytes.len() as u64;
        write(&old, &[("a", &bytes)]);
        write(&new, &[("b", b"")]);
        // Where they are is settled when they are on the disk.
        File::open(old.join("a")).unwrap().sync_all().unwrap();
        let free = || statvfs(disk.path()).map(|found| found.f_bfree * found.f_frsize).unwrap();
        let before = free();
        let [source, target] = ["a", "b"].map(|path| Arc::new(info(&[(path, length, FileKind::Plain)])));
        copy((&Content::new(source, &old), 0), (&Content::writable(target, &new), 0), length).unwrap();
        File::open(new.join("b")).unwrap().sync_all().unwrap();
        let taken = before.saturating_sub(free());
        assert!(taken < length / 10, "{taken} bytes were taken for a copy of {length}");
        assert!(fs::read(new.join("b")).unwrap() == bytes);
    }
}
