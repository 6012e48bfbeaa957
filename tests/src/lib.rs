//! What the tests and benchmarks of nova share: its programs as processes, trees of files, stock clients.
//!
//! Nothing here is part of nova. A failure is a panic that says what was waited for, with the logs of the programs.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used)]

mod cli;
mod client;
mod eventually;
mod peer;
mod process;
pub mod simulation;
mod small_disk;
mod stack;
pub mod swarming;
mod tree;

pub use cli::{Cli, Output};
pub use client::{Client, Member};
pub use eventually::{at_once, eventually};
pub use peer::Peer;
pub use process::{Process, free_addr, program};
pub use rustix::process::Signal;
pub use small_disk::SmallDisk;
pub use stack::Stack;
pub use tree::{Tree, assert_same, has_files_of};
