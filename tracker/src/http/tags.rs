use std::time::Instant;

use nova_protocol::{
    Reference,
    api::{History, MoveTag, Rollback},
};

use super::{
    Face,
    answer::{Answer, ApiError, no_content, ok},
    call::Call,
};

/// Tags on a page when nobody says how many, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

/// The longest name of a pusher, in bytes.
const PUSHER_MAX: usize = 200;

pub async fn list(face: &Face, call: &Call) -> Answer {
    let prefix = call.parameter("prefix")?.unwrap_or_default();
    let limit = call.parameter("limit")?.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    Ok(ok(&face.tracker.index().tags(prefix, call.parameter("after")?, limit).await?))
}

pub async fn show(face: &Face, reference: Reference) -> Answer {
    Ok(ok(&face.tracker.index().tag(reference).await?))
}

pub async fn put(face: &Face, reference: Reference, call: Call) -> Answer {
    let wish: MoveTag = call.json().await?;
    check_pusher(&wish.pusher)?;
    Ok(ok(&face.tracker.move_tag(reference, wish, Instant::now()).await?))
}

pub async fn delete(face: &Face, reference: Reference) -> Answer {
    face.tracker.remove_tag(reference).await?;
    Ok(no_content())
}

pub async fn history(face: &Face, reference: Reference) -> Answer {
    Ok(ok(&History { versions: face.tracker.index().history(reference).await? }))
}

pub async fn rollback(face: &Face, reference: Reference, call: Call) -> Answer {
    let wish: Rollback = call.json().await?;
    check_pusher(&wish.pusher)?;
    Ok(ok(&face.tracker.rollback(reference, wish, Instant::now()).await?))
}

/// A pusher is shown in terminals, which obey control characters.
fn check_pusher(pusher: &str) -> Result<(), ApiError> {
    if pusher.len() > PUSHER_MAX {
        let message = format!("pusher has {} bytes, expected {PUSHER_MAX} at most", pusher.len());
        return Err(ApiError::bad_request(message));
    }
    if pusher.contains(char::is_control) {
        let message = format!("pusher {pusher:?} has control characters, expected a name such as user@host");
        return Err(ApiError::bad_request(message));
    }
    Ok(())
}
