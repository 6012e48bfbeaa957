//! The demonstration, in this process.

#![allow(clippy::unwrap_used)]

use nova_cli::{Env, Exit, run};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_verifies_what_three_agents_pulled() {
    let directory = tempfile::tempdir().unwrap();
    let (env, stdout, stderr) = Env::captured(directory.path(), ["demo", "--size=4MiB", "--json"]);
    assert_eq!(run(&env).await, Exit::Done, "{}", stderr.text());
    let story: Value = serde_json::from_str(&stdout.text()).unwrap();
    assert_eq!((&story["verified"], story["length"].as_u64()), (&Value::Bool(true), Some(4 << 20)));
    assert_eq!(story["pulls"].as_array().unwrap().len(), 3);
}
