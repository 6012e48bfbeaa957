use nova_protocol::{
    InfoHash,
    api::{RolloutAgent, RolloutState, TagVersion},
};

use super::*;

const RULES: Rules =
    Rules { lease: Duration::from_secs(30), renewals_per_second: 1000, agents_max: 20_000, bytes_max: 16 << 20 };

fn id(text: &str) -> AgentId {
    text.parse().unwrap()
}

fn pull(content: u8, state: PullState, have: u64) -> PullReport {
    let info_hash = InfoHash::from([content; 20]);
    PullReport { info_hash, state, have, length: 100, download_rate: 7, reason: None }
}

fn lease(pulls: &[PullReport]) -> AgentLease {
    AgentLease {
        peer_addr: ([127, 0, 0, 1], 1).into(),
        host: "host".parse().unwrap(),
        pulls: pulls.to_vec(),
        follows: Vec::new(),
    }
}

fn ids(agents: &Agents) -> Vec<String> {
    agents.page(None, 100).0.iter().map(|agent| agent.id.to_string()).collect()
}

#[test]
fn an_agent_is_live_until_its_lease_runs_out() {
    let (mut agents, start) = (Agents::default(), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    let granted = agents.renew(id("a"), lease(&[]), RULES, start).unwrap();
    assert_eq!(granted, AgentLeaseGranted { lease_seconds: 30, progress_seconds: 1 });
    agents.renew(id("b"), lease(&[]), RULES, after(10)).unwrap();
    assert!(agents.expire(after(30)).is_empty());
    assert_eq!(agents.expire(after(31)), [id("a")]);
    assert_eq!(ids(&agents), ["b"]);
    agents.remove(&id("b")).unwrap();
    assert!(matches!(agents.remove(&id("b")), Err(AgentsError::Unknown(_))));
    assert_eq!((agents.bytes, agents.busy, agents.count()), (0, 0, 0));
}

#[test]
fn one_agent_keeps_what_several_have() {
    let (mut agents, now) = (Agents::default(), Instant::now());
    for (agent, state) in [("a", PullState::Fetching), ("c", PullState::Seeding), ("b", PullState::Seeding)] {
        agents.renew(id(agent), lease(&[pull(2, PullState::Seeding, 100), pull(1, state, 100)]), RULES, now).unwrap();
    }
    let keeper = |agents: &Agents, content: u8| agents.keeper(InfoHash::from([content; 20]));
    assert_eq!([1, 2, 3].map(|content| keeper(&agents, content)), [Some(id("b")), Some(id("a")), None]);
    agents.renew(id("b"), lease(&[]), RULES, now).unwrap();
    assert_eq!(keeper(&agents, 1), Some(id("c")));
}

#[test]
fn leases_grow_with_the_fleet_so_that_renewals_stay_within_the_budget() {
    let (mut agents, now) = (Agents::default(), Instant::now());
    let fetching = lease(&[pull(1, PullState::Fetching, 0)]);
    let mut granted = AgentLeaseGranted { lease_seconds: 0, progress_seconds: 0 };
    for number in 0..10_000 {
        granted = agents.renew(id(&format!("a{number}")), fetching.clone(), RULES, now).unwrap();
    }
    assert_eq!(granted, AgentLeaseGranted { lease_seconds: 60, progress_seconds: 20 });
    for number in 0..10_000 {
        granted = agents.renew(id(&format!("a{number}")), lease(&[]), RULES, now).unwrap();
    }
    assert_eq!(granted, AgentLeaseGranted { lease_seconds: 60, progress_seconds: 1 });
}

#[test]
fn agents_beyond_the_limit_are_refused_and_those_that_are_live_renew() {
    let (mut agents, now) = (Agents::default(), Instant::now());
    let rules = Rules { agents_max: 1, ..RULES };
    agents.renew(id("a"), lease(&[]), rules, now).unwrap();
    assert!(matches!(agents.renew(id("b"), lease(&[]), rules, now), Err(AgentsError::Full(1))));
    agents.renew(id("a"), lease(&[]), rules, now).unwrap();
}

#[test]
fn leases_take_bounded_memory() {
    let (mut agents, now) = (Agents::default(), Instant::now());
    let full = vec![pull(1, PullState::Failed, 0); AgentLease::PULLS_MAX];
    let full = full.into_iter().enumerate().map(|(number, mut pull)| {
        let mut hash = [0; 20];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        (pull.info_hash, pull.reason) = (hash.into(), Some(nova_protocol::Line::fit(&"x".repeat(200))));
        pull
    });
    let full = lease(&full.collect::<Vec<_>>());
    let refused = (0..100).find(|number| agents.renew(id(&format!("a{number}")), full.clone(), RULES, now).is_err());
    let kept = refused.unwrap();
    assert!((8..16).contains(&kept), "{kept} agents");
    agents.renew(id("a0"), full, RULES, now).expect("who is live renews");
    assert!(agents.bytes <= RULES.bytes_max);
}

#[test]
fn nobody_has_a_torrent_twice_or_more_of_it_than_there_is() {
    let said =
        lease(&[pull(2, PullState::Seeding, 100), pull(1, PullState::Fetching, 101), pull(2, PullState::Failed, 0)]);
    let agent = Agent::new(id("a"), said, Instant::now());
    assert_eq!(agent.pulls, PullCounts { complete: 1, fetching: 1, failed: 0 });
    assert_eq!(agent.lease.pulls[0].have, 100);
}

#[test]
fn an_id_that_two_hosts_share_is_one_agent_and_known_to_be_contested() {
    let (mut agents, now) = (Agents::default(), Instant::now());
    let contested = |agents: &Agents| agents.get(&id("a")).unwrap().is_contested;
    for _ in 0..2 {
        agents.renew(id("a"), lease(&[]), RULES, now).unwrap();
    }
    assert!(!contested(&agents));
    for host in ["other", "host"] {
        agents.renew(id("a"), AgentLease { host: host.parse().unwrap(), ..lease(&[]) }, RULES, now).unwrap();
        assert!(contested(&agents) && agents.count() == 1);
    }
}

#[test]
fn pages_follow_each_other() {
    let mut agents = Agents::default();
    for name in ["c", "a", "b"] {
        agents.renew(id(name), lease(&[]), RULES, Instant::now()).unwrap();
    }
    let (first, more) = agents.page(None, 2);
    assert_eq!((first[1].id.to_string().as_str(), more), ("b", true));
    let (rest, more) = agents.page(Some(&id("b")), 2);
    assert_eq!((rest[0].id.to_string().as_str(), rest.len(), more), ("c", 1, false));
}

/// A tag that pointed to content 1, 2, 1 and now to 3.
fn versions() -> Versions {
    let version = |(version, content): (u64, u8)| TagVersion {
        reference: "demo:v1".parse().unwrap(),
        version,
        info_hash: InfoHash::from([content; 20]),
        torrent_name: String::new(),
        length: 100,
        files: 1,
        moved_at: 0,
        pusher: String::new(),
    };
    Versions::new([(4, 3), (3, 1), (2, 2), (1, 1)].map(version).to_vec()).unwrap()
}

fn progress(said: AgentLease) -> Option<RolloutAgent> {
    versions().progress(&Agent::new(id("a"), said, Instant::now()))
}

#[test]
fn who_has_nothing_of_a_tag_and_does_not_follow_it_does_not_count() {
    assert_eq!(progress(lease(&[])), None);
    assert_eq!(progress(lease(&[pull(9, PullState::Seeding, 100)])), None);
    assert_eq!(progress(AgentLease { follows: vec!["demo:v2".parse().unwrap()], ..lease(&[]) }), None);
    let follower = AgentLease { follows: vec!["demo:v1".parse().unwrap()], ..lease(&[]) };
    let follower = progress(follower).unwrap();
    assert_eq!((follower.state, follower.version), (RolloutState::Waiting, None));
}

#[test]
fn an_agent_is_as_far_as_its_pull_of_the_current_version() {
    let state = |pulls: &[PullReport]| progress(lease(pulls)).map(|agent| (agent.state, agent.version, agent.have));
    let old = pull(1, PullState::Seeding, 100);
    assert_eq!(state(&[pull(3, PullState::Seeding, 100)]), Some((RolloutState::Complete, Some(4), 100)));
    assert_eq!(
        state(std::slice::from_ref(&old)),
        Some((RolloutState::Waiting, Some(3), 0)),
        "the newest that pointed there"
    );
    assert_eq!(state(&[old.clone(), pull(3, PullState::Fetching, 40)]), Some((RolloutState::Fetching, Some(3), 40)));
    assert_eq!(state(&[pull(3, PullState::Checking, 0)]), Some((RolloutState::Fetching, None, 0)));
    assert_eq!(state(&[old, pull(3, PullState::Failed, 40)]), Some((RolloutState::Failed, Some(3), 40)));
    assert_eq!(state(&[pull(2, PullState::Failed, 0)]), Some((RolloutState::Waiting, None, 0)));
}
