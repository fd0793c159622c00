"""When data leaves: three writes, three that are held together, and a reader that does not read (II.11)."""

import fcntl
import socket
import struct

import lab

lab.private()
watched = lab.capture("lo")


def pair():
    client, server = lab.connected_pair()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server, client.getsockname()[1]


def data_segments(port):
    return [each.size for each in watched.segments() if each.source == port and each.size]


def unsent(sock):
    return struct.unpack("i", fcntl.ioctl(sock, 0x894B, bytes(4)))[0]  # SIOCOUTQNSD, see linux/sockios.h


client, server, port = pair()
for part in (b"head", b"body", b"tail"):
    client.send(part)
server.recv(12, socket.MSG_WAITALL)
print("three writes:                     segments of", data_segments(port), "bytes")

for name, corked in (("the first two with MSG_MORE:     ", False), ("with TCP_CORK, and then without: ", True)):
    client, server, port = pair()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)
    for part in (b"head", b"body", b"tail"):
        client.send(part, 0 if corked or part == b"tail" else socket.MSG_MORE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
    server.recv(12, socket.MSG_WAITALL)
    print(name, "segments of", data_segments(port), "bytes")

client, server, port = pair()
client.setblocking(False)
while lab.called(client.send, bytes(65536)) == "done":
    pass
print("the reader does not read:         writes end with", lab.called(client.send, b"x") + ",",
      "some unsent" if unsent(client) else "nothing unsent")
