use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use nova_seeder::{origin, tracker::TrackerClient};
use serde::Serialize;

use crate::{
    context::Context,
    env::Env,
    failure::Exit,
    servers::{Servers, TrackerAt, reachable},
    units,
};

/// Run a tracker and an origin in this process, until Ctrl-C.
///
/// Everything that nova needs, on the default ports: 15003 for announces, 15004 for the index and the dashboard, 15001,
/// 15011 and 15002 for the origin. Tags and content stay in the data directory. The settings of both can be changed as
/// those of nova-tracker and nova-seeder: NOVA_TRACKER_* and NOVA_ORIGIN_*, NOVA_TRACKER_CONFIG and NOVA_ORIGIN_CONFIG.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli up
  nova-cli up --data-dir /srv/nova
  NOVA_TRACKER_HTTP_LISTEN=127.0.0.1:15004 nova-cli up      the index for this host alone
Then, in another shell: nova-cli push ./dir models/demo:v1
Agents are processes of their own: `nova-seeder agent` on each host.")]
pub struct Up {
    /// Where tags and content are kept [default: $XDG_DATA_HOME/nova, or ~/.local/share/nova].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Where everything is.
#[derive(Debug, Serialize)]
struct Places {
    tracker: String,
    announce: String,
    dashboard: String,
    origin: String,
    free_bytes: u64,
    data_dir: PathBuf,
}

impl Up {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let mut servers = Servers::default();
        let result = self.serve(context, &mut servers).await;
        let ended = servers.end().await;
        result?;
        ended?;
        context.say("down");
        Ok(Exit::Done)
    }

    async fn serve(&self, context: &Context, servers: &mut Servers) -> Result<()> {
        let data_dir = self.data_dir(&context.env)?;
        let at = servers.tracker(tracker_config(&context.env, &data_dir)?).await?;
        let origin = origin_config(&context.env, &data_dir, &at)?;
        servers.origin(origin).await?;
        let places = Places::new(&at, data_dir).await?;
        context.report(&places, places.text())?;
        tokio::select! {
            () = context.stop().cancelled() => Ok(()),
            error = servers.failure() => Err(error),
        }
    }

    fn data_dir(&self, env: &Env) -> Result<PathBuf> {
        if let Some(given) = &self.data_dir {
            return Ok(env.path(given));
        }
        let data = env.variable("XDG_DATA_HOME").map(PathBuf::from);
        let home = || env.variable("HOME").map(|home| PathBuf::from(home).join(".local/share"));
        let data =
            data.or_else(home).context("no place for the data: neither XDG_DATA_HOME nor HOME; give --data-dir")?;
        Ok(data.join("nova"))
    }
}

fn tracker_config(env: &Env, data_dir: &std::path::Path) -> Result<nova_tracker::Config> {
    let flags = nova_tracker::config::Flags {
        config: env.variable("NOVA_TRACKER_CONFIG").map(PathBuf::from),
        data_dir: Some(data_dir.join("tracker")),
        ..nova_tracker::config::Flags::default()
    };
    Ok(nova_tracker::Config::load(&flags)?)
}

fn origin_config(env: &Env, data_dir: &std::path::Path, tracker: &TrackerAt) -> Result<origin::Config> {
    let flags = origin::Flags {
        config: env.variable("NOVA_ORIGIN_CONFIG").map(PathBuf::from),
        data_dir: Some(data_dir.join("origin")),
        tracker: Some(tracker.url()),
        ..origin::Flags::default()
    };
    Ok(origin::Config::load(&flags)?)
}

impl Places {
    async fn new(at: &TrackerAt, data_dir: PathBuf) -> Result<Self> {
        let listed = TrackerClient::new(&at.url())?.origins().await?.origins;
        let origin = listed.iter().find(|origin| origin.live).context("the origin has gone")?;
        Ok(Self {
            tracker: at.url(),
            announce: format!("http://{}/announce", reachable(at.announce)),
            dashboard: format!("{}/", at.url()),
            origin: origin.lease.peer_addr.to_string(),
            free_bytes: origin.lease.free_bytes,
            data_dir,
        })
    }

    fn text(&self) -> String {
        let Self { tracker, announce, dashboard, origin, .. } = self;
        let port = tracker.rsplit(':').next().unwrap_or_default();
        let here = if port == "15004" { String::new() } else { format!("--tracker {tracker} ") };
        let there = format!("http://THIS_HOST:{port}");
        let (data_dir, free) = (self.data_dir.display(), units::bytes(self.free_bytes));
        format!(
            "\
nova is up. Ctrl-C ends it; tags and content stay in {data_dir}.

  tracker    {tracker}
  dashboard  {dashboard}
  announce   {announce}
  origin     {origin}, {free} free

In another shell:
  nova-cli {here}push ./dir models/demo:v1
  nova-cli {here}pull models/demo:v1 -d out

On another machine:
  nova-cli --tracker {there} pull models/demo:v1
  nova-seeder agent --tracker {there}
The agent fetches once for all users of its machine, and goes on seeding."
        )
    }
}
