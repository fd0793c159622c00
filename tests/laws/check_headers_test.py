"""tools/check_headers catches a header that needs another one before it, or that warns."""

import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CHECK = ROOT / "tools" / "check_headers"


class CheckHeaders(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.tree = Path(place.name)
        (self.tree / "layers.toml").write_text((ROOT / "layers.toml").read_text())

    def check(self, text, name="core/include/portico/ip/x.hpp"):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        done = subprocess.run([CHECK, self.tree], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_a_header_that_includes_what_it_uses_passes(self):
        code, output = self.check("#pragma once\n#include <string>\nstd::string f();\n")
        self.assertEqual(code, 0, output)

    def test_a_header_that_leans_on_another_is_caught(self):
        code, output = self.check("#pragma once\nstd::string f();\n")
        self.assertEqual(code, 100)
        self.assertIn("core/include/portico/ip/x.hpp: does not compile alone", output)

    def test_a_header_without_a_guard_is_caught(self):
        self.assertEqual(self.check("struct twice {};\n")[0], 100)

    def test_a_warning_is_caught(self):
        self.assertEqual(self.check("#pragma once\ninline int f(long x) { return x; }\n")[0], 100)

    def test_a_header_of_core_that_needs_os_is_caught(self):
        self.check("#pragma once\n", "os/include/portico/os/fd.hpp")
        self.assertEqual(self.check('#pragma once\n#include "portico/os/fd.hpp"\n')[0], 100)

    def test_a_tree_without_headers_does_not_pass(self):
        done = subprocess.run([CHECK, self.tree], capture_output=True, check=False)
        self.assertEqual(done.returncode, 101)


if __name__ == "__main__":
    unittest.main()
