"""Keepalive probes, counted: a peer that is idle, and one that has been switched off (IV.7)."""

import select
import socket

import lab

lab.private()
far, server = lab.server_behind_a_cable()
client = socket.create_connection(("10.0.0.2", 7007))
accepted = server.accept()[0]
watched = lab.capture("lan")
for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3)):
    client.setsockopt(socket.IPPROTO_TCP, option, value)
client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def tell(segments):
    for each in segments:
        print("  to" if each.target == 7007 else "  from", f"the peer: {lab.flags(each)}, {each.size} bytes")


seen = []
while not any(each.source == 7007 for each in seen):
    select.select([watched.socket], [], [])
    seen += watched.segments()
print("an idle peer:")
tell(seen)
with far:
    lab.ip("addr flush dev lan")  # switched off: nobody has this address any more
lab.wait_for(client, 0)
print("a peer that is gone:")
tell(watched.segments())
print("recv:", lab.called(client.recv, 1))
