use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A file system of its own, in memory, as long as this lives.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many MiB.
    pub fn mount(path: &Path, mib: u32) -> Self {
        fs::create_dir_all(path).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).status().unwrap();
        assert!(mounted.success(), "this test mounts a tmpfs, so it must run as root");
        Self(path.to_path_buf())
    }

    /// What is on it.
    pub fn listing(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _left_to_the_test_to_notice = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
