use std::time::Duration;

use super::Crowd;

/// The longest that known clients wait between announces on their own account, whatever they are told (libtorrent:
/// five minutes). A peer has not missed an interval before that.
const SLOWEST_CLIENT: u32 = 300;

/// The shortest interval of a seeder, who only learns of leechers that cannot dial it.
const SEEDER: u64 = 10;

/// How often peers announce.
///
/// A peer waits a tenth of the time for which it has been here: two seconds at first, when everybody comes at once, and
/// minutes when the swarm has settled. A seeder without leechers has nothing to learn and waits as long as possible.
/// Beyond a number of peers all wait longer, so that the announces of all together stay within the budget: one half of
/// it is for leechers, so that a few of them stay quick beside a million seeders.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Never less, in seconds.
    pub min: u32,
    /// Never more, in seconds, unless the budget demands it.
    pub max: u32,
    /// Announces a second of all peers together.
    pub budget: u32,
}

/// What a peer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Leecher,
    Seeder,
    IdleSeeder,
}

impl Pace {
    /// Seconds until a peer's next announce; `stay` is how long it has been here, `everybody` are the peers of all
    /// swarms.
    pub(super) fn interval(&self, role: Role, stay: Duration, everybody: Crowd) -> u32 {
        let tenth = stay.as_secs() / 10;
        let (wish, sharers) = match role {
            Role::Leecher => (tenth, everybody.leechers),
            Role::Seeder => (tenth.max(SEEDER), everybody.seeders),
            Role::IdleSeeder => (self.max.into(), everybody.seeders),
        };
        let affordable = (2 * sharers).div_ceil(self.budget.max(1) as usize);
        let wish = u32::try_from(wish).unwrap_or(u32::MAX).clamp(self.min, self.max);
        wish.max(u32::try_from(affordable).unwrap_or(u32::MAX))
    }

    /// How long a peer stays after an announce that was told this interval: until it has missed two of them.
    pub(super) fn patience(interval: u32) -> Duration {
        Duration::from_secs(2 * u64::from(interval.max(SLOWEST_CLIENT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { min: 2, max: 1800, budget: 1000 };

    fn after(role: Role, seconds: u64, peers: usize) -> u32 {
        PACE.interval(role, Duration::from_secs(seconds), Crowd { seeders: peers, leechers: peers })
    }

    #[test]
    fn a_young_leecher_comes_back_at_once_and_an_old_one_rarely() {
        assert_eq!(after(Role::Leecher, 0, 10), 2);
        assert_eq!(after(Role::Leecher, 20, 10), 2);
        assert_eq!(after(Role::Leecher, 600, 10), 60);
        assert_eq!(after(Role::Leecher, 1_000_000, 10), 1800);
    }

    #[test]
    fn an_idle_seeder_waits_longest() {
        assert_eq!(after(Role::IdleSeeder, 0, 10), 1800);
        assert_eq!(after(Role::Seeder, 0, 10), 10);
    }

    #[test]
    fn a_leecher_stays_quick_beside_many_seeders() {
        let everybody = Crowd { seeders: 1_000_000, leechers: 100 };
        assert_eq!(PACE.interval(Role::Leecher, Duration::ZERO, everybody), 2);
    }

    #[test]
    fn the_budget_stretches_every_interval() {
        assert_eq!(after(Role::Leecher, 0, 10_000), 20);
        assert_eq!(after(Role::IdleSeeder, 0, 10_000_000), 20_000);
    }
}
