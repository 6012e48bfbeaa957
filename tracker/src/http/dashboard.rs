use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nova_protocol::{
    Magnet,
    api::{AgentPage, OriginStatus, TagVersion, TorrentStatus},
};
use warp::http::{HeaderValue, StatusCode, header};

use super::{
    Face,
    answer::{Answer, bytes},
    call::Call,
    torrents::announce_url,
};
use crate::swarm::Store;

const STYLE: &str = include_str!("dashboard.css");

/// Tags on a page.
const PAGE: usize = 100;

/// Agents that are shown; `/v1/agents` has all of them.
const AGENTS: usize = 50;

/// What there is, for a browser: tags with their `.torrent` and magnet link, origins, and agents.
pub async fn show(face: &Face, call: &Call) -> Answer {
    let index = face.tracker.index();
    let page = index.tags(String::new(), call.parameter("after")?, PAGE).await?;
    let announce = announce_url(face, call);
    let agents_with = face.tracker.agents_with().await?;
    let mut tags = String::new();
    for tag in &page.tags {
        // A torrent may have gone since the page was read.
        if let Ok(torrent) = face.tracker.torrent(tag.info_hash).await {
            let agents = agents_with.get(&tag.info_hash).copied().unwrap_or(0);
            tags.push_str(&tag_row(tag, &torrent, agents, &announce));
        }
    }
    if tags.is_empty() {
        tags.push_str("<tr><td colspan=8>Nothing here yet: <code>nova-cli push PATH NAME:TAG</code>");
    }
    let more = page.next.map(|after| {
        let mut query = String::new();
        nova_protocol::query::encode(&mut query, after.to_string().as_bytes());
        format!("<p><a href=\"/?after={query}\">More tags</a></p>")
    });
    let origins: String = face.tracker.origins(Instant::now()).await?.iter().map(origin_row).collect();
    let agents = agents(&face.tracker.agent_page(None, AGENTS, Instant::now()), call);
    let swarms = face.tracker.swarms();
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>nova</title><style>{STYLE}</style>\
         <h1>nova</h1><p>{} swarms, {} peers. Announce URL: <code>{}</code></p>\
         <h2>Tags</h2><table><tr><th>Reference<th class=number>Version<th class=number>Size<th class=number>Replicas\
         <th class=number>Agents<th class=number>Seeders<th class=number>Leechers<th>Moved{tags}</table>{}\
         <h2>Origins</h2><table><tr><th>Id<th>State<th>Address<th class=number>Complete<th class=number>Assigned\
         <th class=number>Free{origins}</table>{agents}</html>\n",
        swarms.swarms(),
        swarms.crowd().total(),
        escape(&announce),
        more.unwrap_or_default(),
    );
    let mut response = bytes(StatusCode::OK, "text/html; charset=utf-8", html.into_bytes());
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

fn tag_row(tag: &TagVersion, torrent: &TorrentStatus, agents: u64, announce: &str) -> String {
    let info_hash = tag.info_hash;
    let name = Some(torrent.name.clone());
    let magnet = Magnet { info_hash, name, trackers: vec![announce.to_owned()] };
    let magnet = if torrent.private {
        String::new()
    } else {
        format!(" <a href=\"{}\">magnet</a>", escape(&magnet.to_string()))
    };
    format!(
        "<tr><td>{} <a href=\"/v1/torrents/{info_hash}.torrent\">.torrent</a>{magnet}<br><code>{info_hash}</code>\
         <td class=number>{}<td class=number>{}<td class=number>{} of {}<td class=number>{agents}<td class=number>{}\
         <td class=number>{}<td>{}",
        escape(&tag.reference.to_string()),
        tag.version,
        size(tag.length),
        torrent.complete_replicas(),
        torrent.replicas.len(),
        torrent.seeders,
        torrent.leechers,
        ago(tag.moved_at),
    )
}

fn origin_row(origin: &OriginStatus) -> String {
    let state = if origin.live { "live" } else { "gone" };
    format!(
        "<tr><td>{}<td><span class={state}>{state}</span>, {}<td>{}<td class=number>{}<td class=number>{}\
         <td class=number>{}",
        escape(&origin.id),
        ago(origin.renewed_at),
        origin.lease.peer_addr,
        origin.complete,
        origin.assigned,
        size(origin.lease.free_bytes),
    )
}

/// The agents' section, when there are any.
fn agents(page: &AgentPage, call: &Call) -> String {
    if page.live == 0 {
        return String::new();
    }
    let rows = page.agents.iter().map(|agent| {
        format!(
            "<tr><td>{}<td>{}<td><span class=live>live</span>, {}<td>{}<td class=number>{}<td class=number>{}\
             <td class=number>{}",
            agent.id,
            escape(agent.host.as_str()),
            ago(agent.renewed_at),
            call.vantage.seen(agent.peer_addr),
            agent.pulls.complete,
            agent.pulls.fetching,
            agent.pulls.failed,
        )
    });
    let more = page.next.as_ref().map(|after| {
        let rest = page.live - page.agents.len() as u64;
        format!("<p><a href=\"/v1/agents?after={after}\">{rest} more</a></p>")
    });
    format!(
        "<h2>Agents</h2><table><tr><th>Id<th>Host<th>State<th>Address<th class=number>Complete\
         <th class=number>Fetching<th class=number>Failed{}</table>{}",
        rows.collect::<String>(),
        more.unwrap_or_default()
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units.into_iter().find(|(_, bits)| bytes >> bits > 0);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, bits)| format!("{}.{} {unit}", bytes >> bits, (bytes >> (bits - 10)) % 1024 * 10 / 1024),
    )
}

fn ago(unix_seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match now.saturating_sub(unix_seconds) {
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds @ 120..7200 => format!("{} min ago", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_text() {
        assert_eq!(escape("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    }

    #[test]
    fn sizes_are_in_the_largest_unit_that_fits() {
        let cases =
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB"), ((3 << 30) + (1 << 29), "3.5 GiB")];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }
}
