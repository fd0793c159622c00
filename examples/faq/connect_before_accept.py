"""connect(2) succeeds before accept(2): how many, and what happens to the next one (III.3)."""

import select
import socket

import lab

lab.private()
server = lab.listener("127.0.0.1", 7007, backlog=2)
clients = []
while True:
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", 7007))
    lab.until(lambda: lab.dropped() or select.select([], [client], [], 0)[1])
    if lab.dropped():
        break
    client.send(b"hello")
    clients.append(client)
print("listen(2), no accept:", len(clients), "connected, and their first bytes sent")
print("one more:            ", [row.state for row in lab.tcp_table() if row.local == client.getsockname()[1]][0],
      "and nobody tells it why")
print("the first accept:    ", server.accept()[0].recv(100))
lab.wait_for(client, select.POLLOUT)  # it asks again after a second
print("one more, now:       ", lab.called(client.send, b"hello"))
