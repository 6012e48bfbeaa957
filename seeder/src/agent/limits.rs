//! Which limits hold now, and how they are changed while an agent runs.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Local, TimeZone, Utc};
use nova_protocol::{
    InfoHash, Rate,
    api::{self, LimitsSetBy, PullLimits, SetLimits, SetPullLimits},
};

use super::{
    Agent, Config, Torrent,
    schedule::{self, Clock, Window},
};
use crate::fetch::{FetchError, TorrentLimits};

/// How long the schedule is left alone: clocks are set, and hosts sleep.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The limits of a host: settings, schedule, and what was set by hand.
#[derive(Debug)]
pub(super) struct Limits {
    settings: Settings,
    by_hand: Mutex<Option<ByHand>>,
}

#[derive(Debug, Clone)]
struct Settings {
    upload: Rate,
    download: Rate,
    clock: Clock,
    schedule: Vec<Window>,
}

/// What somebody set, until the schedule next changes anything.
#[derive(Debug, Clone, Copy)]
struct ByHand {
    upload: Rate,
    download: Rate,
    until: Option<u64>,
}

impl Settings {
    /// The limits that hold at a time, when `by_hand` was set before that.
    fn at<Z: TimeZone>(&self, now: &DateTime<Z>, by_hand: Option<ByHand>) -> api::Limits {
        if let Some(ByHand { upload, download, until }) = by_hand
            && until.is_none_or(|until| unix(now) < until)
        {
            return api::Limits { upload_limit: upload, download_limit: download, set_by: LimitsSetBy::Hand, until };
        }
        let window = schedule::holding(&self.schedule, now.naive_local()).map(|place| &self.schedule[place]);
        api::Limits {
            upload_limit: window.and_then(|window| window.upload_limit).unwrap_or(self.upload),
            download_limit: window.and_then(|window| window.download_limit).unwrap_or(self.download),
            set_by: if window.is_some() { LimitsSetBy::Schedule } else { LimitsSetBy::Settings },
            until: schedule::next_change(&self.schedule, now).map(|change| unix(&change)),
        }
    }

    fn now(&self, by_hand: Option<ByHand>) -> api::Limits {
        match self.clock {
            Clock::Local => self.at(&Local::now(), by_hand),
            Clock::Utc => self.at(&Utc::now(), by_hand),
        }
    }
}

impl Limits {
    pub(super) fn new(config: &Config) -> Self {
        let settings = Settings {
            upload: config.upload_limit,
            download: config.download_limit,
            clock: config.schedule_clock,
            schedule: config.schedule.clone(),
        };
        Self { settings, by_hand: Mutex::default() }
    }

    pub(super) fn now(&self) -> api::Limits {
        self.settings.now(*self.by_hand())
    }

    fn set(&self, set: &SetLimits) {
        let mut by_hand = self.by_hand();
        let before = self.settings.now(*by_hand);
        *by_hand = Some(ByHand {
            upload: set.upload_limit.unwrap_or(before.upload_limit),
            download: set.download_limit.unwrap_or(before.download_limit),
            until: self.settings.now(None).until,
        });
    }

    fn by_hand(&self) -> MutexGuard<'_, Option<ByHand>> {
        self.by_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// Has the session keep to what holds at each time, until the agent ends.
    pub(super) async fn keep_limits(self: Arc<Self>) {
        loop {
            self.apply_limits();
            let again = tokio::time::sleep(LOOK_EVERY);
            if self.shutdown.run_until_cancelled(again).await.is_none() {
                return;
            }
        }
    }

    /// Sets the limits of the host by hand.
    pub(super) fn set_limits(&self, set: &SetLimits) -> api::Limits {
        self.limits.set(set);
        self.apply_limits()
    }

    /// Forgets what was set by hand.
    pub(super) fn reset_limits(&self) -> api::Limits {
        *self.limits.by_hand() = None;
        self.apply_limits()
    }

    fn apply_limits(&self) -> api::Limits {
        let limits = self.limits.now();
        self.fetcher.limit(limits.upload_limit, limits.download_limit);
        limits
    }

