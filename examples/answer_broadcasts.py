"""Answers each datagram from the interface and the address that it came to.

portico listen :7067 --udp --wait --broadcast --join ff02::1:2 -- python3 answer_broadcasts.py
"""

import select
import socket
import struct

with socket.socket(fileno=0) as service:
    while select.select([service], [], [], 60)[0]:  # a minute without a query: the next one starts us anew
        _, control, _, client = service.recvmsg(65535, socket.CMSG_SPACE(20))
        level, kind, info = control[0]
        if level == socket.IPPROTO_IP:
            # struct in_pktinfo: the interface, our address there, and the address that was asked
            index, ours, asked = struct.unpack("=i4s4s", info)
            answer = struct.pack("=i4s4s", index, ours, bytes(4))
            asked = socket.inet_ntop(socket.AF_INET, asked)
        else:
            # struct in6_pktinfo: the address that was asked, and the interface
            asked, index = struct.unpack("=16sI", info)
            source = bytes(16) if asked[0] == 0xFF else asked  # who asked a group is answered from any of ours
            answer = struct.pack("=16sI", source, index)
            asked = socket.inet_ntop(socket.AF_INET6, asked)
        text = f"asked {asked} on {socket.if_indextoname(index)}\n"
        service.sendmsg([text.encode()], [(level, kind, answer)], 0, client)
