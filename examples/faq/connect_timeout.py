"""A host that does not answer, and five ways not to wait for two minutes (III.5)."""

import select
import socket
import struct

import lab

lab.private()
far = lab.host()
lab.cable("lan", far, "10.0.0.1/24", "10.0.0.2/24")
lab.ip("neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev lan")  # a host that is switched off


def connect_with(level, option, value):
    with socket.socket() as made:
        made.setsockopt(level, option, value)
        return lab.called(made.connect, ("10.0.0.9", 80))


def connect_and_poll():
    with socket.socket() as made:
        made.setblocking(False)
        made.connect_ex(("10.0.0.9", 80))
        asked = select.poll()
        asked.register(made, select.POLLOUT)
        return "connected" if asked.poll(300) else "closed by us"


def tell(name, ended):
    print(f"{name:32}{ended}")


tell("non-blocking, poll for 0.3 s:", connect_and_poll())
tell("SO_SNDTIMEO, 0.3 s:", connect_with(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 300_000)))
tell("TCP_USER_TIMEOUT, 0.3 s:", connect_with(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300))
tell("TCP_SYNCNT, one more:", connect_with(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1))
lab.show("portico dial --connect-timeout 300ms 10.0.0.9 80")