    /// The limits of a pull, if there is one.
    pub(super) fn pull_limits(&self, info_hash: InfoHash) -> Option<PullLimits> {
        self.torrents().contains_key(&info_hash).then(|| {
            let (TorrentLimits { upload, download, peers }, is_own) = self.fetcher.torrent_limits(info_hash);
            PullLimits {
                upload_limit: upload,
                download_limit: download,
                peers_max: peers.map_or(0, NonZeroU32::get),
                set_by: if is_own { LimitsSetBy::Hand } else { LimitsSetBy::Settings },
            }
        })
    }

    /// Sets the limits of a pull by hand, or with `None` has the settings hold again. None when there is no such pull.
    pub(super) async fn set_pull_limits(
        &self,
        info_hash: InfoHash,
        set: Option<SetPullLimits>,
    ) -> Result<Option<PullLimits>, FetchError> {
        let _changing = self.changing.lock().await;
        let found = self.torrents().get(&info_hash).cloned();
        let Some(Torrent { entry, origins }) = found else { return Ok(None) };
        let (before, _) = self.fetcher.torrent_limits(info_hash);
        let limits = set.map(|set| TorrentLimits {
            upload: set.upload_limit.unwrap_or(before.upload),
            download: set.download_limit.unwrap_or(before.download),
            peers: set.peers_max.or(before.peers),
        });
        self.fetcher.limit_torrent(limits, &entry.metainfo, &entry.output_folder(), &origins).await?;
        Ok(self.pull_limits(info_hash))
    }
}

fn unix<Z: TimeZone>(time: &DateTime<Z>) -> u64 {
    u64::try_from(time.timestamp()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(bytes: u32) -> Rate {
        bytes.try_into().unwrap()
    }

    fn settings() -> Settings {
        let office = r#"[{"days":"mon-fri","from":"08:00","to":"18:00","upload_limit":100000}]"#;
        let schedule = serde_json::from_str(office).unwrap();
        Settings { upload: rate(200_000), download: rate(300_000), clock: Clock::Utc, schedule }
    }

    /// The 1st of February 2027 is a Monday.
    fn at(day: u32, hour: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2027, 2, day, hour, 0, 0).unwrap()
    }

    fn said(limits: &api::Limits) -> (u32, u32, LimitsSetBy, Option<u64>) {
        (limits.upload_limit.into(), limits.download_limit.into(), limits.set_by, limits.until)
    }

    #[test]
    fn a_window_holds_for_what_it_names_and_the_settings_for_the_rest() {
        let (before, within) = (settings().at(&at(1, 7), None), settings().at(&at(1, 8), None));
        assert_eq!(said(&before), (200_000, 300_000, LimitsSetBy::Settings, Some(unix(&at(1, 8)))));
        assert_eq!(said(&within), (100_000, 300_000, LimitsSetBy::Schedule, Some(unix(&at(1, 18)))));
        let alone = Settings { schedule: Vec::new(), ..settings() }.at(&at(1, 7), None);
        assert_eq!(said(&alone), (200_000, 300_000, LimitsSetBy::Settings, None));
    }

    #[test]
    fn what_was_set_by_hand_holds_until_the_schedule_changes_anything() {
        let by_hand = ByHand { upload: rate(0), download: rate(50_000), until: Some(unix(&at(1, 18))) };
        let limits = settings().at(&at(1, 17), Some(by_hand));
        assert_eq!(said(&limits), (0, 50_000, LimitsSetBy::Hand, Some(unix(&at(1, 18)))));
        assert_eq!(settings().at(&at(1, 18), Some(by_hand)).set_by, LimitsSetBy::Settings);
        let forever = ByHand { until: None, ..by_hand };
        assert_eq!(settings().at(&at(28, 18), Some(forever)).set_by, LimitsSetBy::Hand);
    }

    #[test]
    fn what_is_not_named_stays() {
        let limits = Limits { settings: Settings { schedule: Vec::new(), ..settings() }, by_hand: Mutex::default() };
        limits.set(&SetLimits { upload_limit: Some(rate(0)), download_limit: None });
        assert_eq!(said(&limits.now()), (0, 300_000, LimitsSetBy::Hand, None));
        limits.set(&SetLimits { upload_limit: None, download_limit: Some(rate(20_000)) });
        assert_eq!(said(&limits.now()), (0, 20_000, LimitsSetBy::Hand, None));
    }
}
