//! A run from its start to its end: who starts when, what goes wrong on the way, and when each is done.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::{
    Arguments, Event,
    host::{Client, Job},
};

const LOOK: Duration = Duration::from_millis(50);
/// How many times the bound a run may take.
const PATIENCE: f64 = 8.0;
/// What of the seeder's bytes is headers, or was sent twice.
const LOST_ON_THE_WAY: f64 = 1.05;

struct Watch<'a> {
    event: Event,
    bound: f64,
    /// What the seeder has to have sent before it dies.
    one_copy: f64,
    job: Job<'a>,
    seeder: &'a mut Client,
    leechers: Vec<Leecher<'a>>,
    start: Instant,
}

struct Leecher<'a> {
    client: &'a mut Client,
    /// In seconds since the start.
    starts: f64,
    /// Whether it leaves on the way.
    leaves: bool,
    has_joined: bool,
    /// In seconds since its own start.
    done: Option<f64>,
}

/// Starts everybody, and returns when each was done that stayed, in seconds since its own start, in order.
pub fn watch(
    arguments: &Arguments,
    seeder: &mut Client,
    leechers: &mut [Client],
    job: Job<'_>,
    bound: f64,
) -> Result<Vec<f64>> {
    let pause = arguments.spread / f64::from(arguments.hosts);
    let leecher = |(index, client)| {
        let is_odd = index % 2 == 1;
        let is_late = arguments.event == Event::Late && is_odd;
        let starts = if is_late { bound / 2.0 } else { pause * index as f64 };
        Leecher { client, starts, leaves: arguments.event == Event::Leave && is_odd, has_joined: false, done: None }
    };
    let leechers = leechers.iter_mut().enumerate().map(leecher).collect();
    let one_copy = seeder.host.sent()? + (arguments.size << 20) as f64 * LOST_ON_THE_WAY;
    let mut watch = Watch { event: arguments.event, bound, one_copy, job, seeder, leechers, start: Instant::now() };
    while watch.leechers.iter().any(|leecher| leecher.done.is_none() && (leecher.client.is_alive() || !leecher.leaves))
    {
        let waits = watch.leechers.iter().filter(|leecher| leecher.done.is_none()).count();
        ensure!(watch.seconds() < bound * PATIENCE + 10.0, "{waits} are not done after {:.0} s", watch.seconds());
        watch.join_those_due()?;
        watch.look()?;
        watch.interfere()?;
        thread::sleep(LOOK);
    }
    let mut done: Vec<f64> = watch.leechers.iter().filter_map(|leecher| leecher.done).collect();
    ensure!(!done.is_empty(), "nobody is left");
    done.sort_by(f64::total_cmp);
    Ok(done)
}

impl Watch<'_> {
    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn join_those_due(&mut self) -> Result<()> {
        let (now, job) = (self.seconds(), self.job);
        let due = self.leechers.iter_mut().filter(|leecher| !leecher.has_joined && leecher.starts <= now);
        thread::scope(|scope| {
            let joining: Vec<_> = due
                .map(|leecher| {
                    leecher.has_joined = true;
                    scope.spawn(|| leecher.client.join(job, false))
                })
                .collect();
            joining.into_iter().try_for_each(|joining| joining.join().expect("joining does not panic"))
        })
    }

    fn look(&mut self) -> Result<()> {
        let now = self.seconds();
        for leecher in &mut self.leechers {
            let may_be_done = leecher.has_joined && leecher.done.is_none() && leecher.client.is_alive();
            if may_be_done && leecher.client.is_done(self.job.info_hash)? {
                leecher.done = Some(now - leecher.starts);
            }
        }
        Ok(())
    }

    fn interfere(&mut self) -> Result<()> {
        if self.seconds() > self.bound / 2.0 {
            let leaving = self.leechers.iter_mut().filter(|leecher| leecher.leaves && leecher.done.is_none());
            leaving.for_each(|leecher| leecher.client.kill());
        }
        if self.event == Event::SeederDies && self.seeder.is_alive() && self.seeder.host.sent()? > self.one_copy {
            self.seeder.kill();
        }
        Ok(())
    }
}
