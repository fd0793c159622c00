"""A host on two networks, and which of its sockets gets which broadcast (IV.13)."""

import socket
import struct

import lab

IP_PKTINFO = 8


def receiver(at):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    made.bind((at, 7007))
    return made


def client():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return made


lab.private()
hosts = {"lan1": lab.host(), "lan2": lab.host()}
for number, (name, other) in enumerate(hosts.items(), 1):
    lab.cable(name, other, f"10.0.{number}.1/24", f"10.0.{number}.2/24")
    with other:
        lab.ip(f"route add default dev {name}")  # for 255.255.255.255
bound = [receiver(at) for at in ("0.0.0.0", "10.0.1.1", "10.0.1.255", "255.255.255.255")]
for name, to in (("lan1", "10.0.1.1"), ("lan1", "10.0.1.255"), ("lan2", "10.0.2.255"), ("lan2", "255.255.255.255")):
    with hosts[name], client() as asking:
        asking.sendto(b"who is there?", (to, 7007))
    got = []
    for each in bound:
        try:
            _, extra, _, source = each.recvmsg(100, 100, socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue
        device, _, target = struct.unpack("I4s4s", extra[0][2])
        got.append(each.getsockname()[0])
        seen = f"from {source[0]} by {socket.if_indextoname(device)}, to {socket.inet_ntoa(target)}"
    print(f"{seen}: bound to {' and '.join(got)}")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
    print("sendto without SO_BROADCAST:", lab.called(made.sendto, b"x", ("10.0.1.255", 7007)))

for each in bound:
    each.close()
print("portico listen 0.0.0.0:7007 --udp --broadcast --hello:")
with lab.service("0.0.0.0:7007", "--udp", "--broadcast", "--hello"):
    for name, to in (("lan1", "10.0.1.255"), ("lan2", "10.0.2.255"), ("lan2", "255.255.255.255")):
        with hosts[name], client() as asking:
            asking.sendto(b"who is there?", (to, 7007))
            print(f"  {to} on {name} is answered from {asking.recvfrom(200)[1][0]}")
