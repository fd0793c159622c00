"""SIGPIPE: the default, MSG_NOSIGNAL, ignored, and what a program inherits of that."""

import select
import signal
import socket
import subprocess
import sys

import lab

WRITE_TWICE = """
import signal, socket, sys
signal.signal(signal.SIGPIPE, getattr(signal, sys.argv[1]))
here = socket.socket(fileno=int(sys.argv[2]))
here.send(b"x", int(sys.argv[3]))
"""


def write_to_closed(disposition, flags):
    here, there = lab.connected_pair()
    there.close()
    here.send(b"x")
    lab.wait_for(here, select.POLLHUP)
    program = [sys.executable, "-c", WRITE_TWICE, disposition, str(here.fileno()), str(flags)]
    ended = subprocess.run(program, pass_fds=[here.fileno()], stderr=subprocess.PIPE, text=True, check=False)
    if ended.returncode < 0:
        return f"killed by {signal.Signals(-ended.returncode).name}"
    return ended.stderr.strip().split("\n")[-1]


lab.private()
print("default:              ", write_to_closed("SIG_DFL", 0))
print("default, MSG_NOSIGNAL:", write_to_closed("SIG_DFL", socket.MSG_NOSIGNAL))
print("ignored:              ", write_to_closed("SIG_IGN", 0))
print("what a program of `portico listen` starts with, when portico itself was told to ignore it:")
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
with lab.service("127.0.0.1:7007", "--", "grep", "SigIgn", "/proc/self/status", restore_signals=False):
    lab.show("portico dial 127.0.0.1 7007")
