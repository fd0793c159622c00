""""Address already in use": six causes, one error, and what ss(8) shows of each (IV.1)."""

import os
import socket

import lab


def bound(at="127.0.0.1", family=socket.AF_INET, both_families=False):
    made = socket.socket(family)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both_families)
    made.bind((at, 7007))
    return made


def listening():
    return lab.listener("127.0.0.1", 7007)


def both_families():
    made = bound("::", socket.AF_INET6, both_families=True)
    made.listen()
    return made


def time_wait():
    with listening() as server:
        client, accepted = socket.create_connection(("127.0.0.1", 7007)), server.accept()[0]
    accepted.close()
    client.close()
    lab.until(lambda: [row.state for row in lab.tcp_table()] == ["TIME_WAIT"])


def own_port_of_a_client():
    server = lab.listener("127.0.0.1", 7008)
    client = bound()
    client.connect(("127.0.0.1", 7008))
    return server, client


def child_of_the_old_server():
    server = listening()
    told, tell = os.pipe()
    if os.fork() == 0:
        os.close(tell)
        os.read(told, 1)
        os._exit(0)
    server.close()
    return tell


CAUSES = {
    "a server listens": listening,
    "a server of IPv6 that also takes IPv4": both_families,
    "the old server's connections (TIME_WAIT)": time_wait,
    "a child of the old server": child_of_the_old_server,
    "the port of a client": own_port_of_a_client,
    "bound, and does not listen": bound,
}

lab.private()
for name, cause in CAUSES.items():
    with lab.host():
        held = cause()  # what holds the port, until the next one
        listed = lab.run("ss -Htn state connected state listening sport = :7007").stdout
        seen = sorted({line.split()[0] for line in listed.splitlines()})
        print(f"{name + ':':42}{lab.called(bound)}, ss: {' '.join(seen) or 'nothing'}")
