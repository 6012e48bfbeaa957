use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{env::Output, escape, units};

/// Between two lines of progress that nobody watches live.
const EVERY: Duration = Duration::from_secs(3);

/// How far a command is: a bar on a terminal, a line every few seconds elsewhere, nothing when it shall be quiet.
#[derive(Debug)]
pub struct Progress {
    stderr: Output,
    face: Face,
    stage: Mutex<Option<Stage>>,
}

#[derive(Debug)]
enum Face {
    Bar,
    Lines,
    None,
}

/// What is being done now.
#[derive(Debug)]
struct Stage {
    name: &'static str,
    since: Instant,
    /// What was done when the stage began, such as a pull that goes on.
    began_with: u64,
    /// When a line was printed, and what was done then.
    told: (Instant, u64),
    last: Step,
    bar: Option<ProgressBar>,
}

/// How far a stage is, in bytes, and what else there is to say.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Peers, origins.
    pub detail: String,
}

impl Progress {
    /// One that shows itself on `stderr`, or nowhere.
    pub fn new(stderr: Output, silent: bool) -> Self {
        let face = match (silent, stderr.is_terminal) {
            (true, _) => Face::None,
            (false, true) => Face::Bar,
            (false, false) => Face::Lines,
        };
        Self { stderr, face, stage: Mutex::default() }
    }

    /// Shows how far the stage `name` is; another stage ends with it.
    pub fn show(&self, name: &'static str, mut step: Step) {
        if matches!(self.face, Face::None) {
            return;
        }
        step.detail = escape::line(&step.detail);
        let mut stage = self.lock();
        if stage.as_ref().is_none_or(|stage| stage.name != name) {
            self.finish(stage.take());
            *stage = Some(self.begin(name, &step));
        }
        if let Some(stage) = stage.as_mut() {
            self.advance(stage, step);
        }
    }

    /// Ends the stage that there is.
    pub fn end(&self) {
        self.finish(self.lock().take());
    }

    /// Says a line on stderr, above the bar.
    pub fn say(&self, line: &str) {
        match self.lock().as_ref().and_then(|stage| stage.bar.as_ref()) {
            Some(bar) => bar.suspend(|| self.stderr.say(line)),
            None => self.stderr.say(line),
        }
    }

    fn begin(&self, name: &'static str, step: &Step) -> Stage {
        let now = Instant::now();
        let bar = matches!(self.face, Face::Bar).then(|| {
            let bar = ProgressBar::with_draw_target(Some(step.total), ProgressDrawTarget::stderr());
            bar.with_style(style(!step.detail.is_empty())).with_prefix(name).with_elapsed(Duration::ZERO)
        });
        if bar.is_none() {
            self.stderr.say(&format!("{name} {}", units::bytes(step.total)));
        }
        Stage { name, since: now, began_with: step.done, told: (now, step.done), last: step.clone(), bar }
    }

    fn advance(&self, stage: &mut Stage, step: Step) {
        if let Some(bar) = &stage.bar {
            bar.set_length(step.total);
            bar.set_position(step.done);
            bar.set_message(step.detail.clone());
        } else if stage.told.0.elapsed() >= EVERY {
            self.stderr.say(&stage.line(&step));
            stage.told = (Instant::now(), step.done);
        }
        if step.done >= stage.last.done {
            stage.last = step;
        }
    }

    fn finish(&self, stage: Option<Stage>) {
        let Some(stage) = stage else { return };
        if let Some(bar) = &stage.bar {
            bar.finish_and_clear();
        } else if stage.last.done >= stage.last.total {
            let took = stage.since.elapsed();
            let done = stage.last.done.saturating_sub(stage.began_with);
            self.stderr.say(&format!(
                "{} done in {}{}",
                stage.name,
                units::duration(took),
                units::comma_rate(done, took)
            ));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

impl Stage {
    fn line(&self, step: &Step) -> String {
        let took = self.told.0.elapsed();
        let gained = step.done.saturating_sub(self.told.1);
        let left = step.total.saturating_sub(step.done);
        let left = match gained {
            0 => String::new(),
            _ => format!(", {} left", units::duration(took.mul_f64(left as f64 / gained as f64))),
        };
        let detail = if step.detail.is_empty() { String::new() } else { format!(", {}", step.detail) };
        let (done, total) = (units::bytes(step.done), units::bytes(step.total));
        let share = units::percent(step.done, step.total);
        format!("{} {share} {done} of {total}, {}{left}{detail}", self.name, units::rate(gained, took))
    }
}

/// At most 80 columns wide; the detail has a line of its own.
fn style(has_detail: bool) -> ProgressStyle {
    let bar = "{prefix:9} {bar:10} {percent:>3}%  {bytes} of {total_bytes}  {binary_bytes_per_sec}  {eta} left";
    let template = if has_detail { format!("{bar}\n          {{wide_msg}}") } else { bar.to_owned() };
    ProgressStyle::with_template(&template).expect("a template that indicatif knows").progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Captured;

    fn told(silent: bool) -> String {
        let captured = Captured::default();
        let progress = Progress::new(Output::new(captured.clone(), false), silent);
        for done in [0, 512, 1024] {
            progress.show("hashing", Step { done, total: 1024, detail: String::new() });
        }
        progress.end();
        captured.text()
    }

    #[test]
    fn off_a_terminal_the_start_and_the_end_are_lines() {
        let told = told(false);
        assert!(told.starts_with("hashing 1.00 KiB\nhashing done in ") && told.lines().count() == 2, "{told}");
    }

    #[test]
    fn a_silent_one_says_nothing() {
        assert_eq!(told(true), "");
    }
}
