"""A port that belongs to nobody until a client happens to get it, and how to keep it free (IV.11)."""

import socket

import lab


def setting(name, value):
    with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
        file.write(value)


def server():
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("0.0.0.0", 40000))
        made.listen()


lab.private()
elsewhere = lab.listener("127.0.0.1", 7007)
setting("ip_local_port_range", "40000 40001")
for reserved in ("", "40000"):
    setting("ip_local_reserved_ports", reserved)
    clients = []
    while lab.called(lambda: clients.append(socket.create_connection(("127.0.0.1", 7007)))) == "done":
        pass
    print(f"ip_local_reserved_ports = '{reserved}'")
    print("  clients got the ports", sorted(each.getsockname()[1] for each in clients))
    print("  a server binds 40000:", lab.called(server))
    for each in clients:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        each.close()
