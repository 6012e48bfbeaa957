//! What writes to the index, and reads of it, do to the latency of announces.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nova_protocol::Metainfo;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::{
    Bench,
    compare::{Face, prepared},
    load::Load,
    measure::median,
    peers::{self, Peer},
    servers::Kind,
};

/// How many tags there are; each moves again and again.
const TAGS: u64 = 100;

/// How many torrents and moves of tags a second an operator with a busy build farm makes.
const BUSY: u32 = 50;

/// Announces at half of what the server can do, alone and beside a client of the index, in turns.
pub fn run(bench: &Bench) -> Result<()> {
    let server = Kind::Nova.start(&Kind::Nova.find(&bench.programs)?, bench.server_core)?;
    let load = Load { duration: Some(bench.seconds), ..prepared(Face::HttpLasting, &server)? };
    let mut peers = peers::any();
    let full = Face::HttpLasting.run(&load, &mut peers)?;
    let load = Load { pace: Some(full.rate() / 2.0), ..load };
    let paces = [None, Some(Duration::from_secs(1) / BUSY), Some(Duration::ZERO)];
    let mut rows = paces.map(|pace| (pace, Vec::new()));
    for round in 0..bench.rounds {
        for (pace, measured) in &mut rows {
            measured.push(beside(*pace, round, server.index, &load, &mut peers)?);
        }
    }
    println!("\nLatency of nova's announces over HTTP at {:.0} a second, half of what it can do\n", full.rate() / 2.0);
    println!("| new torrents, moves and lists of tags a second | p50 µs | p99 µs |\n|---|---|---|");
    for (_, measured) in rows {
        let [moves, middle, tail] = [0, 1, 2].map(|part| median(measured.iter().map(|round| round[part])));
        println!("| {moves:.0} | {middle:.0} | {tail:.0} |");
    }
    Ok(())
}

/// Moves of tags a second, made with a pause after each, and the middle and the tail of the announces' latency.
fn beside(
    pause: Option<Duration>,
    round: usize,
    index: SocketAddr,
    load: &Load,
    peers: &mut dyn Iterator<Item = Peer>,
) -> Result<[f64; 3]> {
    let (stop, count) = (&AtomicBool::new(false), &AtomicU64::new(0));
    let announced = thread::scope(|scope| {
        let mover = pause.map(|pause| scope.spawn(move || move_tags(index, round, pause, stop, count)));
        let announced = Face::HttpLasting.run(load, peers);
        stop.store(true, Relaxed);
        mover.map_or(Ok(()), |mover| mover.join().expect("the mover does not panic")).and(announced)
    });
    let mut measured = announced?;
    let moves = count.load(Relaxed) as f64 / measured.elapsed.as_secs_f64();
    Ok([moves, measured.percentile(0.5), measured.percentile(0.99)])
}

/// Adds torrents that a made-up origin says it has, moves tags to them and lists all tags, until it is told to stop.
fn move_tags(index: SocketAddr, round: usize, pause: Duration, stop: &AtomicBool, count: &AtomicU64) -> Result<()> {
    // Announces are timed on the same core, and must not wait for this.
    rustix::process::nice(19)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let api = Api { client: Client::new(), index };
        let mut number = 0;
        while !stop.load(Relaxed) {
            if number % 100 == 0 {
                let lease = json!({"peer_addr": "127.0.0.1:9", "fetch_addr": "127.0.0.1:9", "http_addr": "127.0.0.1:9",
                    "free_bytes": 1_000_000});
                api.send(Method::PUT, "/v1/origins/o", &lease).await?;
            }
            let torrent = torrent(&format!("content-{round}-{pause:?}-{number}"))?;
            let info_hash = torrent.info_hash();
            api.put_torrent(&torrent).await?;
            let report = json!({"state": "complete", "have": torrent.info.length});
            api.send(Method::PUT, &format!("/v1/origins/o/replicas/{info_hash}"), &report).await?;
            let tag = format!("/v1/tags/bench/{}:v1", number % TAGS);
            api.send(Method::PUT, &tag, &json!({"info_hash": info_hash, "pusher": "bench"})).await?;
            api.send(Method::GET, "/v1/tags", &Value::Null).await?;
            number += 1;
            count.fetch_add(1, Relaxed);
            tokio::time::sleep(pause).await;
        }
        Ok(())
    })
}

struct Api {
    client: Client,
    index: SocketAddr,
}

impl Api {
    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<()> {
        let request = self.client.request(method, format!("http://{}{path}", self.index));
        answered(path, if body.is_null() { request } else { request.json(body) }).await
    }

    async fn put_torrent(&self, torrent: &Metainfo) -> Result<()> {
        let path = format!("/v1/torrents/{}", torrent.info_hash());
        let request = self.client.put(format!("http://{}{path}", self.index)).body(torrent.as_bytes().to_vec());
        answered(&path, request).await
    }
}

async fn answered(path: &str, request: reqwest::RequestBuilder) -> Result<()> {
    let answer = request.send().await.with_context(|| path.to_owned())?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{path}: {status} {text}");
    Ok(())
}

/// A torrent of nine bytes.
fn torrent(name: &str) -> Result<Metainfo> {
    let info = format!("d6:lengthi9e4:name{}:{name}12:piece lengthi65536e6:pieces20:{}e", name.len(), "x".repeat(20));
    Ok(Metainfo::from_info(info.as_bytes(), &[], &[])?)
}
