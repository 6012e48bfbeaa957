use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, symlink},
    path::Path,
};

use rand::{RngCore, SeedableRng, rngs::StdRng};

const PARTS: u64 = 32;
const SMALL: [(&str, usize); 4] = [
    ("config.json", 700),
    ("notes/empty.txt", 0),
    ("notes/日本語 – примечания.md", 3000),
    ("tokenizer/merges.txt", 123_457),
];

/// Makes a tree of `size` bytes that has a bit of everything: an executable, a symlink, an empty file, a name in other
/// scripts, and parts of different sizes. The same bytes each time.
pub fn make(root: &Path, size: u64) -> io::Result<()> {
    let mut random = StdRng::seed_from_u64(0x6e6f_7661);
    let script = b"#!/bin/sh\necho hello from nova\n";
    let small: u64 = SMALL.iter().map(|&(_, length)| length as u64).sum::<u64>() + script.len() as u64;
    for directory in ["bin", "notes", "tokenizer", "weights"] {
        fs::create_dir_all(root.join(directory))?;
    }
    File::options().write(true).create_new(true).mode(0o755).open(root.join("bin/run"))?.write_all(script)?;
    symlink("weights/part-00", root.join("first-part"))?;
    for (path, length) in SMALL {
        fill(&root.join(path), length as u64, &mut random)?;
    }
    let shares = PARTS * (PARTS + 1) / 2;
    let parts = size.saturating_sub(small);
    let lengths = (1..PARTS).map(|share| parts * share / shares).collect::<Vec<_>>();
    let rest = parts - lengths.iter().sum::<u64>();
    for (index, length) in lengths.into_iter().chain([rest]).enumerate() {
        fill(&root.join(format!("weights/part-{index:02}")), length, &mut random)?;
    }
    Ok(())
}

fn fill(path: &Path, length: u64, random: &mut StdRng) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut left = length;
    while left > 0 {
        let chunk = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        random.fill_bytes(&mut buffer[..chunk]);
        file.write_all(&buffer[..chunk])?;
        left -= chunk as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nova_seeder::create::{Options, create};

    #[test]
    fn the_tree_is_as_large_as_was_asked_and_always_the_same() {
        let made = [0, 1].map(|_| {
            let directory = tempfile::tempdir().unwrap();
            make(&directory.path().join("demo"), 3 << 20).unwrap();
            let path = directory.path().join("demo");
            create(&path, &Options::default(), |_, _| {}, &tokio_util::sync::CancellationToken::new()).unwrap().metainfo
        });
        assert_eq!(made[0].info.length, 3 << 20);
        assert_eq!(made[0].info_hash(), made[1].info_hash());
    }
}
