"""close(2) that closes nothing, and a connection that waits for its own program (IV.2)."""

import os
import socket

import lab


def states():
    """Client and server of the one connection there is."""
    rows = {row.remote == 7007: row.state for row in lab.tcp_table() if row.state != "LISTEN"}
    return f"client {rows.get(True, 'gone')}, server {rows.get(False, 'gone')}"


def connection():
    server = lab.listener("127.0.0.1", 7007)
    return socket.create_connection(("127.0.0.1", 7007)), server.accept()[0]


lab.private()
with lab.host():
    client, accepted = connection()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(tell)
        os.read(told, 1)  # a program that was started for something else, and has our socket, too
        os._exit(0)
    accepted.close()
    print("a child still has the socket, after close:    ", states())
    os.close(tell)
    os.waitpid(child, 0)
    lab.until(lambda: "FIN_WAIT2" in states())
    print("the child has ended:                          ", states())

with lab.host():
    client, accepted = connection()
    child = os.fork()
    if child == 0:
        client.recv(1)
        os._exit(0)
    accepted.shutdown(socket.SHUT_WR)
    lab.until(lambda: "FIN_WAIT2" in states())
    print("shutdown, whoever else has it:                ", states())
    os.waitpid(child, 0)
    client.close()
    lab.until(lambda: "TIME_WAIT" in states())
    print("the client has closed, too:                   ", states())
