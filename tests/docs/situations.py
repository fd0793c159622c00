"""What a session of a page finds when it begins: situations.py NAME COMMAND runs the command in the middle of one.

A page names it in front of the session: <!-- run in NAME -->. Each is alone in a network of its own."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "examples" / "faq"))
import lab  # noqa: E402

CLONE_NEWCGROUP = 0x02000000
SERVER = """import socket, sys
server = socket.create_server((sys.argv[1], 8080), backlog=100)
print(flush=True)
sys.stdin.read()
"""


def server(held, address):
    """server.py, which listens at port 8080 and accepts nobody."""
    place = held.enter_context(tempfile.TemporaryDirectory())
    pathlib.Path(place, "server.py").write_text(SERVER, encoding="ascii")
    made = held.enter_context(subprocess.Popen(["python3", "server.py", address], cwd=place, stdin=subprocess.PIPE,
                                               stdout=subprocess.PIPE))
    held.callback(made.kill)
    made.stdout.readline()
    return made


def service(held):
    """It runs as web.service: in a control group of that name, as systemd makes them."""
    groups = held.enter_context(tempfile.TemporaryDirectory())
    try:
        lab.libc.unshare(CLONE_NEWCGROUP)  # which may mount them
        lab.run(["mount", "-t", "cgroup2", "none", groups])
        held.callback(lab.run, ["umount", "-l", groups])
        group = pathlib.Path(groups, f"portico-docs-{os.getpid()}", "web.service")
        group.mkdir(parents=True)
        held.callback(group.parent.rmdir)
        held.callback(group.rmdir)
        held.callback(lab.until, lambda: "populated 0" in (group / "cgroup.events").read_text())
        made = server(held, "0.0.0.0")
        (group / "cgroup.procs").write_text(str(made.pid))
    except (OSError, subprocess.CalledProcessError) as failed:
        lab.skip(f"no control group can be made: {getattr(failed, 'stderr', None) or failed}".strip())


def time_wait(_):
    """A server has ended, and had closed its connection first."""
    with lab.listener("127.0.0.1", 8080) as waiting:
        client, accepted = socket.create_connection(waiting.getsockname()), waiting.accept()[0]
    accepted.close()
    client.close()
    lab.until(lambda: [row.state for row in lab.tcp_table()] == ["TIME_WAIT"])


def full_queue(held):
    """The server is stopped, 101 clients wait, and 20 more have been turned away."""
    stopped = server(held, "127.0.0.1")
    stopped.send_signal(signal.SIGSTOP)
    os.waitpid(stopped.pid, os.WUNTRACED)
    for _ in range(101):
        held.enter_context(socket.create_connection(("127.0.0.1", 8080)))
    for _ in range(20):
        with socket.socket() as client:  # closed before it asks again
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", 8080))
    lab.until(lambda: lab.dropped() == 20)


def one_family(held):
    """localhost is ::1 first, and the server listens at 127.0.0.1 alone."""
    hosts = held.enter_context(tempfile.NamedTemporaryFile("w"))
    hosts.write("::1 localhost\n127.0.0.1 localhost\n")
    hosts.flush()
    lab.run(["mount", "--bind", hosts.name, "/etc/hosts"])
    held.callback(lab.run, ["umount", "/etc/hosts"])
    server(held, "127.0.0.1")


lab.private()
with contextlib.ExitStack() as held:
    {each.__name__: each for each in (service, time_wait, full_queue, one_family)}[sys.argv[1]](held)
    done = subprocess.run(sys.argv[2], shell=True, check=False)
sys.exit(done.returncode)
