"""A server and a client that are written with portico's library find each other (II.12)."""

import subprocess

import lab

lab.private()
server = subprocess.Popen(["example_modern_server", "localhost:7007"], stdout=subprocess.PIPE, text=True)
print("example_modern_server localhost:7007:")
for _ in range(2):
    print(" ", server.stdout.readline().strip())
lab.show("example_modern_client localhost 7007 2>/dev/null")
server.kill()
server.communicate()
