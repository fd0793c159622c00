"""A server on one family only, and clients that say "localhost" (III.4)."""

import socket

import lab


def clients():
    for first in ("::1", "127.0.0.1"):
        print(f"  a client that tries {first} and no other:", lab.called(socket.create_connection, (first, 7007)))
    lab.show("portico dial -z localhost 7007")


lab.private()
for at in ("127.0.0.1", "::1"):
    print(f"a server on {at} alone:")
    with lab.listener(at, 7007):
        clients()
with lab.service("localhost:7007", "--hello", lines=2):
    print("portico listen localhost:7007 --hello:")
    clients()
