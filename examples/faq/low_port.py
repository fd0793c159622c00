"""Who may bind port 79 (IV.8)."""

import os

import lab

WITHOUT = ["setpriv", "--bounding-set", "-net_bind_service"]


def setting(value):
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w", encoding="ascii") as file:
        file.write(str(value))


lab.private()
print("without the capability, as everybody but root:")
lab.show("setpriv --bounding-set -net_bind_service portico listen 127.0.0.1:79 --hello")
print("with net.ipv4.ip_unprivileged_port_start = 79:")
setting(79)
with lab.service("127.0.0.1:79", "--hello", before=WITHOUT) as lines:
    print(*lines)
setting(1024)
print("with a socket that somebody else has bound:")
with lab.listener("127.0.0.1", 79) as bound:
    os.dup2(bound.fileno(), 3)
    with lab.service("fd:3", "--hello", before=WITHOUT, pass_fds=[3]) as lines:
        print(*lines)
