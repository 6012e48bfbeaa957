//! What an agent keeps at a tag, as its settings say.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Agent;
use crate::{
    follow::{Event, Follow, follow},
    place::Through,
};

impl Agent {
    /// Follows everything until the agent ends. It pulls through its own HTTP face, as others of this host do.
    pub(super) async fn follow(self: &Arc<Self>, follows: Vec<Follow>, through: Through) {
        let mut following = JoinSet::new();
        for one in follows {
            let (agent, through) = (self.clone(), through.clone());
            following.spawn(async move {
                let name = one.to_string();
                let uses = agent.clone();
                let observe = move |event| {
                    // It is pulled by its info hash; pins want to know by which reference.
                    if let Event::Placed { tag, .. } = &event {
                        uses.cache.uses.note(tag.info_hash, Some(&tag.reference));
                    }
                    log(&name, &event);
                };
                follow(&one, &agent.tracker, &through, observe, &agent.shutdown).await;
            });
        }
        following.join_all().await;
    }
}

fn log(follow: &str, event: &Event) {
    match event {
        Event::Progress(_) => {}
        Event::Placed { tag, pulled } => {
            let (version, path) = (tag.version, pulled.path.display());
            tracing::info!(%follow, version, info_hash = %tag.info_hash, %path, "in its place");
        }
        Event::Absent => tracing::warn!(%follow, "there is no such tag; waiting for it"),
        Event::Away(error) => tracing::warn!(%follow, %error, "the tracker is away; what is there stays"),
        Event::Back => tracing::info!(%follow, "the tracker is back"),
        Event::Failed(error) => tracing::error!(%follow, %error, "not in its place; trying again"),
        Event::CommandFailed(error) => tracing::error!(%follow, %error, "the command failed"),
    }
}
