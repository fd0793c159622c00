"""What a bind that fails leaves behind: the socket, which can be used, and has to be closed (II.4)."""

import os
import resource
import socket

import lab

lab.private()
server = lab.listener("127.0.0.1", 7007)
used = set(map(int, os.listdir("/proc/self/fd"))) - {server.fileno() + 1}  # by which that list was read
limit = next(number for number in range(1024) if number - len([each for each in used if each < number]) == 10)
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def tries(close):
    """Says when the error becomes another one; the sockets that are left."""
    left, before = [], None
    for number in range(1, 101):
        try:
            left.append(socket.socket())
            left[-1].bind(("127.0.0.1", 7007))
        except OSError as failed:
            said = lab.errno_name(failed)
        if said != before:
            print(f"  from try {number} on: {said}")
        before = said
        if close:
            left.pop().close()
    return left


print("room for 10 descriptors, 100 tries that close nothing:")
left = tries(close=False)
for each in left[1:]:
    each.close()
print("100 tries that close their socket:")
tries(close=True)
server.close()
print("the port is free now, and the socket of the first try binds it:", lab.called(left[0].bind, ("127.0.0.1", 7007)))
left[0].listen()
lab.show("portico listen localhost:7007 --hello --both-families")
