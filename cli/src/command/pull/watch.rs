use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Result, bail};
use nova_seeder::{
    follow::{Event, Follow, follow},
    place::Through,
    pull::Pulled,
    source::Source,
};

use super::{Pull, observer::Observer, outcome::Outcome, stall_after};
use crate::{context::Context, escape, failure::Exit, target};

/// A watch, as its user sees it.
struct Talk {
    context: Context,
    source: String,
    through: Through,
    pull: Mutex<Attempt>,
}

/// The pull that is under way, or will be.
struct Attempt {
    observer: Arc<Observer>,
    /// When it was first heard of.
    since: Option<Instant>,
}

impl Pull {
    /// Keeps the place at the tag until the user wants no more.
    pub(super) async fn watch(&self, context: &Context, source: &str, through: &Through) -> Result<Exit> {
        let Source::Reference(reference) = target::read(context, source)? else {
            bail!("--watch follows a tag: found {source}, expected NAME:TAG");
        };
        let what = Follow {
            reference,
            place: self.place(context),
            delivery: self.delivery,
            no_preserve: self.no_preserve.clone(),
            replace: self.replace,
            exec: self.exec.clone(),
            reuse: self.reuse(context),
            listen: self.listen.unwrap_or(context.config.listen),
            stall_after: stall_after(context),
        };
        context.say(&format!("keeping {what}; Ctrl-C ends it"));
        let talk = Talk {
            context: context.clone(),
            source: source.to_owned(),
            through: through.clone(),
            pull: Mutex::new(Attempt::new(context, through)),
        };
        follow(&what, &context.tracker()?, through, move |event| talk.hear(event), context.stop()).await;
        Ok(Exit::Interrupted)
    }
}

impl Attempt {
    fn new(context: &Context, through: &Through) -> Self {
        Self { observer: Arc::new(Observer::new(context, through)), since: None }
    }
}

impl Talk {
    fn hear(&self, event: Event) {
        let what = &self.source;
        match event {
            Event::Progress(progress) => {
                let observer = {
                    let mut pull = self.pull.lock().unwrap_or_else(PoisonError::into_inner);
                    pull.since.get_or_insert_with(Instant::now);
                    pull.observer.clone()
                };
                observer.see(progress);
            }
            Event::Placed { pulled, .. } => self.placed(&pulled),
            Event::Absent => self.say(&format!("there is no {what}: waiting for it")),
            Event::Away(error) => self.say(&format!("{error}; what is there stays, trying again")),
            Event::Back => self.say("the tracker is back"),
            Event::Failed(error) => self.say(&format!("error: {error}; trying again")),
            Event::CommandFailed(error) => self.say(&format!("error: --exec: {error}")),
        }
    }

    fn placed(&self, pulled: &Pulled) {
        let attempt = {
            let mut pull = self.pull.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *pull, Attempt::new(&self.context, &self.through))
        };
        let took = attempt.since.map(|since| since.elapsed()).unwrap_or_default();
        let through_agent = matches!(self.through, Through::Agent(_));
        let outcome = Outcome::new(&self.source, pulled, through_agent, took);
        if let Err(error) = self.context.report(&outcome, outcome.text(took)) {
            // Nobody reads any more, as in `nova-cli pull --watch ... | head`.
            tracing::debug!(%error, "cannot print");
            self.context.stop().cancel();
        }
    }

    /// Errors and news are said even when progress is not.
    fn say(&self, line: &str) {
        self.context.progress.end();
        self.context.progress.say(&escape::lines(line));
    }
}
