"""An address to a name, by getnameinfo(3), with an /etc/hosts of its own (IV.10)."""

import socket
import tempfile

import lab

lab.private()
with tempfile.NamedTemporaryFile("w", encoding="ascii") as hosts:
    hosts.write("192.0.2.7 www.example.org\n2001:db8::7 www.example.org\n")
    hosts.flush()
    lab.run(f"mount --bind {hosts.name} /etc/hosts")
    numbers = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    for address in ("192.0.2.7", "2001:db8::7"):
        print(f"{address}: {' '.join(socket.getnameinfo((address, 443), 0))}")
        print(f"{address}, numbers: {' '.join(socket.getnameinfo((address, 443), numbers))}")
    print("and back:", *[found[4][0] for found in socket.getaddrinfo("www.example.org", 443, type=socket.SOCK_STREAM)])
    lab.run("umount /etc/hosts")
