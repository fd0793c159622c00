"""tools/check_layers catches what it is there for, and is silent where there is nothing to say."""

import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CHECK = ROOT / "tools" / "check_layers"


class CheckLayers(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.tree = Path(place.name)
        (self.tree / "layers.toml").write_text((ROOT / "layers.toml").read_text())
        self.write("core/include/portico/ip/address.hpp", "#include <string>\n")
        self.write("core/include/portico/base/error.hpp", '#include "portico/ip/address.hpp"\n')
        self.write("os/include/portico/os/fd.hpp", "#include <utility>\n")
        self.write("run/include/portico/run/dial.hpp", '#include "portico/os/fd.hpp"\n')

    def write(self, name, text):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def check(self):
        done = subprocess.run([CHECK, self.tree], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def assert_caught(self, name, text, *said):
        self.write(name, text)
        code, output = self.check()
        self.assertEqual(code, 100, output)
        line = text.count("\n", 0, text.index("#")) + 1
        self.assertIn(f"{name}:{line}: ", output)
        for each in said:
            self.assertIn(each, output)
        self.assertIn(" 1 violation\n", output)

    def assert_fine(self, name, text):
        self.write(name, text)
        code, output = self.check()
        self.assertEqual(code, 0, output)

    def test_a_tree_that_keeps_the_rules_passes(self):
        code, output = self.check()
        self.assertEqual((code, output), (0, "check_layers: 4 files, 0 violations\n"))

    def test_core_may_not_include_from_os(self):
        self.assert_caught("core/src/ip/x.cpp", '\n#include "portico/os/fd.hpp"\n', "core may not include from os")

    def test_os_may_not_include_from_run(self):
        self.assert_caught("os/src/fd/x.cpp", '#include "portico/run/dial.hpp"\n', "os may not include from run")

    def test_angle_brackets_hide_nothing(self):
        self.assert_caught("core/src/ip/x.cpp", "#include <portico/os/fd.hpp>\n", "core may not include from os")

    def test_a_path_around_the_include_directories_hides_nothing(self):
        self.assert_caught(
            "core/src/ip/x.cpp", '#include "../../../os/include/portico/os/fd.hpp"\n', "core may not include from os")

    def test_ip_may_not_include_from_base(self):
        self.assert_caught(
            "core/src/ip/x.cpp", '#include "portico/base/error.hpp"\n', "core/ip may not include from core/base")

    def test_areas_on_one_level_may_not_include_each_other(self):
        self.write("core/include/portico/plan/plan.hpp", "#include <vector>\n")
        self.assert_caught(
            "core/include/portico/race/race.hpp", '#include "portico/plan/plan.hpp"\n', "core/race may not include from core/plan")

    def test_a_private_header_of_another_area_counts_too(self):
        self.write("core/src/plan/words.hpp", "#include <vector>\n")
        self.assert_caught("core/src/race/x.cpp", '#include "plan/words.hpp"\n', "core/race may not include from core/plan")

    def test_a_private_header_of_another_room_stays_private(self):
        self.write("os/src/fd/call.hpp", "#include <vector>\n")
        self.assert_caught("run/src/dial/x.cpp", '#include "fd/call.hpp"\n', "private to os")

    def test_the_areas_of_the_command_know_nothing_of_the_verbs(self):
        self.write("app/verb.hpp", "#include <string>\n")
        self.assert_caught("app/log/x.cpp", '#include "verb.hpp"\n', "app/log may not include from app itself")

    def test_the_areas_of_the_command_are_directories(self):
        self.write("app/host/x.hpp", "#include <string>\n")
        self.assert_fine("app/main.cpp", '#include "host/x.hpp"\n')
        self.assert_caught("app/service/x.cpp", '#include "host/x.hpp"\n', "app/service may not include from app/host")

    def test_core_may_not_include_a_system_header(self):
        self.assert_caught("core/src/ip/x.cpp", "#include <sys/socket.h>\n", "only the C++ standard library")

    def test_core_may_not_include_a_standard_header_that_does_input_and_output(self):
        self.assert_caught("core/src/ip/x.cpp", "#include <fstream>\n", "<fstream>: core may not include it")

    def test_asio_stays_out_of_core(self):
        self.assert_caught("core/src/ip/x.cpp", "#include <boost/asio/io_context.hpp>\n", "core may include only")

    def test_asio_stays_out_of_os(self):
        self.assert_caught("os/src/fd/x.cpp", "#include <boost/asio/io_context.hpp>\n", "os may include only")

    def test_what_the_command_needs_stays_out_of_run(self):
        for name in ("CLI/CLI.hpp", "fmt/format.h", "spdlog/spdlog.h", "boost/json.hpp"):
            self.assert_caught("run/src/dial/x.cpp", f"#include <{name}>\n", "run may include only")

    def test_the_command_may_include_them(self):
        self.assert_fine("app/x.cpp", "#include <CLI/CLI.hpp>\n#include <fmt/format.h>\n#include <boost/json.hpp>\n")

    def test_blanks_inside_the_directive_hide_nothing(self):
        self.assert_caught("core/src/ip/x.cpp", "  #  include   <unistd.h> // why\n", "core may include only")

    def test_an_include_in_a_comment_is_none(self):
        self.assert_fine("core/src/ip/x.cpp", "// #include <unistd.h>\n/*\n#include <unistd.h>\n*/\n")

    def test_a_string_with_slashes_does_not_hide_the_lines_after_it(self):
        self.assert_caught("core/src/ip/x.cpp", 'auto x = "/* no comment";\n#include <unistd.h>\n', "core may include only")

    def test_an_include_through_a_macro_is_refused(self):
        self.assert_caught("core/src/ip/x.cpp", "#include CHOSEN_HEADER\n", "cannot be checked")

    def test_headers_in_a_ring_are_refused(self):
        self.write("core/include/portico/ip/a.hpp", '#include "portico/ip/b.hpp"\n')
        self.write("core/include/portico/ip/b.hpp", '#include "portico/ip/a.hpp"\n')
        code, output = self.check()
        self.assertEqual(code, 100)
        self.assertIn("in a ring", output)

    def test_a_new_area_of_core_must_be_named(self):
        self.write("core/src/stack/x.cpp", "#include <string>\n")
        code, output = self.check()
        self.assertEqual(code, 100)
        self.assertIn("the area stack is not in layers.toml", output)

    def test_a_header_that_is_not_there_is_refused(self):
        self.assert_caught("core/src/ip/x.cpp", '#include "portico/ip/missing.hpp"\n', "no such header")

    def test_tests_may_include_the_testkit_and_googletest(self):
        self.write("testkit/include/portico/testkit/clock.hpp", "#include <string>\n")
        self.assert_fine("core/src/ip/x_test.cpp", '#include "portico/testkit/clock.hpp"\n#include <gtest/gtest.h>\n')

    def test_sources_may_not_include_googletest(self):
        self.assert_caught("core/src/ip/x.cpp", "#include <gtest/gtest.h>\n", "core may include only")

    def test_an_empty_tree_does_not_pass(self):
        for path in self.tree.rglob("*.hpp"):
            path.unlink()
        self.assertEqual(self.check()[0], 101)


if __name__ == "__main__":
    unittest.main()
