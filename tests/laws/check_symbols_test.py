"""tools/check_symbols catches an archive that does I/O, reads a clock or can be written to."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CHECK = ROOT / "tools" / "check_symbols"


class CheckSymbols(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)

    def archive(self, *sources):
        objects = []
        for number, source in enumerate(sources):
            made = self.place / f"part{number}.o"
            compiler = os.environ.get("CXX", "c++")
            subprocess.run([compiler, "-std=c++20", "-O0", "-x", "c++", "-c", "-", "-o", made],
                           input=source, text=True, check=True)
            objects.append(made)
        library = self.place / "lib.a"
        library.unlink(missing_ok=True)
        subprocess.run(["ar", "rcs", library, *objects], check=True)
        return library

    def check(self, *sources):
        done = subprocess.run([CHECK, self.archive(*sources)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def assert_caught(self, source, said):
        code, output = self.check(source)
        self.assertEqual(code, 100, output)
        self.assertIn(said, output)
        self.assertIn(" 1 breach\n", output)

    def assert_fine(self, *sources):
        code, output = self.check(*sources)
        self.assertEqual(code, 0, output)

    def test_strings_and_vectors_are_fine(self):
        self.assert_fine(
            "#include <string>\n#include <vector>\n"
            "std::string f(std::vector<std::string> all) { return all.at(0) + std::to_string(all.size()); }")

    def test_one_object_may_use_what_another_defines(self):
        self.assert_fine('extern "C" int mine(); int f() { return mine(); }', 'extern "C" int mine() { return 1; }')

    def test_calls_of_the_system_are_caught(self):
        for header, call in (
            ("sys/socket.h", "socket(1, 2, 3)"), ("unistd.h", "read(0, nullptr, 0)"), ("unistd.h", "fork()"),
            ("stdlib.h", 'getenv("x") != nullptr'), ("time.h", "time(nullptr)"),
            ("time.h", "clock_gettime(0, nullptr)"), ("stdio.h", 'puts("x")'), ("errno.h", "(errno = 1)"),
            ("pthread.h", "pthread_create(nullptr, nullptr, nullptr, nullptr)"), ("net/if.h", 'if_nametoindex("x")'),
        ):
            with self.subTest(call=call):
                self.assert_caught(
                    f"#include <{header}>\nlong f() {{ return static_cast<long>({call}); }}",
                    "__errno_location()" if "errno" in call else call.split("(")[0] + "()")

    def test_a_symbol_that_is_only_weakly_wanted_is_caught(self):
        self.assert_caught(
            'extern "C" __attribute__((weak)) int getpid(); int f() { return getpid ? getpid() : 0; }', "getpid()")

    def test_reading_a_clock_is_caught(self):
        for clock in ("steady_clock", "system_clock"):
            self.assert_caught(
                f"#include <chrono>\nlong f() {{ return std::chrono::{clock}::now().time_since_epoch().count(); }}",
                f"{clock}::now()")

    def test_durations_are_fine(self):
        self.assert_fine("#include <chrono>\nlong f(std::chrono::seconds s) { return std::chrono::milliseconds{s}.count(); }")

    def test_true_randomness_is_caught(self):
        code, output = self.check("#include <random>\nunsigned f() { return std::random_device{}(); }")
        self.assertEqual(code, 100)
        self.assertIn("std::random_device", output)

    def test_other_rooms_are_caught(self):
        self.assert_caught("namespace portico::os { int now(); } int f() { return portico::os::now(); }", "portico::os::now()")

    def test_a_global_that_can_be_written_is_caught(self):
        self.assert_caught("int counter = 1; int f() { return ++counter; }", "counter in .data")
        self.assert_caught("int counter; int f() { return ++counter; }", "counter in .bss")
        self.assert_caught("thread_local int counter = 1; int f() { return ++counter; }", "counter in .tdata")

    def test_a_static_inside_a_function_is_caught(self):
        self.assert_caught("int f() { static int counter = 0; return ++counter; }", "f()::counter in .bss")

    def test_constants_are_fine(self):
        self.assert_fine('extern const char* const names[] = {"a", "b"}; const int table[] = {1, 2, 3};'
                         "int f(int i) { return table[i] + names[i][0]; }")

    def test_an_archive_without_objects_does_not_pass(self):
        empty = self.place / "empty.a"
        subprocess.run(["ar", "rcs", empty], check=True)
        self.assertEqual(subprocess.run([CHECK, empty], capture_output=True, check=False).returncode, 101)

    def test_an_archive_that_is_not_there_does_not_pass(self):
        missing = self.place / "missing.a"
        self.assertEqual(subprocess.run([CHECK, missing], capture_output=True, check=False).returncode, 101)


if __name__ == "__main__":
    unittest.main()
