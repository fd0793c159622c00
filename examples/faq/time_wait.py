"""TIME_WAIT is with the side that closes first, and what it costs there."""

import re
import socket

import lab


def server_on_7007(reuse):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    made.bind(("127.0.0.1", 7007))
    made.listen()
    return made


def connection(server, first):
    client = socket.create_connection(server.getsockname())
    accepted = server.accept()[0]
    for each in [client, accepted] if first == "client" else [accepted, client]:
        each.close()
    lab.until(lambda: {row.state for row in lab.tcp_table()} == {"LISTEN", "TIME_WAIT"})


def time_wait():
    return [row for row in lab.tcp_table() if row.state == "TIME_WAIT"]


def restart(first, before, after):
    """A server has one client and ends; can it start again?"""
    with lab.host():  # each time in a new network
        with server_on_7007(before) as server:
            connection(server, first)
        whose = "the server's port 7007" if time_wait()[0].local == 7007 else "the client's port"
        left = int(re.search(r"timer:\(timewait,(\d+)", lab.run("ss -Htno state time-wait").stdout)[1])
        option = {(0, 0): "without SO_REUSEADDR", (0, 1): "SO_REUSEADDR now, not before", (1, 1): "with SO_REUSEADDR"}
        print(f"  TIME_WAIT on {whose}, {'about a minute' if left > 50 else left};",
              f"restart {option[before, after]}: {lab.called(server_on_7007, after)}")


def five_connections(first):
    """From a host that has only four ports for clients."""
    with lab.host(), server_on_7007(1) as server:
        for name, value in (("ip_local_port_range", "40000 40003"), ("tcp_tw_reuse", "0")):
            with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as setting:
                setting.write(value)
        for number in range(1, 6):
            ended = lab.called(connection, server, first)
            if ended != "done":
                break
        print(f"  from a host with four ports, connection {number}: {ended}")


lab.private()
print("the client closes first:")
restart("client", 0, 0)
five_connections("client")
print("the server closes first:")
for before, after in ((0, 0), (0, 1), (1, 1)):
    restart("server", before, after)
five_connections("server")
