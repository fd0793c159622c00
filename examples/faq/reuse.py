"""What SO_REUSEADDR and SO_REUSEPORT let two sockets do (IV.5 and IV.12)."""

import contextlib
import socket

import lab

REUSEADDR, REUSEPORT = socket.SO_REUSEADDR, socket.SO_REUSEPORT
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
COLUMNS = [[], [REUSEADDR], [REUSEPORT]]


def bound(kind, options, at, listen):
    made = socket.socket(socket.AF_INET, kind)
    for each in options:
        made.setsockopt(socket.SOL_SOCKET, each, 1)
    made.bind((at, 7007))
    if listen:
        made.listen()
    return made


def second(kind, options, first_at, second_at, first_listens, second_listens, first_options=None):
    with bound(kind, options if first_options is None else first_options, first_at, first_listens):
        with contextlib.suppress(OSError):
            bound(kind, options, second_at, second_listens).close()
            return "yes"
        return "no"


def row(name, *how, **more):
    print(f"{name:44}" + "".join(f"{second(how[0], options, *how[1:], **more):>11}" for options in COLUMNS))


lab.private()
print(f"{'may the second socket be opened?':44}{'neither':>11}{'REUSEADDR':>11}{'REUSEPORT':>11}")
row("TCP, same address, both listen", TCP, "127.0.0.1", "127.0.0.1", True, True)
row("TCP, same address, both only bound", TCP, "127.0.0.1", "127.0.0.1", False, False)
row("TCP, one of them 0.0.0.0, both listen", TCP, "0.0.0.0", "127.0.0.1", True, True)
row("TCP, two addresses", TCP, "127.0.0.2", "127.0.0.1", True, True)
row("TCP, the first has no option", TCP, "127.0.0.1", "127.0.0.1", False, False, first_options=[])
row("UDP, same address", UDP, "127.0.0.1", "127.0.0.1", False, False)
row("UDP, one of them 0.0.0.0", UDP, "0.0.0.0", "127.0.0.1", False, False)


def receivers(option):
    """Which of two UDP sockets get the datagrams of 64 clients."""
    two = [bound(UDP, [option], "127.0.0.1", False) for _ in range(2)]
    for _ in range(64):
        socket.socket(socket.AF_INET, UDP).sendto(b"x", ("127.0.0.1", 7007))
    got = []
    for name, each in zip(("the first", "the second"), two):
        with contextlib.suppress(BlockingIOError):
            each.recv(1, socket.MSG_DONTWAIT)
            got.append(name)
    return " and ".join(got)


print("UDP, who gets what 64 clients send: REUSEADDR", receivers(REUSEADDR) + ", REUSEPORT", receivers(REUSEPORT))
