use std::{collections::BTreeSet, path::Path, time::Duration};

use boon::{Compiler, Schemas};
use nova_protocol::{
    Rate,
    api::{
        Cache, ErrorBody, ErrorDetail, LastUse, Limits, LimitsSetBy, PullState, SetLimits, Source as From, WaitsFor,
    },
};
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    agent::{self, Config, Listeners},
    create,
    listen::Listen,
};

const TOKEN: &str = "0123456789abcdef";
const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

/// `openapi.json`, and what validates against its schemas.
struct Description(Value);

struct Operation {
    method: String,
    path: String,
    described: Value,
}

impl Description {
    fn read() -> Self {
        Self(serde_json::from_str(OPENAPI).unwrap())
    }

    fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().unwrap();
        let operation = |path: &str, method: &str, described: &Value| Operation {
            method: method.to_uppercase(),
            path: path.to_owned(),
            described: described.clone(),
        };
        let of_path = |(path, item): (&String, &Value)| {
            let described = METHODS.iter().filter_map(|method| Some(operation(path, method, item.get(method)?)));
            described.collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    /// What is described as the answer with this status, if anything is.
    fn response<'a>(&'a self, operation: &'a Operation, status: StatusCode) -> Option<&'a Value> {
        let response = operation.described["responses"].get(status.as_str())?;
        match response["$ref"].as_str() {
            Some(shared) => self.0.pointer(shared.trim_start_matches('#')),
            None => Some(response),
        }
    }

    fn assert_valid(&self, schema: &str, value: &Value) {
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.add_resource("http://nova/openapi.json", self.0.clone()).unwrap();
        let schema = compiler.compile(&format!("http://nova/openapi.json{schema}"), &mut schemas).unwrap();
        if let Err(error) = schemas.validate(value, schema) {
            panic!("{error:#}\n{value:#}");
        }
    }

    fn assert_sample(&self, name: &str, sample: impl Serialize) {
        self.assert_valid(&format!("#/components/schemas/{name}"), &serde_json::to_value(sample).unwrap());
    }
}

/// An agent without a tracker, and a pull that is on its way.
struct Scene {
    base: String,
    info_hash: String,
    torrent: Vec<u8>,
    http: reqwest::Client,
    shutdown: CancellationToken,
    _home: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let metainfo = metainfo(home.path());
        let anywhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let config = Config {
            tracker: "http://127.0.0.1:9".to_owned(),
            data_dir: home.path().join("agent"),
            peers_listen: anywhere,
            http_listen: Listen::Tcp(anywhere),
            token: TOKEN.into(),
            ..Config::default()
        };
        let (listeners, shutdown) = (Listeners::bind(&config).await.unwrap(), CancellationToken::new());
        let base = format!("http://{}", listeners.http.at().unwrap());
        tokio::spawn(agent::serve(config, listeners, shutdown.clone()));
        Self {
            base,
            info_hash: metainfo.info_hash().to_string(),
            torrent: metainfo.as_bytes().to_vec(),
            http: reqwest::Client::new(),
            shutdown,
            _home: home,
        }
    }

    /// Bodies to try, with their content types: right ones and wrong ones.
    fn bodies(&self, operation: &Operation) -> Vec<(&'static str, Vec<u8>)> {
        let described = &operation.described["requestBody"]["content"];
        if described.is_null() {
            return vec![("", Vec::new())];
        }
        let right = described[JSON]["example"].to_string().into_bytes();
        let mut bodies = vec![
            (JSON, b"{".to_vec()),
            (JSON, b"{}".to_vec()),
            (JSON, br#"{"upload_limit":1}"#.to_vec()),
            ("text/plain", right.clone()),
            ("", Vec::new()),
            (JSON, right),
        ];
        if described.get(TORRENT).is_some() {
            bodies.extend([(TORRENT, b"d4:infoe".to_vec()), (TORRENT, self.torrent.clone())]);
        }
        bodies
    }

    fn request(&self, operation: &Operation, info_hash: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.base, operation.path.replace("{info_hash}", info_hash));
        self.http.request(operation.method.parse::<Method>().unwrap(), url).timeout(Duration::from_secs(20))
    }

    /// Everything to try for an operation; what succeeds comes last.
    fn requests(&self, operation: &Operation) -> Vec<reqwest::RequestBuilder> {
        let bearer = format!("Bearer {TOKEN}");
        let none = "0".repeat(40);
        let known = |request: reqwest::RequestBuilder| request.header(AUTHORIZATION, &bearer);
        let mut requests = vec![
            self.request(operation, &self.info_hash),
            known(self.request(operation, &self.info_hash)).header(HOST, "evil.example"),
        ];
        for hash in ["x", &none, &self.info_hash] {
            for (kind, body) in self.bodies(operation) {
                let request = known(self.request(operation, hash)).body(body);
                requests.push(if kind.is_empty() { request } else { request.header(CONTENT_TYPE, kind) });
            }
        }
        requests
    }
}

