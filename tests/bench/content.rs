//! Content to measure with.

use std::{fs::File, io::Write, path::Path};

use anyhow::Result;
use rand::RngCore;

/// Writes random bytes, the same in each MiB but for its number, and leaves them in the page cache.
pub fn write_content(path: &Path, mebibytes: u64) -> Result<()> {
    let mut block = vec![0; 1 << 20];
    rand::rng().fill_bytes(&mut block);
    let mut file = File::create(path)?;
    for number in 0..mebibytes {
        block[..8].copy_from_slice(&number.to_le_bytes());
        file.write_all(&block)?;
    }
    // Otherwise the disk is still being written to while the first runs are measured.
    Ok(file.sync_all()?)
}
