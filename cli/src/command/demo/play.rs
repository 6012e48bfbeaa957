use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nova_protocol::Metainfo;
use nova_seeder::{
    agent_client::AgentClient,
    create,
    deliver::{Delivery, Replace},
    pull::{self, Progress, Pulled},
    push::{self, Pushed},
    source::Source,
    tracker::TrackerClient,
    verify::{self, Check},
};
use tokio::task::JoinSet;

use super::story::{self, Part, Story};
use crate::{context::Context, progress::Step, units};

/// The demonstration, once everything runs.
#[derive(Debug)]
pub struct Play<'a> {
    pub context: &'a Context,
    pub home: &'a Path,
    pub path: PathBuf,
    pub tracker: TrackerClient,
    pub agents: Vec<AgentClient>,
}

/// How much each agent has.
#[derive(Debug)]
struct Haves {
    have: Mutex<Vec<u64>>,
    progress: Arc<crate::progress::Progress>,
}

impl Play<'_> {
    /// Pushes, pulls, verifies, and tells of it.
    pub async fn run(self) -> Result<Story> {
        let (pushed, push_took) = self.push().await?;
        let metainfo = self.context.ask(self.tracker.metainfo(pushed.tag.info_hash)).await?;
        let info = &metainfo.info;
        let piece_length = info.piece_length.get().into();
        self.context.tell(&story::pushed(&pushed, info.piece_count(), piece_length, push_took))?;
        let (parts, pull_took) = self.pull(&pushed).await?;
        let origin_copies = story::copies(&parts, info.length);
        self.tell_of_pulls(&parts, origin_copies, pull_took)?;
        self.verify(&metainfo).await?;
        Ok(Story {
            info_hash: pushed.tag.info_hash.to_string(),
            reference: pushed.tag.reference.to_string(),
            files: pushed.tag.files,
            length: info.length,
            push_seconds: push_took.as_secs_f64(),
            pull_seconds: pull_took.as_secs_f64(),
            pulls: parts,
            origin_copies,
            verified: true,
            seconds: 0.0,
        })
    }

    async fn push(&self) -> Result<(Pushed, Duration)> {
        let started = Instant::now();
        let request = push::Request {
            path: self.path.clone(),
            reference: Some("demo:v1".parse()?),
            create: create::Options { private: true, ..create::Options::default() },
            expected_version: None,
            pusher: self.context.pusher(None),
            listen: super::LOOPBACK,
            upload_limit: None,
        };
        let progress = self.context.progress.clone();
        let observe = move |event| crate::command::push::show(&progress, event);
        let pushed = push::push(&self.tracker, request, observe, self.context.stop()).await?;
        Ok((pushed, started.elapsed()))
    }

    async fn pull(&self, pushed: &Pushed) -> Result<(Vec<Part>, Duration)> {
        let started = Instant::now();
        let have = Mutex::new(vec![0; self.agents.len()]);
        let haves = Arc::new(Haves { have, progress: self.context.progress.clone() });
        let mut pulls = JoinSet::new();
        for (index, agent) in self.agents.iter().cloned().enumerate() {
            let request = pull::Request {
                reuse: Vec::new(),
                stall_after: pull::STALL_AFTER,
                deadline: None,
                source: Source::Reference(pushed.tag.reference.clone()),
                directory: self.directory(index),
                replace: Replace::Nothing,
                delivery: Delivery::Auto,
                is_durable: true,
                no_preserve: Vec::new(),
                listen: super::LOOPBACK,
            };
            let (haves, stop) = (haves.clone(), self.context.stop().clone());
            pulls.spawn(async move {
                let observe = move |event| haves.see(index, event);
                let pulled: Pulled = pull::pull_through(&agent, &request, observe, &stop).await?;
                anyhow::Ok(Part::new(index + 1, &pulled, started.elapsed()))
            });
        }
        let mut parts = Vec::new();
        while let Some(part) = pulls.join_next().await {
            parts.push(part.context("a pull broke")??);
        }
        parts.sort_by_key(|part| part.agent);
        Ok((parts, started.elapsed()))
    }

    fn tell_of_pulls(&self, parts: &[Part], origin_copies: f64, took: Duration) -> Result<()> {
        let (number, took) = (parts.len(), units::duration(took));
        self.context
            .tell(&format!("3. Pulled it into {number} directories at once, through {number} agents, in {took}."))?;
        let table = story::table(parts).to_string();
        table.lines().try_for_each(|line| self.context.tell(&format!("   {line}")))?;
        self.context.tell(&format!("   The origin sent {origin_copies:.1} copies for {number} pulls."))
    }

    /// Every byte, executable bit and symlink, in every directory.
    async fn verify(&self, metainfo: &Metainfo) -> Result<()> {
        let started = Instant::now();
        for index in 0..self.agents.len() {
            let root = self.directory(index).join(&metainfo.info.name);
            let (info, stop, progress) =
                (metainfo.info.clone(), self.context.stop().clone(), self.context.progress.clone());
            let (before, all) = (metainfo.info.length * index as u64, metainfo.info.length * self.agents.len() as u64);
            let show = move |done, _| {
                progress.show("verifying", Step { done: before + done, total: all, detail: String::new() });
            };
            let check = move || verify::verify(&info, &root, Check::Everything(&[]), show, &stop);
            let report = tokio::task::spawn_blocking(check).await.context("verifying broke off")??;
            ensure!(report.ok(), "what agent {} delivered does not verify: {:?}", index + 1, report.damaged_files);
        }
        let all = units::bytes(metainfo.info.length * self.agents.len() as u64);
        let took = units::duration(started.elapsed());
        self.context.tell(&format!("4. Verified {all} against what was pushed, in {took}: every byte is right."))
    }

    fn directory(&self, index: usize) -> PathBuf {
        self.home.join(format!("pulled-{}", index + 1))
    }
}

impl Haves {
    fn see(&self, index: usize, event: Progress) {
        let Progress::Fetching(pull) = event else { return };
        let mut have = self.have.lock().unwrap_or_else(PoisonError::into_inner);
        have[index] = pull.have;
        let (done, total) = (have.iter().sum(), pull.length * have.len() as u64);
        self.progress.show("pulling", Step { done, total, detail: format!("{} agents", have.len()) });
    }
}
