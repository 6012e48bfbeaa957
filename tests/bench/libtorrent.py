"""Seeds or fetches one torrent: ROLE TORRENT FOLDER ADDRESS."""

import sys
import time

import libtorrent

role, torrent, folder, address = sys.argv[1:]
host, port = address.rsplit(":", 1)
session = libtorrent.session({
    "listen_interfaces": address if role == "seed" else "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "allow_multiple_connections_per_ip": True,
})
parameters = libtorrent.add_torrent_params()
parameters.ti = libtorrent.torrent_info(torrent)
parameters.save_path = folder
if role == "seed":
    parameters.flags |= libtorrent.torrent_flags.seed_mode
handle = session.add_torrent(parameters)
if role == "leech":
    handle.connect_peer((host, int(port)))
while role == "seed" or not handle.status().is_seeding:
    time.sleep(0.01)