fn metainfo(home: &Path) -> Metainfo {
    let file = home.join("file");
    std::fs::write(&file, vec![7; 100_000]).unwrap();
    let created = create::create(&file, &create::Options::default(), |_, _| {}, &CancellationToken::new());
    created.unwrap().metainfo
}

#[test]
fn every_route_is_described_and_nothing_else_is() {
    let described = Description::read().operations();
    let described: BTreeSet<_> = described.iter().map(|row| (row.method.as_str(), row.path.as_str())).collect();
    let served: BTreeSet<_> = ROUTES.iter().map(|(method, path, _)| (*method, *path)).collect();
    assert_eq!(described, served);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_answers_what_the_description_says() {
    let (description, scene) = (Description::read(), Scene::new().await);
    let mut operations = description.operations();
    // There must be a pull before anything is asked of it, and its end comes last.
    operations.sort_by_key(|operation| match operation.described["operationId"].as_str().unwrap() {
        "start" => 0,
        "remove" => 2,
        _ => 1,
    });
    for operation in operations {
        let what = format!("{} {}", operation.method, operation.path);
        let mut succeeded = false;
        for request in scene.requests(&operation) {
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let described = description.response(&operation, status);
            let described = described.unwrap_or_else(|| panic!("{what} answers {status}"));
            succeeded |= status.is_success();
            let kind = answer.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
            let kind = kind.map(|kind| kind.split(';').next().unwrap().to_owned());
            let body = answer.bytes().await.unwrap();
            let Some(kind) = kind else {
                assert!(described.get("content").is_none() && body.is_empty(), "{what} {status}");
                continue;
            };
            let content =
                described["content"].get(&kind).unwrap_or_else(|| panic!("{what} answers {status} in {kind}"));
            if let Some(schema) = content["schema"]["$ref"].as_str() {
                description.assert_valid(schema, &serde_json::from_slice(&body).unwrap());
            }
        }
        assert!(succeeded, "{what} never succeeded");
    }
    scene.shutdown.cancel();
}

#[test]
fn every_field_of_every_body_is_described() {
    let (description, rate) = (Description::read(), Rate::try_from(1 << 20).unwrap());
    let pull = Pull {
        info_hash: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        name: "demo".to_owned(),
        state: PullState::Failed,
        length: 2,
        have: 1,
        checked: 0,
        reused: 1,
        download_rate: 0,
        upload_rate: 0,
        uploaded: 0,
        peers: 1,
        sources: vec![From { addr: "127.0.0.1:1".parse().unwrap(), bytes: 1, origin: true }],
        waits_for: Some(WaitsFor::Pieces),
        last_use: Some(LastUse { at: 1, references: vec!["demo:v1".parse().unwrap()], pinned: true }),
        path: "/demo".into(),
        reason: Some("no space".to_owned()),
    };
    for state in [PullState::Checking, PullState::Fetching, PullState::Seeding, PullState::Failed] {
        description.assert_sample("Pull", Pull { state, ..pull.clone() });
    }
    description.assert_sample("Pulls", Pulls { pulls: vec![pull] });
    let cache = Cache { torrents: 1, used: 1, budget: Some(1), free: 1, free_space_floor: 1 };
    description.assert_sample("Cache", cache);
    description.assert_sample("StartPull", StartPull { source: "demo".to_owned() });
    for set_by in [LimitsSetBy::Settings, LimitsSetBy::Schedule, LimitsSetBy::Hand] {
        let limits = Limits { upload_limit: rate, download_limit: Rate::UNLIMITED, set_by, until: Some(1) };
        description.assert_sample("Limits", limits);
        let limits = PullLimits { upload_limit: rate, download_limit: Rate::UNLIMITED, peers_max: 1, set_by };
        description.assert_sample("PullLimits", limits);
    }
    let (upload_limit, download_limit) = (Some(rate), Some(rate));
    description.assert_sample("SetLimits", SetLimits { upload_limit, download_limit });
    let peers_max = std::num::NonZeroU32::new(1);
    description.assert_sample("SetPullLimits", SetPullLimits { upload_limit, download_limit, peers_max });
    let detail = ErrorDetail { code: "not_found".to_owned(), message: "none".to_owned() };
    description.assert_sample("Error", ErrorBody { error: detail });
}

#[test]
#[should_panic(expected = "additionalProperties")]
fn a_field_that_is_not_described_is_noticed() {
    Description::read().assert_sample("StartPull", json!({ "source": "demo", "more": 1 }));
}
