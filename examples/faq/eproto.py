"""EPROTO on Linux: an ICMP "parameter problem" (RFC 792) that answers a datagram of ours."""

import socket
import struct

import lab


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


lab.private()
wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(lab.ETH_P_ALL))
wire.bind(("lo", lab.ETH_P_ALL))
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 7007))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(server.getsockname())
client.send(b"hello, this is data")
packet = wire.recv(2048)
problem = struct.pack("!BBHI", 12, 0, 0, 0) + packet[:28]  # type 12, and the header that it complains of
problem = problem[:2] + struct.pack("!H", checksum(problem)) + problem[4:]
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).sendto(problem, ("127.0.0.1", 0))
print("recv:", lab.called(client.recv, 100))
