"""select(2) says that there is data, and read gives none: the end, for ever (II.13)."""

import select
import socket

import lab

lab.private()
here, there = lab.connected_pair()
other, quiet = lab.connected_pair()
there.send(b"hello")
there.close()

watched = [here, other]
print("the other end has sent 5 bytes and closed:")
for _ in range(2):
    print("  select: readable, recv:", select.select(watched, [], [])[0][0].recv(100))
got = [here.recv(100) for _ in range(1000) if select.select(watched, [], [])[0]]
print(f"  and {len(got)} turns more, none of which waits, recv: {set(got)}")
watched.remove(here)
here.close()
print("closed, and no longer in the set: select finds", len(select.select(watched, [], [], 0)[0]))
quiet.send(b"x")
print("and when another has something:   select finds", len(select.select(watched, [], [])[0]))
with lab.service("127.0.0.1:7007", "--echo"):
    lab.show("echo hello | portico dial 127.0.0.1 7007; echo exit code $?")
