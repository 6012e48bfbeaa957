"""A client and the tools of a client, made of libtorrent."""

import argparse
import os
import signal

import libtorrent as lt


def create(args):
    content = os.path.abspath(args.content)
    found = lt.file_storage()
    lt.add_files(found, content, lambda path: True, lt.create_torrent.symlinks)
    # Files are found in the order of the directory, which is any; a torrent of this script is the same on every machine.
    files = lt.file_storage()
    for index in sorted(range(found.num_files()), key=lambda index: os.fsencode(found.file_path(index)).split(b"/")):
        flags, target = found.file_flags(index), found.symlink(index)
        files.add_file(found.file_path(index), found.file_size(index), flags, 0, target)
    torrent = lt.create_torrent(files, args.piece_length, lt.create_torrent.v1_only | lt.create_torrent.symlinks)
    torrent.add_tracker(args.announce)
    torrent.set_priv(args.private)
    lt.set_piece_hashes(torrent, os.path.dirname(content))
    with open(args.output, "wb") as output:
        output.write(lt.bencode(torrent.generate()))


def show(args):
    print("Hash:", lt.torrent_info(args.torrent).info_hash())


def join(args):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    settings = {
        "listen_interfaces": f"127.0.0.1:{args.port},[::1]:{args.port}",
        "allow_multiple_connections_per_ip": True,
        "download_rate_limit": args.limit,
        "rate_limit_ip_overhead": False,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_natpmp": False,
        "enable_upnp": False,
        "alert_mask": lt.alert.category_t.all_categories,
    }
    session = lt.session(settings)
    if args.source.startswith("magnet:"):
        torrent = lt.parse_magnet_uri(args.source)
    else:
        torrent = lt.add_torrent_params()
        torrent.ti = lt.torrent_info(args.source)
    torrent.save_path = args.folder
    session.add_torrent(torrent)
    while not signal.sigtimedwait([signal.SIGTERM], 0.1):
        for alert in session.pop_alerts():
            print(alert, flush=True)


parser = argparse.ArgumentParser()
tasks = parser.add_subparsers(required=True)

task = tasks.add_parser("create")
task.add_argument("--piece-length", type=int)
task.add_argument("--announce")
task.add_argument("--output")
task.add_argument("-p", "--private", action="store_true")
task.add_argument("content")
task.set_defaults(run=create)

task = tasks.add_parser("show")
task.add_argument("torrent")
task.set_defaults(run=show)

task = tasks.add_parser("join")
task.add_argument("--port", type=int)
task.add_argument("--limit", type=int)
task.add_argument("source")
task.add_argument("folder")
task.set_defaults(run=join)

args = parser.parse_args()
args.run(args)
