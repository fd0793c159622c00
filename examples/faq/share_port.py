"""SO_REUSEPORT: two servers at one port, each with a queue of its own (IV.12)."""

import os
import select
import socket

import lab

MIGRATE = "/proc/sys/net/ipv4/tcp_migrate_req"
lab.private()
if not os.path.exists(MIGRATE):
    lab.skip("before Linux 5.14 there is no net.ipv4.tcp_migrate_req")


def listener(port, option):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, option, 1)
    made.bind(("127.0.0.1", port))
    made.listen(64)
    return made


def waiting(server):
    """Those who are in its queue; they are taken out of it."""
    server.setblocking(False)
    taken = []
    try:
        while True:
            taken.append(server.accept())
    except BlockingIOError:
        return taken


def fate(client):
    client.setblocking(False)
    return {"Resource temporarily unavailable (EAGAIN)": "waits on"}.get(said := lab.called(client.recv, 1), said)


def close_one_of_two(port):
    servers = [listener(port, socket.SO_REUSEPORT) for _ in range(2)]
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]
    servers[0].close()
    kept = waiting(servers[1])
    poll = select.poll()
    for each in clients:
        poll.register(each, 0)  # for errors alone
    lab.until(lambda: len(poll.poll(0)) == len(clients) - len(kept))
    fates = [fate(each) for each in clients]
    print("  64 clients wait, one server of two is closed:", " - ".join(sorted(set(fates))))
    print("  in the queue of the other one:", "all" if len(kept) == len(clients) else "those who wait on")


first = listener(7007, socket.SO_REUSEADDR)
print("SO_REUSEADDR, a second listener:", lab.called(listener, 7007, socket.SO_REUSEADDR))
first.close()
two = [listener(7007, socket.SO_REUSEPORT) for _ in range(2)]
for _ in range(64):
    socket.create_connection(("127.0.0.1", 7007)).close()
some = all(waiting(each) for each in two)
print("SO_REUSEPORT, 64 clients:        both listen,", "each has some of them" if some else "one has all of them")
print("net.ipv4.tcp_migrate_req = 0:")
close_one_of_two(7008)
with open(MIGRATE, "w", encoding="ascii") as setting:
    setting.write("1")
print("net.ipv4.tcp_migrate_req = 1:")
close_one_of_two(7009)
ANSWERS = ["127.0.0.1:7010", "--reuseport", "--", "echo"]
with lab.service(*ANSWERS, "one"), lab.service(*ANSWERS, "two"):
    heard = {socket.create_connection(("127.0.0.1", 7010)).makefile().readline().strip() for _ in range(64)}
    print("portico listen --reuseport, twice; 64 clients are answered by:", " and ".join(sorted(heard)))
    lab.show("portico why 127.0.0.1:7010 --bind --reuseport")
