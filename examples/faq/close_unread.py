"""close(2) with unread input sends a reset, and what was not yet delivered is lost with it."""

import socket
import threading

import lab

ANSWER = b"a" * 100_000  # fits into the server's buffer, and not into the client's


def hasty(server):
    server.sendall(ANSWER)
    server.close()


def orderly(server):
    server.sendall(ANSWER)
    server.shutdown(socket.SHUT_WR)
    while server.recv(4096):  # until the client has closed, too
        pass
    server.close()


def client_of(how):
    """What a client gets, who starts to read when the server has sent everything."""
    with lab.listener() as waiting:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(waiting.getsockname())
        server = waiting.accept()[0]
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(ANSWER))
    client.sendall(b"a question, and more that this server does not read")
    serving = threading.Thread(target=how, args=[server])
    serving.start()
    if how is hasty:
        serving.join()
    size = 0
    try:
        while got := client.recv(65536):
            size += len(got)
        ended = "the end"
    except OSError as failed:
        ended = lab.errno_name(failed)
    client.close()
    serving.join()
    return ("all of it" if size == len(ANSWER) else "less") + ", then " + ended


lab.private()
print("close:                            the client gets", client_of(hasty))
print("shutdown, read to the end, close: the client gets", client_of(orderly))
