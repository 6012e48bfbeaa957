use std::time::Duration;

use nova_protocol::announce::AnnounceReply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Running, eventually, leecher, raw, torrent};

async fn metric(tracker: &Running, line: &str) -> u64 {
    let text = reqwest::get(tracker.url("/metrics")).await.unwrap().text().await.unwrap();
    let found = text.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    found.trim().parse().unwrap()
}

#[tokio::test]
async fn idle_connections_beyond_the_limit_keep_nobody_out() {
    let tracker = Running::with(|config| (config.open, config.connections_max) = (true, 8));
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(TcpStream::connect(tracker.announce).await.unwrap());
    }
    eventually(async || metric(&tracker, "nova_tracker_refusals_total{reason=\"busy\"}").await == 56).await;
    tracker.announce(&leecher(&torrent("a"), 1001)).await.unwrap();
    let oldest = tokio::time::timeout(Duration::from_secs(10), idle[0].read(&mut [0])).await.unwrap();
    assert!(matches!(oldest, Ok(0) | Err(_)), "the oldest is closed");
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_answered() {
    let tracker = Running::with(|config| config.open = true);
    let mut stream = TcpStream::connect(tracker.announce).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let query = leecher(&torrent("a"), 1001).to_query();
    for byte in format!("GET /announce?{query} HTTP/1.1\r\nConnection: close\r\n\r\n").bytes() {
        stream.write_all(&[byte]).await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("8:interval"), "{answer}");
}

#[tokio::test]
async fn a_thousand_pipelined_requests_are_answered_in_order_however_slowly_they_are_read() {
    let tracker = Running::with(|config| config.open = true);
    let content = torrent("a");
    for peer in 1..200 {
        tracker.announce(&leecher(&content, peer)).await.unwrap();
    }
    let stream = TcpStream::connect(tracker.announce).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sender = tokio::spawn(async move {
        for request in 0..1000 {
            // Every other one is answered with a thousand bytes and more.
            let num_want = if request % 2 == 0 { 0 } else { 200 };
            let query = format!("{}&numwant={num_want}", leecher(&content, 999).to_query());
            writer.write_all(format!("GET /announce?{query} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        }
        writer.write_all(b"GET /end HTTP/1.1\r\nConnection: close\r\n\r\n").await.unwrap();
        writer
    });
    let mut answers = Vec::new();
    let mut part = [0; 997];
    loop {
        match reader.read(&mut part).await.unwrap() {
            0 => break,
            length => answers.extend_from_slice(&part[..length]),
        }
    }
    drop(sender.await.unwrap());
    let text = String::from_utf8_lossy(&answers);
    let lengths: Vec<usize> = text.split("HTTP/1.1 200 OK").skip(1).map(str::len).collect();
    assert_eq!(lengths.len(), 1000);
    assert!(lengths.chunks(2).all(|pair| pair[0] < pair[1]), "answers come in the order of the questions");
    assert!(text.ends_with("this port serves /announce and /scrape\n"));
}

#[tokio::test]
async fn a_flood_of_unknown_info_hashes_leaves_no_swarms() {
    let tracker = Running::start();
    for number in 0..500 {
        let refused = tracker.announce(&leecher(&torrent(&format!("unknown-{number}")), 1001)).await;
        assert!(refused.is_err());
    }
    assert_eq!(metric(&tracker, "nova_tracker_swarms ").await, 0);
    assert_eq!(metric(&tracker, "nova_tracker_refusals_total{reason=\"unlisted\"}").await, 500);
}

#[tokio::test]
async fn an_open_tracker_is_full_at_its_limits() {
    let tracker = Running::with(|config| (config.open, config.swarms_max, config.peers_max) = (true, 2, 3));
    let announce = async |name: &str, port| tracker.announce(&leecher(&torrent(name), port)).await;
    announce("a", 1001).await.unwrap();
    announce("b", 1001).await.unwrap();
    assert!(announce("c", 1001).await.unwrap_err().to_string().contains("full"));
    announce("a", 1002).await.unwrap();
    assert!(announce("a", 1003).await.unwrap_err().to_string().contains("full"));
    announce("a", 1001).await.unwrap();
}

#[tokio::test]
async fn what_is_no_question_is_refused_with_a_status() {
    let tracker = Running::start();
    for (request, status) in [
        ("POST /announce HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405"),
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("HEAD /announce HTTP/1.1\r\n\r\n", "405"),
        ("GET /announce HTTP/9.9\r\n\r\n", "400"),
        ("GET /announce?a b HTTP/1.1\r\n\r\n", "400"),
    ] {
        let answer = raw(tracker.announce, request.replace("GET / HTTP/1.1", "GET / HTTP/1.0").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
}

#[tokio::test]
async fn characters_that_need_no_encoding_are_read_as_they_are() {
    let tracker = Running::with(|config| config.open = true);
    let query = b"info_hash=~!*()'$,;:@/?-._[]|^&peer_id=-XX0000-~!*()'$,;:@.&port=1&left=1";
    let request = [b"GET /announce?", &query[..], b" HTTP/1.0\r\n\r\n"].concat();
    let answer = raw(tracker.announce, &request).await;
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    assert!(AnnounceReply::parse(body.as_bytes()).is_ok(), "{answer}");
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_is_no_trouble() {
    let tracker = Running::with(|config| config.open = true);
    for _ in 0..50 {
        let mut stream = TcpStream::connect(tracker.announce).await.unwrap();
        stream.write_all(b"GET /announce?info_hash=").await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(10), tracker.announce(&leecher(&torrent("a"), 1))).await.unwrap().unwrap();
}
