"""Nobody listens: the host says so at once. A filter that drops says nothing (III.7)."""

import socket

import lab

lab.private()
watched = lab.capture("lo")
print("connect:", lab.called(socket.create_connection, ("127.0.0.1", 7007)))
for each in watched.segments():
    print(" ", "client to server:" if each.target == 7007 else "server to client:", lab.flags(each))
lab.show("portico dial -z localhost 7007")
