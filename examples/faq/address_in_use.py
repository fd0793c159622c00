"""Address already in use: six causes, one error, and what ss(8) and portico say of each (IV.1)."""

import os
import socket
import subprocess

import lab

WHY = ["portico", "why", "127.0.0.1:7007", "--bind"]


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


def port_of_a_client():
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as setting:
        setting.write("7007 7007")  # so that the kernel gives it this one of all ports
    server = lab.listener("127.0.0.1", 80)
    return server, socket.create_connection(("127.0.0.1", 80))


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
    "the port of a client": port_of_a_client,
    "bound, and does not listen": bound,
}

lab.private()
if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 8):
    lab.skip("before Linux 6.8 the kernel tells nobody of a socket that is only bound")
for name, cause in CAUSES.items():
    with lab.host():
        held = cause()  # what holds the port, until the next one
        listed = lab.run("ss -Htn state connected state listening sport = :7007").stdout
        seen = sorted({line.split()[0] for line in listed.splitlines()})
        print(f"{name}: {lab.called(bound)}")
        print("  ss:          ", " ".join(seen) or "nothing")
        print("  portico why: ", subprocess.run(WHY, capture_output=True, text=True, check=False).stdout.split("\n")[0])
