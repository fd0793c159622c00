"""Situations for the tests of `portico why`: a network of its own for each test, other people's programs in it."""

import contextlib
import ctypes
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

COMMAND = os.environ.get("PORTICO", "portico")
PYTHON = sys.executable
CLONE_NEWNET = 0x40000000
SKIPPED = 77
NOBODY = 65534
INSIDE = "PORTICO_WHY_TEST_INSIDE"


def enter_private_network():
    """Runs this program again where it may make networks; returns there."""
    if INSIDE in os.environ:
        return
    how = ["unshare", "--net", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    if not shutil.which("unshare") or subprocess.run(how + ["true"], capture_output=True).returncode != 0:
        print("skipped: no private network namespace can be made here")
        sys.exit(SKIPPED)
    environment = dict(os.environ, **{INSIDE: "all users" if os.geteuid() == 0 else "one user"})
    os.execvpe(how[0], how + [sys.executable, "-B"] + sys.argv, environment)


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


def ip(text):
    run("ip", *text.split())


def sysctl(name, value):
    pathlib.Path("/proc/sys/" + name).write_text(f"{value}\n")


def wait_until(holds, what):
    """Asks again and again: for what the kernel or another program does in its own time."""
    end = time.monotonic() + 60
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it never came: " + what)
        select.select([], [], [], 0.01)


class Answer:
    """What `portico why --json` said."""

    def __init__(self, done):
        self.code = done.returncode
        self.err = done.stderr
        self.all = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        self.cause = self.all.get("cause")
        first = (self.all.get("findings") or [{}])[0]
        self.sentence = first.get("sentence", "")
        self.sure = first.get("sureness")
        self.evidence = "\n".join(first.get("evidence", []))
        self.fixes = "\n".join(first.get("fixes", []))
        self.causes = [each["cause"] for each in self.all.get("findings", [])]
        self.excluded = {each["cause"]: each["why"] for each in self.all.get("excluded", [])}
        self.unseen = "\n".join(self.all.get("unseen", []))

    def __repr__(self):
        return json.dumps(self.all, indent=1) + self.err


class Situation(unittest.TestCase):
    """Each test is alone in a network namespace with a loopback interface."""

    def setUp(self):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            self.skipTest("no network namespace: " + os.strerror(ctypes.get_errno()))
        ip("link set lo up")
        sysctl("net/ipv6/conf/default/accept_dad", 0)
        self.held = contextlib.ExitStack()
        self.addCleanup(self.held.close)
        self.directory = pathlib.Path(self.held.enter_context(tempfile.TemporaryDirectory()))
        self.directory.chmod(0o755)

    # ---- asking ----

    def why(self, *words, user=None):
        done = subprocess.run([COMMAND, "why", "--json", *map(str, words)], capture_output=True, text=True,
                              timeout=120, user=user, group=user, extra_groups=None if user is None else [])
        self.assertNotIn("bug in portico", done.stderr)
        return Answer(done)

    def expect(self, cause, *words, user=None):
        answer = self.why(*words, user=user)
        self.assertEqual(answer.cause, cause, answer)
        self.assertEqual(answer.code, answer.all["exit_code"], answer)
        self.assertEqual(answer.code == 0, cause == "none", answer)
        return answer

    # ---- other programs ----

    def needs(self, program):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            self.skipTest(program + " is not installed")

    def needs_users(self):
        if os.environ[INSIDE] != "all users":
            self.skipTest("only root can become another user")
        try:
            subprocess.run([COMMAND, "--version"], capture_output=True, user=NOBODY, check=True)
        except (OSError, subprocess.CalledProcessError) as why:
            self.skipTest(f"another user cannot execute {COMMAND}: {why}")

    def start(self, *words, user=None, **how):
        program = subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, user=user, start_new_session=True, **how)

        def end():  # and what it started
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            program.stdin.close()
            program.stdout.close()

        self.held.callback(end)
        return program

    def python(self, script, user=None, prefix=()):
        """A program in Python that does this, says so, and waits for its end."""
        text = "import socket, sys, time\n" + script + "\nprint('ready', flush=True)\nsys.stdin.read()\n"
        program = self.start(*prefix, PYTHON if user is None else "/usr/bin/python3", "-c", text, user=user)
        self.assertEqual(program.stdout.readline(), "ready\n")
        return program

    def await_listener(self, port, program=None):
        def listens():
            self.assertIsNone(program and program.poll(), "the program has ended")
            return f":{port} " in subprocess.run(["ss", "-Hlnt"], capture_output=True, text=True).stdout

        wait_until(listens, f"a listener at {port}")

    def nginx(self, *listen):
        self.needs("nginx")
        lines = "".join(f"listen {each};" for each in listen)
        own = "".join(f"{each}_temp_path {self.directory}/{each};" for each in
                      ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # Where there is one user alone, it cannot give its workers another one.
        alone = "user root root; master_process off;" if os.environ[INSIDE] == "one user" else ""
        file = self.directory / "nginx.conf"
        file.write_text(f"daemon off; {alone} pid {self.directory}/pid; error_log /dev/null; worker_processes 1;"
                        f"events {{}} http {{ access_log off; {own} server {{ {lines} }} }}")
        program = self.start(shutil.which("nginx", path="/usr/sbin:" + os.environ["PATH"]), "-c", file)
        self.await_listener(listen[0].split()[0].rsplit(":", 1)[1], program)
        return program

    # ---- units and containers ----

    def group(self, path):
        """A control group of version 2 with this path below one of the test's own; its file of processes."""
        top = self.directory / "groups"
        if not top.exists():
            top.mkdir()
            done = subprocess.run(["mount", "-t", "cgroup2", "none", top], capture_output=True, text=True)
            if done.returncode != 0:
                self.skipTest("no control groups of version 2: " + done.stderr.strip())
            self.held.callback(subprocess.run, ["umount", "-l", top], capture_output=True)
        made = top / f"portico-why-{os.getpid()}"
        for part in pathlib.Path(path).parts:
            for each in (made, made / part):
                if not each.exists():
                    try:
                        each.mkdir()
                    except OSError as why:
                        self.skipTest(f"a control group cannot be made: {why}")
                    self.held.callback(each.rmdir)
            made = made / part
        self.held.callback(self.await_end, made / "cgroup.procs")
        return made / "cgroup.procs"

    def await_end(self, group):
        wait_until(lambda: "populated 0" in group.with_name("cgroup.events").read_text(), "an empty group")

    def end(self, program, group):
        """Ends it and all that is in its group."""
        program.kill()
        program.wait()
        self.await_end(group)

    def member(self, group, *words):
        """The prefix that runs a program, by these words, as a member of it."""
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', group, *words]

    # ---- sockets of this program ----

    def socket(self, address="127.0.0.1", port=0, kind=socket.SOCK_STREAM, listen=None, **options):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self.held.enter_context(socket.socket(family, kind))
        if "v6only" in options:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, options["v6only"])
        for name in ("SO_REUSEADDR", "SO_REUSEPORT"):
            if name in options:
                made.setsockopt(socket.SOL_SOCKET, getattr(socket, name), options[name])
        made.bind((address, port))
        if listen is not None:
            made.listen(listen)
        return made

    def connected(self, server):
        """A pair: the client's side, and the one that accept() gave."""
        client = self.held.enter_context(socket.create_connection(server.getsockname()[:2]))
        accepted = self.held.enter_context(server.accept()[0])
        return client, accepted

    def client(self, server):
        """A connection that is begun and not waited for."""
        made = self.held.enter_context(socket.socket(server.family, socket.SOCK_STREAM))
        made.setblocking(False)
        made.connect_ex(server.getsockname()[:2])
        return made

    # ---- other hosts ----

    def name(self, text):
        """A name with these addresses, for this mount namespace."""
        hosts = self.directory / "hosts"
        hosts.write_text(text)
        run("mount", "--bind", str(hosts), "/etc/hosts")
        self.held.callback(lambda: run("umount", "/etc/hosts"))


    def peer(self, here="192.0.2.1/24", there="192.0.2.2/24", name="va"):
        """Another namespace behind a cable; the prefix that runs a program there."""
        holder = self.start("unshare", "--net", "sh", "-c", "echo ready; exec cat")
        self.assertEqual(holder.stdout.readline(), "ready\n")
        ip(f"link add {name} type veth peer name {name}b netns {holder.pid}")
        over = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        for prefix, device, address in (([], name, here), (over, name + "b", there)):
            run(*prefix, "ip", "addr", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
            run(*prefix, "ip", "link", "set", device, "up")
        run(*over, "ip", "link", "set", "lo", "up")
        return over


def free_port(address="127.0.0.1", kind=socket.SOCK_STREAM):
    """A port below the ephemeral range that nobody has: the namespace is the test's own."""
    for port in range(8000, 9000):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as probe:
            with contextlib.suppress(OSError):
                probe.bind((address, port))
                return port
    raise AssertionError("no free port")
