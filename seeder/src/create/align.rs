//! Where files start: padding that puts them on the borders of pieces (BEP 47).
//!
//! A piece that holds parts of two files changes with either, and one byte more in a file moves all that comes after it.
//! Where files start on borders, a new version of a tree has the pieces of every file that did not change.

use nova_protocol::{
    FilePath, PieceLength,
    metainfo::{File, FileKind},
};

/// Pieces that a file has at least to be worth up to one piece of padding.
const WORTH: u64 = 8;

/// Which files start on the border of a piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Align {
    /// Those of eight pieces and more.
    #[default]
    Auto,
    /// None: files follow each other without padding, as in most torrents.
    None,
    /// Every file that is not empty.
    All,
}

/// The same files with padding between them. What comes out depends on the files alone; offsets are not set yet.
pub(super) fn align(files: Vec<File>, piece_length: PieceLength, align: Align) -> Vec<File> {
    let piece = u64::from(piece_length.get());
    let least = match align {
        Align::Auto => piece.saturating_mul(WORTH),
        Align::None => return files,
        Align::All => 1,
    };
    let mut end: u64 = 0;
    let mut aligned = Vec::with_capacity(files.len());
    for file in files {
        let into = end % piece;
        if file.length >= least && into > 0 {
            let padding = padding(piece - into);
            end = end.saturating_add(padding.length);
            aligned.push(padding);
        }
        end = end.saturating_add(file.length);
        aligned.push(file);
    }
    aligned
}

fn padding(length: u64) -> File {
    let path = FilePath::parse(&format!(".pad/{length}")).expect("a number is a name");
    File { path, length, offset: 0, kind: FileKind::Padding }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = 64 << 10;

    /// Lengths, padding as negative ones.
    fn aligned(lengths: &[u64], how: Align) -> Vec<i64> {
        let file = |(index, length): (usize, &u64)| File {
            path: FilePath::parse(&index.to_string()).unwrap(),
            length: *length,
            offset: 0,
            kind: FileKind::Plain,
        };
        let files = lengths.iter().enumerate().map(file).collect();
        let signed = |file: &File| match (i64::try_from(file.length).unwrap(), &file.kind) {
            (length, FileKind::Padding) => -length,
            (length, _) => length,
        };
        align(files, PieceLength::chosen(PIECE).unwrap(), how).iter().map(signed).collect()
    }

    #[test]
    fn files_of_eight_pieces_start_on_a_border_and_smaller_ones_do_not() {
        let (small, large) = (8 * PIECE - 1, 8 * PIECE);
        let signed = |length: u64| i64::try_from(length).unwrap();
        assert_eq!(aligned(&[1, small, large], Align::Auto), [1, signed(small), signed(large)]);
        assert_eq!(aligned(&[1, large, 2], Align::Auto), [1, 1 - signed(PIECE), signed(large), 2]);
    }

    #[test]
    fn nothing_is_padded_before_the_first_file_or_after_the_last() {
        assert_eq!(aligned(&[9 * PIECE, 0, 3], Align::All), [9 << 16, 0, 3]);
    }

    #[test]
    fn all_files_with_bytes_start_on_a_border_when_asked_for() {
        assert_eq!(aligned(&[1, 0, 2, 3], Align::All), [1, 0, -65_535, 2, -65_534, 3]);
        assert_eq!(aligned(&[1, 0, 2, 3], Align::None), [1, 0, 2, 3]);
    }
}
