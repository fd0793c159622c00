"""portico why names the units and containers that systemd really runs, and the fix that it prints is one."""

import os
import re
import shutil
import subprocess
import sys
import time
import unittest

from machine import Machine, why_not

PORTICO = os.environ["PORTICO"]
NO_MACHINE = why_not()
ID = "0123456789abcdef" * 4
SERVER = "python3 -m http.server --bind 127.0.0.1"


@unittest.skipIf(NO_MACHINE, f"SKIPPED: {NO_MACHINE}")
class UnderSystemd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.machine = Machine()
        cls.addClassCleanup(cls.machine.stop)
        shutil.copy(PORTICO, cls.machine.share / "portico")

    def until(self, what):
        """There is no end to it but that of the whole test."""
        while not what():
            time.sleep(0.02)

    def why(self, *words):
        return self.machine.run("/run/test/portico", "why", *words)

    def start(self, unit, port):
        self.machine.write(f"/etc/systemd/system/{unit}", f"[Service]\nExecStart={SERVER} {port}\n")
        self.machine.do("systemctl", "daemon-reload")
        self.machine.do("systemctl", "start", unit)
        self.until(lambda: f":{port} " in self.machine.do("ss", "-Hlnt"))

    def fix(self, said):
        return re.search(r"^  fix:      (.*)$", said, re.MULTILINE)[1]

    def test_a_unit_and_what_stops_it(self):
        for port, unit in ((8080, "web.service"), (8081, r"a\x2db.service")):
            self.start(unit, port)
            said = self.why(f"127.0.0.1:{port}")
            main = self.machine.show(unit, "MainPID")
            self.assertEqual((said.returncode, said.stdout.split("\n")[0]),
                             (10, f"python3 (pid {main}, {unit}) listens at 127.0.0.1:{port}"), said)
            self.machine.do("sh", "-c", self.fix(said.stdout))
            self.assertEqual(self.machine.run("systemctl", "is-active", unit).stdout, "inactive\n")
            self.assertEqual(self.why(f"127.0.0.1:{port}", "--accept").returncode, 40)

    def test_a_socket_that_systemd_itself_listens_at(self):
        self.machine.write("/etc/systemd/system/later.socket", "[Socket]\nListenStream=127.0.0.1:8082\n")
        self.machine.write("/etc/systemd/system/later.service", "[Service]\nExecStart=sleep infinity\n")
        self.machine.do("systemctl", "daemon-reload")
        self.machine.do("systemctl", "start", "later.socket")
        said = self.why("127.0.0.1:8082")
        self.assertEqual(said.returncode, 10, said)
        self.assertIn("systemd (pid 1", said.stdout.split("\n")[0])
        self.assertIn("systemctl list-sockets, then systemctl stop NAME.socket", self.fix(said.stdout))
        self.assertIn("127.0.0.1:8082", self.machine.do("systemctl", "list-sockets", "--no-pager", "later.socket"))
        self.machine.do("systemctl", "stop", "later.socket")
        self.assertEqual(self.why("127.0.0.1:8082", "--bind").returncode, 0)

    def test_a_scope_that_docker_has_asked_systemd_for(self):
        # As its daemon does it: a scope of this name, and in it a program in namespaces of its own.
        container = subprocess.Popen(self.machine.enter(
            "systemd-run", "--scope", "--quiet", f"--unit=docker-{ID}.scope", "unshare", "--mount", "--pid", "--fork",
            "--kill-child", "--mount-proc", "--net", "--cgroup", "sh", "-c", f"ip link set lo up; exec {SERVER} 8083"))
        self.addCleanup(container.wait)
        self.addCleanup(self.machine.run, "systemctl", "kill", "--signal=KILL", f"docker-{ID}.scope")
        self.until(lambda: self.why("127.0.0.1:8083", "--connect").returncode == 44)
        said = self.why("127.0.0.1:8083", "--connect").stdout
        self.assertTrue(said.split("\n")[0].endswith(f"in another network namespace, docker {ID[:12]}"), said)
        enter = re.search(r"(nsenter --net=\S+) \.\.\.", self.fix(said))[1]
        self.assertIn(":8083 ", self.machine.do(*enter.split(), "ss", "-Hlnt"))


if __name__ == "__main__":
    if NO_MACHINE:
        print(f"SKIPPED: {NO_MACHINE}", file=sys.stderr)
        sys.exit(77)
    unittest.main()
