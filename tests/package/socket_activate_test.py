"""Sockets that systemd opened are found by their names, as a service of systemd's own tool has them."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PORTICO = os.environ["PORTICO"]
TOOL = "systemd-socket-activate"
CONFIGURATION = """
[service.greeter]
listen = "sd:web"
required = true
builtin = "hello"

[service.repeater]
listen = "systemd:mail"
required = true
builtin = "echo"
"""


class SocketActivate(unittest.TestCase):
    def setUp(self):
        self.place = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.place)
        self.file = self.place / "portico.toml"
        self.file.write_text(CONFIGURATION)

    def activate(self, **names):
        """The tool, with one socket a name; it starts portico with the first connection."""
        listeners = [word for name in names.values() for word in ("-l", str(self.place / name))]
        tool = subprocess.Popen([TOOL, *listeners, "--fdname=" + ":".join(names), PORTICO, "serve", self.file],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(tool.communicate)
        self.addCleanup(tool.terminate)
        for _ in names:
            self.assertRegex(tool.stderr.readline(), "^Listening on ")
        return tool

    def connect(self, name):
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(str(self.place / name))
        return client

    def test_each_service_has_the_socket_of_its_name(self):
        tool = self.activate(web="1", mail="2")
        greeted = self.connect("1")
        self.assertIn(f"this is unix:{self.place}/1", greeted.makefile().read())
        echo = self.connect("2")
        echo.sendall(b"words\n")
        self.assertEqual(echo.makefile().readline(), "words\n")
        echo.close()
        tool.terminate()
        self.assertEqual(tool.wait(), 0)

    def test_a_name_that_is_not_there_is_told_with_those_that_are(self):
        tool = self.activate(web="1", male="2")
        self.connect("1")
        said = tool.stderr.read()
        self.assertEqual(tool.wait(), 100)
        self.assertIn("no inherited socket has the name 'mail'", said)
        self.assertIn("male", said)


if __name__ == "__main__":
    if not shutil.which(TOOL):
        print(f"SKIPPED: there is no {TOOL}", file=sys.stderr)
        sys.exit(77)
    unittest.main()
