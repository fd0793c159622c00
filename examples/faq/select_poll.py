"""What select(2) does to its sets and beside them, and poll(2) does not (II.14)."""

import ctypes
import os
import resource
import select
import socket
import struct

import lab

FD_SETSIZE = 1024
lab.private()
here, there = lab.connected_pair()
other, quiet = lab.connected_pair()


class Sets:
    """An fd_set, and an integer that the compiler has put behind it."""

    def __init__(self, behind):
        self.bytes = ctypes.create_string_buffer(bytes(FD_SETSIZE // 8) + struct.pack("q", behind), FD_SETSIZE // 8 + 8)

    def add(self, descriptor):  # as FD_SET does
        self.bytes[descriptor // 8] = self.bytes[descriptor // 8][0] | 1 << descriptor % 8

    def select(self, highest):
        return lab.libc.select(highest + 1, self.bytes, None, None, None)

    def behind(self):
        return struct.unpack("q", self.bytes[FD_SETSIZE // 8:])[0]


both = Sets(0)
asked = select.poll()
for each in (here, other):
    both.add(each.fileno())
    asked.register(each, select.POLLIN)
highest = max(here.fileno(), other.fileno())
there.send(b"x")
print("two sockets, data for one:    select finds", both.select(highest), "- poll finds", len(asked.poll()))
quiet.send(b"x")
lab.wait_for(other, select.POLLIN)
print("asked again, data for both:   select finds", both.select(highest), "- poll finds", len(asked.poll()))

resource.setrlimit(resource.RLIMIT_NOFILE, (2048, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
high = os.dup2(here.fileno(), 1040)
beside = Sets(behind=1 << 40)
print("a number behind an fd_set:   ", beside.behind())
beside.add(high)
print("after FD_SET of 1040:        ", beside.behind())
beside.select(high)
print("after select:                ", beside.behind())
asked = select.poll()
asked.register(high, select.POLLIN)
print("poll of 1040:                ", len(asked.poll()), "event")
