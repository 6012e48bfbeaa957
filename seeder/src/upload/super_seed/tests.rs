use nova_protocol::metainfo::FileKind;

use super::*;
use crate::content::fixture::info;

/// So long that one who is alone has as many offers as others.
const PIECE: u32 = 1 << 20;

/// A seeder of so many pieces that starts with the first, and a clock that goes by hand.
struct Scene {
    seed: SuperSeed,
    pieces: u32,
    now: Instant,
    /// What each peer was told of, in order.
    told: Vec<Offer>,
}

impl Scene {
    fn new(pieces: u32) -> Self {
        Self::of(pieces, PIECE)
    }

    fn of(pieces: u32, piece_length: u32) -> Self {
        let mut info = info(&[("f", u64::from(pieces) * u64::from(piece_length), FileKind::Plain)]);
        info.piece_length = nova_protocol::PieceLength::chosen(u64::from(piece_length)).unwrap();
        info.pieces = vec![0; 20 * pieces as usize];
        Self { seed: SuperSeed::new(&info, 0), pieces, now: Instant::now(), told: Vec::new() }
    }

    fn hear(&mut self, peer: u8, news: News) -> Vec<u32> {
        let mut offers = self.seed.hear(id(peer), news, self.now);
        if self.seed.is_over() {
            for (told, known) in self.seed.end() {
                offers.extend((0..self.pieces).filter(|&piece| !known.has(piece)).map(|piece| (told, piece)));
            }
        }
        self.told.extend(&offers);
        offers.iter().filter(|(told, _)| *told == id(peer)).map(|(_, piece)| *piece).collect()
    }

    /// All of a piece is sent to a peer; what it is told of then.
    fn send(&mut self, peer: u8, piece: u32) -> Vec<u32> {
        let block = |offset| Block { piece, offset, length: 16 << 10 };
        (0..PIECE).step_by(16 << 10).flat_map(|offset| self.hear(peer, News::Sent(block(offset)))).collect()
    }

    fn told(&self, peer: u8) -> Vec<u32> {
        self.told.iter().filter(|(told, _)| *told == id(peer)).map(|(_, piece)| *piece).collect()
    }
}

fn id(peer: u8) -> PeerId {
    PeerId::nova([peer; 12])
}

#[test]
fn each_peer_is_offered_pieces_of_its_own() {
    let mut scene = Scene::new(10);
    assert_eq!(scene.hear(1, News::Joined), [0, 1]);
    assert_eq!(scene.hear(2, News::Joined), [2, 3]);
    assert_eq!(scene.send(1, 0), [4]);
    assert_eq!(scene.send(2, 3), [5]);
}

#[test]
fn every_piece_leaves_once_and_then_everything_is_told() {
    let mut scene = Scene::new(9);
    (1..=3).for_each(|peer| drop(scene.hear(peer, News::Joined)));
    let mut sent = Vec::new();
    while !scene.seed.is_over() {
        let due = scene.told.iter().find(|offer| !sent.contains(*offer)).copied().unwrap();
        sent.push(due);
        let peer = (1..=3).find(|&peer| id(peer) == due.0).unwrap();
        scene.send(peer, due.1);
    }
    let mut pieces: Vec<u32> = sent.iter().map(|(_, piece)| *piece).collect();
    pieces.sort_unstable();
    assert_eq!(pieces, (0..9).collect::<Vec<_>>());
    for peer in 1..=3 {
        let mut told = scene.told(peer);
        told.sort_unstable();
        assert_eq!(told, (0..9).collect::<Vec<_>>(), "each is told of each piece once");
    }
}

#[test]
fn what_a_peer_has_already_is_not_sent_by_us() {
    let mut scene = Scene::new(4);
    scene.hear(1, News::Joined);
    let mut has = Bitfield::empty(4);
    (0..3).for_each(|piece| has.insert(piece));
    assert_eq!(scene.hear(1, News::HasMany(has)), [3]);
    scene.hear(1, News::Has(99));
}

#[test]
fn what_went_to_a_peer_that_left_is_offered_again() {
    let mut scene = Scene::new(4);
    scene.hear(1, News::Joined);
    scene.send(1, 0);
    scene.hear(2, News::Joined);
    assert_eq!(scene.told(2), [3]);
    scene.hear(1, News::Left);
    assert_eq!(scene.told(2), [3, 0], "one more, for there is room for two");
    scene.send(2, 3);
    assert_eq!(scene.told(2), [3, 0, 1]);
}

#[test]
fn a_piece_that_others_got_from_each_other_has_spread() {
    let mut scene = Scene::new(2);
    scene.hear(1, News::Joined);
    scene.hear(2, News::Joined);
    scene.hear(2, News::Has(0));
    assert!(!scene.seed.is_over());
    scene.hear(2, News::Has(1));
    assert!(scene.seed.is_over());
}

