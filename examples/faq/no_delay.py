"""portico sets TCP_NODELAY; a program that it starts can ask for it (II.16)."""

import sys

import lab

ASK = "import socket; s = socket.socket(fileno=0); print('TCP_NODELAY', s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))"

lab.private()
for options in ([], ["--nagle"]):
    print("portico listen", *options, "127.0.0.1:7007 -- ...")
    with lab.service(*options, "127.0.0.1:7007", "--", sys.executable, "-c", ASK):
        lab.show("portico dial 127.0.0.1 7007")
