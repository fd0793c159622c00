"""Listening on three ports: the FAQ's select, the same with the right set, and a poll (IV.4)."""

import select
import socket

import lab

lab.private()
ports = [lab.listener("127.0.0.1", port) for port in (7004, 7006, 7010)]
client = socket.create_connection(("127.0.0.1", 7006))


def names(ready):
    return [each.getsockname()[1] for each in ready]


print("a client has connected to 7006")
print("select, in the set for writing:", names(select.select([], ports, [], 0.1)[1]))
print("select, in the set for reading:", names(select.select(ports, [], [])[0]))
for each in ports:
    each.close()
with lab.service("127.0.0.1:7004,127.0.0.1:7006,127.0.0.1:7010", "--hello", lines=3) as lines:
    print("portico:", *lines, sep="\n  ")
