//! `nova-seeder`: an origin or an agent.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    nova_seeder::command::run().await
}
