"""What close(2) does with SO_LINGER: not set, {1, 0} and {1, 2} (IV.6)."""

import contextlib
import socket
import struct
import time

import lab


def fill(sock):
    """Writes until there is no room left; how much."""
    sock.setblocking(False)
    size = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            size += sock.send(bytes(65536))
    sock.setblocking(True)
    return size


def drain(sock):
    """Reads to the end; how much, and how it ended."""
    size = 0
    try:
        while got := len(sock.recv(65536)):
            size += got
        return size, "the end"
    except OSError as failed:
        return size, lab.errno_name(failed)


def conversation(linger):
    """A server that closes while its client does not read, and a client that reads then."""
    with lab.listener("127.0.0.1", 7007) as server:
        client, accepted = socket.create_connection(server.getsockname()), server.accept()[0]
    if linger:
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", *linger))
    sent = fill(accepted)
    began = time.monotonic()
    accepted.close()
    waited = "waits 2 seconds" if time.monotonic() - began >= 2 else "returns at once"
    got, ended = drain(client)
    client.close()
    lab.until(lambda: {row.state for row in lab.tcp_table()} <= {"TIME_WAIT"})
    print(f"  close {waited}")
    print(f"  the client reads {'all' if got == sent else 'a part'}, and then: {ended}")
    print(f"  afterwards the server's port has {'a TIME_WAIT' if lab.tcp_table() else 'nothing'}")


lab.private()
for linger in (None, (1, 0), (1, 2)):
    print("SO_LINGER", "{%d, %d}:" % linger if linger else "not set:")
    with lab.host():
        conversation(linger)