#[test]
fn an_offer_that_is_left_alone_is_made_to_another() {
    let mut scene = Scene::new(3);
    scene.hear(1, News::Joined);
    scene.hear(2, News::Joined);
    assert_eq!((scene.told(1), scene.told(2)), (vec![0, 1], vec![2]));
    scene.hear(3, News::Joined);
    scene.now += LAPSE_LAST;
    scene.hear(2, News::Sent(Block { piece: 2, offset: 0, length: 16 << 10 }));
    assert_eq!((scene.told(2), scene.told(3)), (vec![2, 1], vec![0]), "whoever it is that says something");
    assert_eq!(scene.told(1), [0, 1], "not to the one that left it alone");
}

#[test]
fn offers_lapse_later_while_there_are_others() {
    let mut scene = Scene::new(100);
    scene.hear(1, News::Joined);
    scene.now += LAPSE_LAST;
    scene.hear(1, News::Idle);
    assert_eq!(scene.told(1), [0, 1]);
    scene.now += LAPSE;
    scene.hear(1, News::Idle);
    assert_eq!(scene.told(1), [0, 1, 2, 3]);
}

#[test]
fn what_is_sent_after_its_offer_has_lapsed_counts() {
    let mut scene = Scene::new(4);
    scene.hear(1, News::Joined);
    scene.now += LAPSE;
    scene.hear(1, News::Idle);
    (0..4).for_each(|piece| drop(scene.send(1, piece)));
    assert!(scene.seed.is_over());
}

#[test]
fn it_is_over_when_there_is_nobody_left_to_offer_the_rest_to() {
    let mut scene = Scene::new(4);
    (1..=2).for_each(|peer| drop(scene.hear(peer, News::Joined)));
    (1..=2).for_each(|peer| drop(scene.send(peer, if peer == 1 { 0 } else { 2 })));
    let mut idle = || {
        scene.now += LAPSE;
        scene.hear(1, News::Idle);
        scene.seed.is_over()
    };
    assert_eq!(
        [idle(), idle()],
        [false, true],
        "both were told of 1 and 3, and have them from somewhere or do not want them"
    );
    assert_eq!((scene.told(1).len(), scene.told(2).len()), (4, 4));
}

#[test]
fn one_who_is_alone_has_more_offers_of_small_pieces_for_it_asks_in_advance() {
    let mut scene = Scene::of(100, 4 * BLOCK_LENGTH);
    assert_eq!(scene.hear(1, News::Joined), [0, 1, 2, 3, 4]);
    assert_eq!(scene.hear(2, News::Joined), [5, 6, 7]);
}

#[test]
fn a_fast_peer_has_more_offers_open() {
    let mut scene = Scene::new(1000);
    scene.hear(1, News::Joined);
    for turn in 0..100 {
        scene.now += Duration::from_millis(10);
        scene.send(1, turn);
    }
    // A piece in 10 ms, a quarter of a second ahead.
    let open = scene.told(1).len() - 100;
    assert!((20..=OPEN_MIN + 26).contains(&open), "{open}");
}

#[test]
fn a_crowd_has_as_many_offers_as_leave_soon_and_those_have_the_next_who_had_the_fewest() {
    let mut scene = Scene::new(1000);
    (0..50).for_each(|peer| drop(scene.hear(peer, News::Joined)));
    assert_eq!(scene.told.len(), ALL_OPEN_MIN);
    let (first, piece) = scene.told[0];
    let before = scene.told.len();
    scene.send(first.as_bytes()[19], piece);
    let (next, _) = scene.told[before];
    assert!(scene.told[..before].iter().all(|(told, _)| *told != next), "one that had none yet");
}

#[test]
fn a_crowd_is_offered_the_last_pieces_first() {
    let mut scene = Scene::new(1000);
    (1..=u8::try_from(CROWD).unwrap() + 1).for_each(|peer| drop(scene.hear(peer, News::Joined)));
    assert_eq!(scene.told.last().unwrap().1, u32::try_from(ALL_OPEN_MIN).unwrap() - 1);
    scene.now += COUNTS;
    scene.hear(1, News::Idle);
    assert_eq!(scene.told[ALL_OPEN_MIN].1, 999);
}

#[test]
fn who_is_slow_keeps_nobody_from_having_offers() {
    let mut scene = Scene::new(1000);
    (0..50).for_each(|peer| drop(scene.hear(peer, News::Joined)));
    for turn in 2..6 {
        scene.now += COUNTS;
        scene.hear(1, News::Idle);
        assert_eq!(scene.told.len(), turn * ALL_OPEN_MIN);
    }
}
