//! Tries every file of the fuzzers' corpus, and mutations of them, on what must hold for any bytes.

#![allow(clippy::unwrap_used)]

#[path = "../../../tests/fuzz/src/lib.rs"]
mod fuzz;

use std::{fs, panic, path::Path};

const MUTATIONS: usize = 100_000;

/// No mutation grows beyond this; more would only take longer.
const LONGEST: usize = 4096;

/// What breaks parsers, in the alphabets of all that is parsed.
const TOKENS: [&[u8]; 20] = [
    b"&",
    b"=",
    b"%",
    b"%2",
    b"%00",
    b"+",
    b"-1",
    b"0",
    b"65536",
    b"18446744073709551616",
    b"info_hash=",
    b"numwant=",
    b"ipv6=%5B::1%5D:1",
    b"i0e",
    b"l",
    b"d",
    b"e",
    b"5:peers",
    b"\xff\xff\xff\xff",
    b"\0\0\0\x01",
];

#[test]
fn announce_queries_are_read_as_a_plain_reading_does() {
    replay("announce_query", fuzz::announce_query);
}

#[test]
fn announce_replies_survive_being_written() {
    replay("announce_reply", fuzz::announce_reply);
}

#[test]
fn scanned_bencode_is_canonical() {
    replay("bencode_scan", fuzz::bencode_scan);
}

#[test]
fn scrapes_are_bounded_and_in_order() {
    replay("scrape_query", fuzz::scrape_query);
}

#[test]
fn datagrams_survive_being_written() {
    replay("udp_packet", fuzz::udp_packet);
}

fn replay(target: &str, check: fn(&[u8])) {
    let files = corpus(target);
    assert!(!files.is_empty(), "no corpus for {target}");
    for file in &files {
        attempt(check, file);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..MUTATIONS {
        let mut bytes = random.of(&files).clone();
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, &files, &mut random);
        }
        bytes.truncate(LONGEST);
        attempt(check, &bytes);
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Folders have no order, and every run is to be the same.
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A panic says where, but not with which bytes.
fn attempt(check: fn(&[u8]), bytes: &[u8]) {
    if let Err(panicked) = panic::catch_unwind(|| check(bytes)) {
        eprintln!("with b\"{}\"", bytes.escape_ascii());
        panic::resume_unwind(panicked);
    }
}

fn mutate(bytes: &mut Vec<u8>, files: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = at + random.below((bytes.len() - at).min(32) + 1);
    match random.below(7) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..end, random.of(&TOKENS).iter().copied())),
        3 => bytes.extend_from_within(at..end),
        4 => {
            let other = random.of(files);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        _ => {
            let byte = random.byte();
            if let Some(slot) = bytes.get_mut(at) {
                *slot ^= byte;
            }
        }
    }
}

/// Xorshift: the same on every machine and in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
