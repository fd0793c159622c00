"""Ways to wait for a socket: what each of them says, and how often (II.9)."""

import fcntl
import os
import resource
import select
import signal
import socket

import lab

lab.private()

here, there = lab.connected_pair()
level, edge = select.epoll(), select.epoll()
level.register(here, select.EPOLLIN)
edge.register(here, select.EPOLLIN | select.EPOLLET)
there.send(b"ab")
lab.wait_for(here, select.POLLIN)
here.recv(1)  # one of two bytes
print("one of two bytes read, asked twice:")
print("  level-triggered epoll:", len(level.poll(0)), "+", len(level.poll(0)), "events")
print("  edge-triggered epoll: ", len(edge.poll(0)), "+", len(edge.poll(0)), "events")

here.setblocking(False)
here.recv(1)
print("non-blocking read of nothing:", lab.called(here.recv, 1))

resource.setrlimit(resource.RLIMIT_NOFILE, (2048, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
many = [socket.socket() for _ in range(1100)]
high = many[-1]
try:
    select.select([high], [], [], 0)
    print("select, descriptor above 1023: done")
except ValueError as refused:
    print("select, descriptor above 1023:", refused)
asked = select.poll()
asked.register(high, select.POLLIN)
print("poll, descriptor above 1023:  ", len(asked.poll(0)), "event")

heard = []
signal.signal(signal.SIGIO, lambda number, _: heard.append(number))
fcntl.fcntl(here, fcntl.F_SETOWN, os.getpid())
fcntl.fcntl(here, fcntl.F_SETFL, fcntl.fcntl(here, fcntl.F_GETFL) | os.O_ASYNC)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
for _ in range(3):
    there.send(b"x")
lab.wait_for(here, select.POLLIN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGIO])
print("three segments while SIGIO was blocked:", len(heard), "signal, which does not say which socket")
