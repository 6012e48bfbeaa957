"""Seeds or fetches one torrent, with libtorrent's own defaults but for discovery: ROLE TORRENT FOLDER ADDRESS TRANSPORT.

The transport is tcp for TCP alone, or any.
"""

import pathlib
import sys
import time

import libtorrent

role, torrent, folder, address, transport = sys.argv[1:]
session = libtorrent.session({
    "listen_interfaces": address,
    "enable_dht": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_outgoing_utp": transport != "tcp",
    "enable_incoming_utp": transport != "tcp",
})
parameters = libtorrent.add_torrent_params()
parameters.ti = libtorrent.torrent_info(torrent)
parameters.save_path = folder
if role == "seed":
    parameters.flags |= libtorrent.torrent_flags.seed_mode
handle = session.add_torrent(parameters)
while not handle.status().is_seeding:
    time.sleep(0.02)
pathlib.Path("done").touch()
while True:
    time.sleep(60)
