use std::time::{Duration, Instant};

use nova_protocol::{
    FilePath, Metainfo, PeerId,
    metainfo::{NewInfo, NewKind},
    peer_wire::Block,
};
use nova_seeder::upload::super_seed::{News, SuperSeed};

use super::{Scene, clock::Time, link::Request};

/// The origin's part in what peers are told.
pub struct Origin {
    super_seed: SuperSeed,
    epoch: Instant,
    pub super_seeds: bool,
    pub sent: u64,
    connected: usize,
}

impl Origin {
    pub fn new(scene: &Scene) -> Self {
        let info = NewInfo {
            name: FilePath::parse("content").unwrap(),
            piece_length: scene.piece_length,
            pieces: vec![0; 20 * scene.pieces() as usize],
            private: true,
            kind: NewKind::File { length: scene.length, executable: false },
            access: Vec::new(),
        };
        let metainfo = Metainfo::from_info(&info.encode().unwrap(), &[], &[]).unwrap();
        let super_seed = SuperSeed::new(&metainfo.info, 0);
        Self { super_seed, epoch: Instant::now(), super_seeds: scene.super_seeds, sent: 0, connected: 0 }
    }

    /// Takes a connection, if there is room for it.
    pub fn admits(&mut self, limit: usize) -> bool {
        let has_room = self.connected < limit;
        self.connected += usize::from(has_room);
        has_room
    }

    /// Whether who comes is told of everything.
    pub fn is_over(&self) -> bool {
        !self.super_seeds || self.super_seed.is_over()
    }

    /// Which leechers are told of which pieces; once it is over, all were told of everything.
    pub fn hear(&mut self, leecher: u32, news: News, now: Time) -> Vec<(u32, u32)> {
        if self.is_over() {
            return Vec::new();
        }
        let offers = self.super_seed.hear(id(leecher), news, self.epoch + Duration::from_nanos(now));
        offers.into_iter().map(|(peer, piece)| (number(peer), piece)).collect()
    }

    pub fn has_sent(&mut self, request: Request, now: Time) -> Vec<(u32, u32)> {
        self.sent += u64::from(request.bytes);
        let block = Block { piece: request.piece, offset: request.offset, length: request.bytes };
        self.hear(request.from, News::Sent(block), now)
    }
}

fn id(leecher: u32) -> PeerId {
    let mut random = [0; 12];
    random[..4].copy_from_slice(&leecher.to_be_bytes());
    PeerId::nova(random)
}

fn number(peer: PeerId) -> u32 {
    let (_, random) = peer.as_bytes().split_at(8);
    u32::from_be_bytes(random[..4].try_into().expect("four bytes"))
}
