"""What is installed can be moved, and a stranger's project builds with it, by CMake and by pkg-config.

usage: install_test.py static|shared

static installs the build that the environment names (BUILD_DIR). shared configures and builds one of its own, with
shared libraries and without tests, on a machine that might have no GoogleTest.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CONSUMER = Path(__file__).resolve().parent / "consumer"
COMPILER = os.environ.get("CXX", "c++")
KIND = "static"


def run(*command, **more):
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def launcher():
    return ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []


def build_shared(place):
    run("cmake", "-S", ROOT, "-B", place, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
        "-DBUILD_SHARED_LIBS=ON", "-DPORTICO_TESTS=OFF", "-DCMAKE_DISABLE_FIND_PACKAGE_GTest=ON",
        f"-DCMAKE_CXX_COMPILER={COMPILER}", *launcher())
    run("cmake", "--build", place)
    return place


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.place)
        cls.first = cls.place / "first"
        build = build_shared(cls.place / "build") if KIND == "shared" else os.environ["BUILD_DIR"]
        run("cmake", "--install", build, "--prefix", cls.first)
        cls.prefix = cls.place / "moved" / "prefix"
        cls.prefix.parent.mkdir()
        cls.first.rename(cls.prefix)
        cls.libdir = next(cls.prefix.rglob("portico-core.pc")).parent.parent
        cls.environment = {**os.environ, "PKG_CONFIG_PATH": str(cls.libdir / "pkgconfig")}

    def test_the_command_runs_where_it_was_moved_to(self):
        self.assertRegex(run(self.prefix / "bin/portico", "--version"), r"^portico \d+\.\d+\.\d+\n$")

    def test_the_command_finds_its_resolver_where_it_was_moved_to(self):
        self.assertTrue(os.access(self.prefix / "libexec/portico/portico-resolve", os.X_OK))
        # A name is resolved by that program alone; port 1 (RFC 1078) is nobody's today.
        done = subprocess.run([self.prefix / "bin/portico", "dial", "-z", "localhost", "1"], capture_output=True,
                              text=True, check=False, env={**os.environ, "PORTICO_RESOLVE": ""})
        self.assertEqual(done.returncode, 111)
        self.assertIn("127.0.0.1:1 Connection refused", done.stderr)

    def test_each_thing_lies_in_its_standard_place(self):
        for name in (
            "include/portico/ip/address.hpp", "include/portico/os/fd.hpp", "include/portico/run/listen.hpp",
            "share/man/man1/portico.1", "share/man/man5/portico.toml.5", "share/bash-completion/completions/portico",
            "share/zsh/site-functions/_portico", "share/fish/vendor_completions.d/portico.fish",
            "share/doc/portico/LICENSE", "share/doc/portico/README.md", "share/doc/portico/guide/listening.md",
        ):
            self.assertTrue((self.prefix / name).is_file(), name)

    def test_the_libraries_are_of_the_kind_that_was_asked_for(self):
        for room in ("core", "os", "run"):
            found = sorted(each.name for each in self.libdir.glob(f"libportico_{room}.*"))
            if KIND == "shared":
                self.assertIn(f"libportico_{room}.so", found)
                self.assertGreater(len(found), 2, "a version and a soname link")
            else:
                self.assertEqual(found, [f"libportico_{room}.a"])

    def test_no_package_file_names_the_place_of_the_build(self):
        for path in [*self.prefix.rglob("*.cmake"), *self.prefix.rglob("*.pc")]:
            text = path.read_text()
            for place in (self.first, ROOT):
                self.assertNotIn(str(place), text, path.name)

    def test_a_project_builds_with_find_package(self):
        build = self.place / "consumer"
        run("cmake", "-S", CONSUMER, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_CXX_COMPILER={COMPILER}", *launcher())
        run("cmake", "--build", build)
        self.assert_programs_work(build)

    def test_find_package_refuses_a_version_that_is_not_there(self):
        source = self.place / "future"
        source.mkdir()
        (source / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(future CXX)\nfind_package(portico 99 CONFIG REQUIRED)\n")
        with self.assertRaisesRegex(AssertionError, "99"):
            run("cmake", "-S", source, "-B", source / "build", "-G", "Ninja",
                f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={COMPILER}")

    def test_a_project_builds_with_pkg_config(self):
        build = self.place / "by_hand"
        build.mkdir()
        for room in ("core", "os", "run"):
            flags = run("pkg-config", "--cflags", "--libs", f"portico-{room}", env=self.environment).split()
            run(COMPILER, "-std=c++20", "-O0", CONSUMER / f"uses_{room}.cpp", "-o", build / f"uses_{room}", *flags)
        self.assert_programs_work(build, LD_LIBRARY_PATH=str(self.libdir))

    def test_portico_pc_is_all_of_them(self):
        flags = run("pkg-config", "--libs", "portico", env=self.environment)
        for room in ("core", "os", "run"):
            self.assertIn(f"-lportico_{room}", flags)

    def test_core_alone_asks_for_no_threads_and_no_asio(self):
        flags = run("pkg-config", "--cflags", "--libs", "portico-core", env=self.environment)
        self.assertNotIn("pthread", flags)
        self.assertNotIn("ASIO", flags)

    def assert_programs_work(self, build, **more):
        environment = {**os.environ, **more}
        self.assertEqual(run(build / "uses_core", env=environment), "core: 2 sockets\n")
        self.assertEqual(run(build / "uses_os", env=environment), "os: time goes on\n")
        self.assertEqual(run(build / "uses_run", env=environment), "run: connected\n")


if __name__ == "__main__":
    KIND = sys.argv.pop(1)
    unittest.main()
