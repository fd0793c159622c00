"""read(2), recv(2) and what the flags of recv add."""

import os
import select
import socket

import lab

lab.private()
here, there = lab.connected_pair()
there.send(b"hello")
lab.wait_for(here, select.POLLIN)
print("recv, MSG_PEEK:           ", here.recv(100, socket.MSG_PEEK))
print("read:                     ", os.read(here.fileno(), 100))
print("recv, MSG_DONTWAIT:       ", lab.called(here.recv, 100, socket.MSG_DONTWAIT))

one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
two.send(b"a long datagram")
print("recv 6 bytes, MSG_TRUNC:  ", one.recv_into(bytearray(6), 6, socket.MSG_TRUNC), "bytes were in it")
two.send(b"")
two.send(b"behind it")
print("read an empty datagram:   ", os.read(one.fileno(), 100))
print("read again:               ", os.read(one.fileno(), 100))
two.send(b"first")
two.send(b"second")
os.read(one.fileno(), 0)
print("read 0 bytes, then recv:  ", one.recv(100))
two.send(b"first")
one.recv(0)
print("recv 0 bytes, then recv:  ", one.recv(100))
