"""How many segments does "hello" take? Two TCPs of the kernel, and this program is the wire between
them: it carries a packet only when nobody has anything left to do, as a long cable would."""

import fcntl
import os
import select
import socket
import struct
import termios
from collections import Counter

import lab

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def tun(address):
    """A network device whose cable is a descriptor of this process."""
    try:
        made = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(made, TUNSETIFF, struct.pack("16sH", b"wire", IFF_TUN | IFF_NO_PI))
    except OSError as failed:
        lab.skip(f"/dev/net/tun: {failed.strerror}")
    lab.ip(f"addr add {address}/24 dev wire")
    lab.ip("link set wire up")
    return made


def carry():
    """Moves what waits at both ends; the TCP segments among it, as (from the client, bytes)."""
    seen = []
    for end, other in (ends, ends[::-1]):
        while select.select([end], [], [], 0)[0]:
            packet = os.read(end, 65536)
            os.write(other, packet)
            if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_TCP:
                header = (packet[0] & 15) * 4
                seen.append((end == ends[0], len(packet) - header - (packet[header + 12] >> 4) * 4))
    return seen


def connect():
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(("10.0.0.2", 7))
    while not select.select([server], [], [], 0)[0]:
        select.select(ends, [], [])
        carry()
    return client, server.accept()[0]


def conversation(no_delay, delayed_acks, writes):
    client, accepted = connect()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, no_delay)
    for each in writes:
        client.send(each)
    seen, said, answer = [], b"", b""
    unacknowledged = lambda: struct.unpack("i", fcntl.ioctl(accepted, termios.TIOCOUTQ, bytes(4)))[0]
    while len(answer) < 6 or unacknowledged():
        ready = select.select([*ends, accepted, client], [], [])[0]
        for each in (client, accepted) if delayed_acks else ():  # the kernel forgets it after a while
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        seen += carry()
        if accepted in ready:
            said += accepted.recv(100)
            if said.endswith(b"\n"):
                accepted.send(said.upper())
        if client in ready:
            answer += client.recv(100)
    client.close()
    accepted.close()
    return tuple(seen)


lab.private()
client_end = tun("10.0.0.1")
far = lab.host()
with far:
    server_end = tun("10.0.0.2")
    server = socket.create_server(("10.0.0.2", 7))
ends = (client_end, server_end)
for delayed_acks in (True, False):
    print("acks delayed:" if delayed_acks else "Linux as it is:")
    for name, writes in (("6 writes", [b"h", b"e", b"l", b"l", b"o", b"\n"]), ("1 write", [b"hello\n"])):
        for no_delay in (0, 1):
            # A busy machine may miss the 40 ms of a delayed ACK, so what happens most often counts.
            seen = Counter(conversation(no_delay, delayed_acks, writes) for _ in range(5)).most_common(1)[0][0]
            told = " ".join(f"{size or 'a'}>" if from_client else f"<{size or 'a'}" for from_client, size in seen)
            print(f"  {name:9}{'TCP_NODELAY' if no_delay else '':12}{len(seen):3} segments: {told}")
