"""A client that binds its own port, against one that lets the kernel choose (III.6)."""

import socket

import lab


def connect(port, reuse):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    client.bind(("0.0.0.0", port))
    client.connect(("10.0.0.2", 7007))
    return client


def timestamps(on):
    with open("/proc/sys/net/ipv4/tcp_timestamps", "w", encoding="ascii") as setting:
        setting.write(str(on))


def states():
    return {row.state for row in lab.tcp_table()}


def twice(first, port, reuse=0, stamps=1):
    """Two connections, one after the other; how the second one ends."""
    here, far = lab.host(), lab.host()
    with here:
        timestamps(stamps)
        lab.cable("lan", far, "10.0.0.1/24", "10.0.0.2/24")
        with far:
            server = lab.listener("10.0.0.2", 7007)
        client, accepted = connect(port, reuse), server.accept()[0]
        for each in [client, accepted] if first == "client" else [accepted, client]:
            each.close()
        with here if first == "client" else far:
            lab.until(lambda: "TIME_WAIT" in states())
        lab.until(lambda: states() <= {"TIME_WAIT"})  # nor is the last ACK still on its way
        return lab.called(connect, port, reuse)


lab.private()
for first in ("client", "server"):
    print(f"the {first} closes first, connect again:")
    print("  from any port:                              ", twice(first, 0))
    print("  from port 5000:                             ", twice(first, 5000))
    print("  from port 5000, SO_REUSEADDR:               ", twice(first, 5000, 1))
    print("  from port 5000, SO_REUSEADDR, no timestamps:", twice(first, 5000, 1, 0))
