"""A server that a manager starts: the socket is there before it, and it says when it is ready (IV.3)."""

import os
import socket
import subprocess
import tempfile

import lab

lab.private()
print("as inetd does it, with the connection as standard input and output:")
with lab.service("127.0.0.1:7007", "--", "tr", "a-z", "A-Z"):
    lab.show("echo hello | portico dial 127.0.0.1 7007")

print("as systemd does it:")
listening = lab.listener("127.0.0.1", 7007)
with tempfile.TemporaryDirectory() as directory:
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(f"{directory}/notify")
    with open(f"{directory}/portico.toml", "w", encoding="ascii") as file:
        file.write('[service.hello]\nlisten = "sd:hello"\nbuiltin = "hello"\n')
    client = socket.create_connection(("127.0.0.1", 7007))
    print("  a client connects, and there is no server yet:", client.getpeername()[1])
    os.dup2(listening.fileno(), 3)
    manager = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "hello", "NOTIFY_SOCKET": f"{directory}/notify"}
    start = f"LISTEN_PID=$$ exec portico serve {directory}/portico.toml >/dev/null 2>&1"
    running = subprocess.Popen(["sh", "-c", start], pass_fds=[3], env={**os.environ, **manager})
    while "READY=1" not in notify.recv(4096).decode().split("\n"):
        pass
    print("  the manager is told: READY=1")
    print("  the client reads:", client.recv(200).decode().split(":")[0])
    running.terminate()
    running.wait()
