"""A network of its own for an example: hosts, cables between them, and a look at what crosses them.

An example that calls private() first runs in namespaces that end with it, so it may use any port
and pull any cable. Where they cannot be made it says SKIPPED and why, with exit code 77."""

import contextlib
import ctypes
import errno
import os
import select
import socket
import struct
import subprocess
import sys
from collections import namedtuple

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
FIN, SYN, RST, ACK = 1, 2, 4, 16
libc = ctypes.CDLL(None, use_errno=True)


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(77)


def private():
    """Runs this program again in a user, network and mount namespace of its own."""
    if os.environ.get("PORTICO_LAB") != "1":
        new = ["unshare", "--map-root-user", "--net", "--mount"]
        try:
            run([*new, "ip", "link", "set", "lo", "up"])
        except (subprocess.CalledProcessError, FileNotFoundError) as failed:
            skip(f"no private network namespace: {getattr(failed, 'stderr', failed)}".strip())
        os.environ["PORTICO_LAB"] = "1"
        sys.stdout.flush()
        os.execvp("unshare", [*new, sys.executable, *sys.argv])
    ip("link set lo up")


def run(command, **more):
    return subprocess.run(command, shell=isinstance(command, str), capture_output=True, text=True, check=True, **more)


def ip(words):
    try:
        run(f"ip {words}")
    except subprocess.CalledProcessError as failed:
        skip(f"ip {words}: {failed.stderr.strip()}")


def show(command, **more):
    """Prints a command as sh -x does, and what it says."""
    print(f"+ {command}")
    said = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          **more)
    print(said.stdout, end="")
    return said.returncode


def called(function, *arguments):
    """What a call does: "done", or the name of its error."""
    try:
        function(*arguments)
        return "done"
    except OSError as failed:
        return errno_name(failed)


def errno_name(failed):
    return f"{os.strerror(failed.errno)} ({errno.errorcode[failed.errno]})"


@contextlib.contextmanager
def service(*arguments, lines=1, before=(), **more):
    """`portico listen` with these arguments; yields its lines "listening ..." when it listens."""
    running = subprocess.Popen([*before, "portico", "listen", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True, **more)
    try:
        yield [running.stdout.readline().strip() for _ in range(lines)]
    finally:
        running.terminate()
        running.wait()
        running.stdout.close()


def listener(at="127.0.0.1", port=0, backlog=16):
    """A plain listening socket, without any option."""
    made = socket.socket(socket.AF_INET6 if ":" in at else socket.AF_INET)
    made.bind((at, port))
    made.listen(backlog)
    return made


def connected_pair():
    """Both ends of a TCP connection: who connected, who accepted."""
    with listener() as waiting:
        client = socket.create_connection(waiting.getsockname())
        return client, waiting.accept()[0]


def wait_for(sock, events):
    """Until poll(2) reports one of these events, or an error; what it reports."""
    asked = select.poll()
    asked.register(sock, events)
    return asked.poll()[0][1]


STATES = ["", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
          "LAST_ACK", "LISTEN", "CLOSING"]
tcp_row = namedtuple("tcp_row", "local remote state")


def tcp_table():
    """The IPv4 TCP sockets of this namespace, as the kernel lists them: ports and state."""
    with open("/proc/self/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    port = lambda text: int(text.split(":")[1], 16)
    return [tcp_row(port(row[1]), port(row[2]), STATES[int(row[3], 16)]) for row in rows]


def dropped():
    """How many connection requests the kernel has ignored in this namespace, as the queue was full."""
    with open("/proc/self/net/netstat", encoding="ascii") as table:
        names, values = [line.split() for line in table if line.startswith("TcpExt")]
    return int(values[names.index("ListenDrops")])


def until(condition):
    """Asks again and again, as there is no event to wait for, and lets others run meanwhile."""
    while not condition():
        os.sched_yield()


class host:
    """A network namespace; `with host:` the sockets and programs that are made belong to it."""

    def __init__(self):
        self.before = []
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        if libc.unshare(CLONE_NEWNET) != 0:
            skip(f"no second network namespace: {os.strerror(ctypes.get_errno())}")
        self.space = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        ip("link set lo up")
        libc.setns(here, CLONE_NEWNET)
        os.close(here)

    def __enter__(self):
        self.before.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        libc.setns(self.space, CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        libc.setns(self.before[-1], CLONE_NEWNET)
        os.close(self.before.pop())


def cable(name, other, here, there):
    """A cable (veth) from this host to another: its two ends are called `name`, with these addresses."""
    ip(f"link add {name} type veth peer name far")
    path = f"/proc/{os.getpid()}/fd/{other.space}"
    ip(f"link set far netns {path}")
    ip(f"addr add {here} brd + dev {name}")
    ip(f"link set {name} up")
    with other:
        ip(f"link set far name {name}")
        ip(f"addr add {there} brd + dev {name}")
        ip(f"link set {name} up")


def server_behind_a_cable():
    """Another host, 10.0.0.2, at the cable `lan`, and a socket that listens there on port 7007. Its hardware address is
    known for good, as that of a router would be, so that nobody has to ask for it when the host is gone."""
    far = host()
    cable("lan", far, "10.0.0.1/24", "10.0.0.2/24")
    with far:
        address = run("ip -brief link show lan").stdout.split()[2]
        server = listener("10.0.0.2", 7007)
    ip(f"neigh replace 10.0.0.2 lladdr {address} dev lan")
    return far, server


segment = namedtuple("segment", "source target flags size")


class capture:
    """All TCP segments that a device of this host sends and receives (AF_PACKET, packet(7))."""

    def __init__(self, device):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.bind((device, ETH_P_ALL))

    def segments(self):
        """What was captured since the last call. On lo each segment is seen twice; one counts."""
        self.socket.setblocking(False)
        seen = []
        while True:
            try:
                packet, (device, _, kind, _, _) = self.socket.recvfrom(65536)
            except BlockingIOError:
                return seen
            if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
                continue
            if device == "lo" and kind == socket.PACKET_OUTGOING:
                continue
            header = (packet[0] & 15) * 4
            source, target = struct.unpack_from("!HH", packet, header)
            size = struct.unpack_from("!H", packet, 2)[0] - header - (packet[header + 12] >> 4) * 4
            seen.append(segment(source, target, packet[header + 13], size))


def flags(of):
    return " ".join(name for name, bit in (("SYN", SYN), ("FIN", FIN), ("RST", RST), ("ACK", ACK)) if of.flags & bit)
