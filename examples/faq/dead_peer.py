"""A cable is pulled: who notices? Idle connections without and with --dead-after, and a busy one."""

import socket
import subprocess

import lab

lab.private()
far, server = lab.server_behind_a_cable()


def dial(*options):
    """An idle connection: nobody says anything."""
    running = subprocess.Popen(["portico", "dial", *options, "10.0.0.2:7007"], stdin=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    return running, server.accept()[0]


def states():
    return [row.state for row in lab.tcp_table() if row.remote == 7007]


patient, first = dial()
watchful, second = dial("--dead-after", "2s")
sender = socket.create_connection(("10.0.0.2", 7007))
third = server.accept()[0]
sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2000)
print("connections:", *states())
with far:
    lab.ip("link set lan down")  # no FIN, no reset, no "unreachable": nothing comes any more
sender.send(b"hello")
print("portico dial --dead-after 2s:", watchful.communicate()[1].strip(), f"(exit code {watchful.returncode})")
lab.wait_for(sender, 0)
print("one that sends, TCP_USER_TIMEOUT 2s:", lab.called(sender.recv, 100))
print("portico dial, without it:", "is still there" if patient.poll() is None else "has ended", "and", *states())
patient.kill()
patient.communicate()
