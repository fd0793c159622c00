"""What a program sees when the other end has closed (II.1)."""

import select
import socket

import lab

lab.private()

print("the other end closes:")
here, there = lab.connected_pair()
there.close()
print("  select:       readable" if select.select([here], [], [])[0] else "")
print("  read:        ", here.recv(100))
print("  read again:  ", here.recv(100))
print("  first write: ", lab.called(here.send, b"x"))
lab.wait_for(here, select.POLLHUP)  # the reset that answers it has come
print("  second write:", lab.called(here.send, b"y"))

print("the other end closes and has not read what we sent:")
here, there = lab.connected_pair()
here.send(b"x")
lab.wait_for(there, select.POLLIN)
there.close()
lab.wait_for(here, select.POLLHUP)
print("  read:        ", lab.called(here.recv, 100))

print("the other end is done sending (shutdown), and reads on:")
here, there = lab.connected_pair()
there.shutdown(socket.SHUT_WR)
bits = lab.wait_for(here, select.POLLIN | select.POLLRDHUP)
print("  poll:         POLLIN" + " POLLRDHUP" * bool(bits & select.POLLRDHUP) + " POLLHUP" * bool(bits & select.POLLHUP))
print("  write:       ", lab.called(here.send, b"x"), "and it arrives:", there.recv(100))
