use std::convert::Infallible;

use futures_util::StreamExt;
use tokio_stream::wrappers::BroadcastStream;
use warp::{Reply, reply::Response, sse};

use super::Face;
use crate::events::Event;

/// Events as they happen (server-sent), until the client or the tracker has had enough. A client that is too slow
/// misses some.
pub fn events(face: &Face) -> Response {
    let events = BroadcastStream::new(face.tracker.events()).filter_map(async |event| event.ok());
    let stream = events.map(|event| Ok::<_, Infallible>(written(&event)));
    let stream = stream.take_until(face.shutdown.clone().cancelled_owned());
    sse::reply(sse::keep_alive().stream(stream)).into_response()
}

fn written(event: &Event) -> sse::Event {
    sse::Event::default().event(event.kind()).json_data(event).expect("events are plain JSON")
}
