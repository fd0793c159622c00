"""After chroot(2) into an empty directory: what still works, and what does not."""

import os
import socket
import sys
import tempfile

import lab


def name_lookup():
    try:
        return socket.getaddrinfo(b"www.example.org", 80)[0]
    except OSError as failed:
        return failed.strerror


lab.private()
server = lab.listener("127.0.0.1", 7007)
with tempfile.TemporaryDirectory() as empty:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.chroot(empty)
        os.chdir("/")
        print("files here:            ", os.listdir("/"))
        print("socket:                ", lab.called(socket.socket))
        print("connect to an address: ", lab.called(socket.socket().connect, ("127.0.0.1", 7007)))
        print("look a name up:        ", name_lookup())
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
