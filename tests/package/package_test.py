"""The Debian packages: what is in them, and that they come and go without a trace.

script/package makes them of the build that the environment names (BUILD_DIR). They are installed into a directory, and
into a machine that systemd runs (machine.py); this system's own packages are never touched.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from machine import Machine, why_not

ROOT = Path(__file__).resolve().parent.parent.parent
PORTICO = os.environ["PORTICO"]
NO_MACHINE = why_not()
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def run(*command, **more):
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False,
                          **{"stdin": subprocess.DEVNULL, **more})
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def setUpModule():
    global PLACE, COMMAND, DEVELOPMENT
    for tool in ("dh", "dpkg-deb", "dpkg-shlibdeps"):
        if not shutil.which(tool):
            print(f"SKIPPED: there is no {tool}; script/install-packages package", file=sys.stderr)
            sys.exit(77)
    PLACE = Path(tempfile.mkdtemp(prefix="portico-package."))
    unittest.addModuleCleanup(shutil.rmtree, PLACE)
    made = run(ROOT / "script/package", "--from", os.environ["BUILD_DIR"], PLACE / "made",
               env={**os.environ, "DEB_BUILD_OPTIONS": "noautodbgsym", "DPKG_DEB_COMPRESSOR_TYPE": "none"}).split()
    COMMAND = next(each for each in made if Path(each).name.startswith("portico_"))
    DEVELOPMENT = next(each for each in made if Path(each).name.startswith("libportico-dev_"))


def files(package):
    """What a package installs, without directories: path, mode and owner."""
    lines = [line.split(None, 5) for line in run("dpkg-deb", "-c", package).splitlines()]
    return {line[5].removeprefix("."): (line[0], line[1]) for line in lines if not line[0].startswith("d")}


def field(package, name):
    return run("dpkg-deb", "-f", package, name).strip()


class Contents(unittest.TestCase):
    def test_the_version_is_the_project_s(self):
        version = re.search(r"project\(portico VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertEqual(field(COMMAND, "Version"), version + "-1")
        self.assertEqual(field(DEVELOPMENT, "Version"), version + "-1")

    def test_each_library_that_is_linked_is_asked_for(self):
        asked = field(COMMAND, "Depends")
        linked = run("ldd", PORTICO)
        self.assertIn("libc6 (>= ", asked)
        for library, package in (("libfmt.so", "libfmt9"), ("libspdlog.so", "libspdlog1"), ("libseccomp.so", "libseccomp2"),
                                 ("libboost_json.so", "libboost-json1.81")):
            self.assertEqual(library in linked, package in asked, f"{library}: {asked}")
        self.assertIn("systemd-sysusers", asked, "who makes the user")

    def test_the_command_and_all_that_belongs_to_it_is_there(self):
        found = files(COMMAND)
        for path in (
            "/usr/bin/portico", "/usr/libexec/portico/portico-resolve",
            "/usr/share/man/man1/portico.1.gz", "/usr/share/man/man5/portico.toml.5.gz",
            "/usr/share/bash-completion/completions/portico", "/usr/share/zsh/vendor-completions/_portico",
            "/usr/share/fish/vendor_completions.d/portico.fish",
            "/lib/systemd/system/portico.service", "/lib/systemd/system/portico@.service",
            "/lib/systemd/system/portico.socket", "/usr/lib/sysusers.d/portico.conf", "/usr/lib/tmpfiles.d/portico.conf",
            "/etc/portico/portico.toml", "/usr/share/doc/portico/guide/listening.md",
            "/usr/share/doc/portico/examples/serve/portico.toml", "/usr/share/doc/portico/copyright",
            "/usr/share/doc/portico/changelog.gz",
        ):
            self.assertIn(path, found)
        self.assertEqual([each for each in found if each.endswith((".a", ".hpp", ".pc", ".cmake"))], [])

    def test_everything_is_root_s_and_only_programs_can_be_run(self):
        for package in (COMMAND, DEVELOPMENT):
            for path, (mode, owner) in files(package).items():
                program = path.startswith(("/usr/bin/", "/usr/libexec/"))
                self.assertEqual((mode, owner), ("-rwxr-xr-x" if program else "-rw-r--r--", "root/root"), path)

    def test_the_configuration_is_the_example_and_belongs_to_the_administrator(self):
        place = PLACE / "contents"
        run("dpkg-deb", "-R", COMMAND, place)
        self.assertEqual((place / "DEBIAN/conffiles").read_text(), "/etc/portico/portico.toml\n")
        self.assertEqual((place / "etc/portico/portico.toml").read_text(), (ROOT / "examples/serve/portico.toml").read_text())
        self.assertTrue((place / "etc/portico/conf.d").is_dir())

    def test_the_libraries_come_with_what_they_need(self):
        found = " ".join(files(DEVELOPMENT))
        for name in ("/usr/include/portico/ip/address.hpp", "libportico_core.a", "libportico_os.a", "libportico_run.a",
                     "portico-run.pc", "portico-config.cmake"):
            self.assertIn(name, found)
        self.assertNotIn("/usr/bin", found)
        for asked in re.findall(r"^find_dependency\(([^\s)]+)|^Libs:.*-l(seccomp)",
                                (ROOT / "cmake/portico-config.cmake.in").read_text()
                                + (ROOT / "packaging/pkgconfig/portico-os.pc.in").read_text(), re.MULTILINE):
            package = {"tl-expected": "libexpected-dev", "Boost": "libboost1.81-dev", "seccomp": "libseccomp-dev",
                       "Threads": ""}["".join(asked)]
            self.assertIn(package, field(DEVELOPMENT, "Depends"))

    def test_portico_at_is_portico_service_for_another_file(self):
        def lines(name):
            text = (ROOT / "packaging/systemd" / name).read_text().split("[Unit]\n")[1]
            return [line for line in text.splitlines() if not line.startswith("#")]

        instance = [line.replace(" (%i)", "").replace("/%i/", "/").replace("=portico/%i", "=portico")
                    for line in lines("portico@.service")]
        self.assertEqual(instance, lines("portico.service"))

    @unittest.skipUnless(shutil.which("lintian"), "SKIPPED: there is no lintian; script/install-packages package")
    def test_lintian_has_nothing_to_say(self):
        # How script/package compiles and compresses is not seen here.
        besides = ("hardening-no-bindnow,hardening-no-fortify-functions,"
                   "uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball")
        said = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags", besides, COMMAND],
                              capture_output=True, text=True, check=False)
        self.assertEqual((said.returncode, said.stdout), (0, ""), said.stderr)


def tree(root):
    """All that lies in a directory, without what dpkg keeps of its own: path, kind, mode, owner, and contents."""
    found = {}
    for at, directories, names in os.walk(root):
        for name in directories + names:
            path = Path(at) / name
            short = "/" + str(path.relative_to(root))
            if short.startswith(("/var/lib/dpkg", "/var/log/dpkg.log")):
                continue
            about = path.lstat()
            what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else about.st_rdev
            found[short] = (oct(about.st_mode), about.st_uid, about.st_gid, what)
    return found


class InADirectory(unittest.TestCase):
    """dpkg installs into a directory, and the package's scripts are told so (DPKG_ROOT): needs no rights at all."""

    def setUp(self):
        self.root = PLACE / "directory"
        database = self.root / "var/lib/dpkg"
        for each in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/lib/systemd", "run", "etc"):
            (self.root / each).mkdir(parents=True)
        self.addCleanup(shutil.rmtree, self.root)
        # What is installed here is there for it as well, so dependencies are dependencies.
        shutil.copy("/var/lib/dpkg/status", database / "status")
        for name in ("passwd", "group"):
            (self.root / "etc" / name).write_text("root:x:0:\n" if name == "group" else "root:x:0:0:root:/root:/bin/sh\n")

    def dpkg(self, *words):
        root = [] if os.geteuid() == 0 else ["--force-not-root"]
        return run("dpkg", f"--root={self.root}", "--force-script-chrootless", "--force-unsafe-io", *root, *words,
                   env={**os.environ, "PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"})

    def test_it_works_from_there_and_leaves_nothing_behind(self):
        before = tree(self.root)
        self.dpkg("--install", COMMAND)
        command = self.root / "usr/bin/portico"
        self.assertRegex(run(command, "--version"), r"^portico \d+\.\d+\.\d+\n$")
        self.assertIn("service hello", run(command, "serve", self.root / "etc/portico/portico.toml", "--check"))
        self.assertRegex((self.root / "etc/passwd").read_text(), r"(?m)^portico:x:\d+:\d+:[^:]*:/:/usr/sbin/nologin$")
        self.assert_it_answers(command)

        self.dpkg("--remove", "portico")
        left = sorted(set(tree(self.root)) - set(before))
        self.assertIn("/etc/portico/portico.toml", left, "removing keeps the configuration")
        self.assertEqual([each for each in left if each.startswith(("/usr/bin", "/usr/libexec", "/lib"))], [])

        self.dpkg("--purge", "portico")
        after = tree(self.root)
        # The user stays, so that its files never become another user's.
        for name in ("passwd", "shadow", "group", "gshadow"):
            for which in (before, after):
                which.pop(f"/etc/{name}", None)
                which.pop(f"/etc/{name}-", None)
        after.pop("/etc/.pwd.lock", None)
        self.assertEqual({path: after[path] for path in after if before.get(path) != after[path]}, {})
        self.assertEqual(set(before) - set(after), set())

    def assert_it_answers(self, command):
        listener = subprocess.Popen([command, "listen", f"unix:{self.root}/hello", "--hello"], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True)
        with listener:
            self.assertEqual(listener.stdout.readline(), f"listening unix:{self.root}/hello\n")
            self.assertIn("hello from portico", run(command, "dial", f"unix:{self.root}/hello"))
            listener.terminate()
        self.assertEqual(listener.returncode, 0)

    def test_the_libraries_come_and_go_too(self):
        before = tree(self.root)
        self.dpkg("--force-depends", "--install", DEVELOPMENT)
        self.assertTrue((self.root / "usr/include/portico/ip/address.hpp").is_file())
        self.dpkg("--purge", "libportico-dev")
        self.assertEqual(tree(self.root), before)

ECHO = """
[service.echo]
listen = ":%d"
builtin = "echo"
both-families = true
"""


@unittest.skipIf(NO_MACHINE, f"SKIPPED: {NO_MACHINE}")
class UnderSystemd(unittest.TestCase):
    """dpkg installs into a machine, and systemd runs what was installed."""

    def setUp(self):
        self.machine = Machine()
        self.addCleanup(self.machine.stop)
        shutil.copy(COMMAND, self.machine.share / "portico.deb")
        self.install("portico.deb")

    def install(self, name):
        # Without triggers, for the index of this system's man pages would be made anew each time.
        self.machine.do("dpkg", "--no-triggers", "--force-confold", "--force-unsafe-io", "--install", f"/run/test/{name}")

    def systemctl(self, *words):
        return self.machine.do("systemctl", "--no-pager", *words)

    def configure(self, text, file="portico.toml"):
        self.machine.write(f"/etc/portico/{file}", text)

    def answers(self, port, family="-6", **more):
        """What is said on a connection at which nothing is asked."""
        return self.machine.do("portico", "dial", family, "localhost", port)

    def until(self, what):
        """There is no end to it but that of the whole test."""
        while not what():
            time.sleep(0.02)

    def session(self, port):
        """A client of the service echo, that stays."""
        client = subprocess.Popen(self.machine.enter("portico", "dial", "localhost", port), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, bufsize=1)
        self.addCleanup(self.end, client)
        self.say(client, "first")
        return client

    def say(self, client, words):
        client.stdin.write(words + "\n")
        self.assertEqual(client.stdout.readline(), words + "\n")

    def end(self, client):
        client.stdin.close()
        client.stdout.close()
        client.wait()

    def errors(self, unit="portico"):
        """What the journal has of it, as lines of its own and of the priority error at least."""
        self.machine.do("journalctl", "--sync")
        return self.machine.do("journalctl", f"_SYSTEMD_UNIT={unit}.service", "-p", "err", "-o", "cat")

    def main(self, unit="portico"):
        return int(self.machine.show(unit, "MainPID"))

    def test_installing_starts_nothing_and_the_units_are_sound(self):
        for unit in ("portico.service", "portico.socket"):
            self.assertEqual(self.machine.run("systemctl", "is-enabled", unit).stdout, "disabled\n")
            self.assertEqual(self.machine.run("systemctl", "is-active", unit).stdout, "inactive\n")
        said = self.machine.run("systemd-analyze", "--man=no", "verify", "portico.service", "portico.socket",
                                "portico@web.service")
        self.assertEqual((said.returncode, said.stdout, said.stderr), (0, "", ""))
        self.assertEqual(self.machine.do("stat", "-c", "%U:%G %a", "/run/portico"), "portico:portico 755\n")

    def test_it_has_started_when_it_listens_on_a_port_below_1024(self):
        self.configure(ECHO % 80)
        self.systemctl("start", "portico")
        client = self.session(80)
        status = dict(line.split(":\t", 1) for line in
                      self.machine.do("cat", f"/proc/{self.main()}/status").splitlines())
        self.assertEqual(set(status["Uid"].split()), {self.machine.do("id", "-u", "portico").strip()})
        for rights in ("CapEff", "CapBnd"):
            self.assertEqual(int(status[rights], 16), 1 << 10, f"{rights}: CAP_NET_BIND_SERVICE alone")
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        # TERM lets the session end, and no new one begins.
        stopping = subprocess.Popen(self.machine.enter("systemctl", "stop", "portico"))
        self.until(lambda: self.machine.run("portico", "dial", "-z", "localhost", 80).returncode == 111)
        self.say(client, "still here")
        self.end(client)
        self.assertEqual(stopping.wait(), 0)
        self.assertEqual(self.machine.show("portico", "Result"), "success")

    def test_programs_can_do_what_programs_do_and_cannot_write_elsewhere(self):
        self.machine.write("/usr/local/bin/tells", """#!/bin/sh
            exec 2>&1
            id -un
            tmp=$(mktemp) && echo words >$tmp && cat $tmp
            python3 -c 'import ctypes, os, pty, socket, threading
pid, terminal = pty.fork()
if pid == 0: os._exit(0)
t = threading.Thread(target=print, args=["thread"]); t.start(); t.join()
socket.socket(socket.AF_INET, socket.SOCK_DGRAM); socket.socket(socket.AF_UNIX); print("python", os.waitpid(pid, 0)[1])'
            echo >/run/portico/mine && echo socket
            (echo >/var/lib/portico) 2>/dev/null || echo refused
            ls /dev/mem /home/* 2>/dev/null || echo hidden
            ps -o comm= -p 1
            """)
        self.machine.do("chmod", "755", "/usr/local/bin/tells")
        self.configure('[service.tells]\nlisten = "localhost:7000"\nprogram = ["tells"]\n')
        self.systemctl("start", "portico")
        self.assertEqual(self.answers(7000).split("\n"),
                         ["portico", "words", "thread", "python 0", "socket", "refused", "hidden", "systemd", ""])

    def test_programs_become_other_users_where_a_drop_in_allows_it(self):
        # Each says who it is and which capabilities it has.
        tells = '"sh", "-c", "id -un; grep CapEff: /proc/self/status"]'
        self.configure(f"""
            [service.other]
            listen = "localhost:7010"
            program = [{tells}
            user = "nobody"
            [service.own]
            listen = ["localhost:7011", "unix:/run/portico/own"]
            program = [{tells}
            """)
        self.assertEqual(self.machine.run("systemctl", "start", "portico").returncode, 1)
        self.assertIn("CAP_SETGID", self.errors())
        guide = (ROOT / "docs/guide/systemd.md").read_text()
        self.machine.write("/etc/systemd/system/portico.service.d/users.conf",
                           re.search(r"```ini\n(\[Service\]\n# users\n.*?)```", guide, re.DOTALL).group(1))
        self.machine.write("/etc/portico/conf.d/user.toml", '[serve]\nuser = "portico"\n')
        self.systemctl("daemon-reload")
        self.systemctl("start", "portico")
        self.assertEqual(self.answers(7010), f"nobody\nCapEff:\t{0:016x}\n")
        self.assertEqual(self.answers(7011), f"portico\nCapEff:\t{0:016x}\n")
        # A new process would be without rights from its start: there is no handover, and this one goes on.
        before = self.main()
        self.systemctl("kill", "--kill-whom=main", "--signal=USR2", "portico")
        self.until(lambda: "not handed over" in self.errors())
        self.assertEqual(self.main(), before)
        self.assertIn("nobody", self.answers(7010))

    def test_a_reload_changes_what_has_changed_and_a_wrong_file_nothing(self):
        self.configure(ECHO % 7001)
        self.systemctl("start", "portico")
        client = self.session(7001)
        process = self.main()
        self.configure(ECHO % 7002)
        self.systemctl("reload", "portico")
        self.until(lambda: self.machine.run("portico", "dial", "-z", "localhost", 7002).returncode == 0)
        self.say(client, "over the reload")
        self.configure("[service.echo]\nlisten = 7\n")
        self.systemctl("reload", "portico")
        self.until(lambda: "not reloaded" in self.errors())
        self.assertNotIn("level=info", self.errors())
        self.assertIn("level=info", self.machine.do("journalctl", "-u", "portico", "-p", "info"))
        self.session(7002)
        self.assertEqual(self.main(), process)
        self.assertEqual(self.machine.show("portico", "ActiveState"), "active")

    def test_a_handover_makes_another_process_the_main_one(self):
        self.configure(ECHO % 7003)
        self.systemctl("start", "portico")
        client = self.session(7003)
        before = self.main()
        self.systemctl("kill", "--kill-whom=main", "--signal=USR2", "portico")
        self.until(lambda: self.main() != before)
        self.end(self.session(7003))
        self.say(client, "over the handover")
        self.end(client)
        self.until(lambda: self.machine.run("test", "-d", f"/proc/{before}").returncode == 1)
        self.assertEqual(self.machine.show("portico", "ActiveState"), "active")
        # The manager knows the new one as its own: it is the one that is stopped.
        self.systemctl("stop", "portico")
        self.assertEqual(self.machine.show("portico", "Result"), "success")

    def test_an_upgrade_hands_over_to_the_new_program(self):
        place = PLACE / "upgrade"
        run("dpkg-deb", "-R", COMMAND, place)
        control = place / "DEBIAN/control"
        control.write_text(re.sub(r"(?m)^Version: .*$", r"\g<0>+later", control.read_text()))
        run("dpkg-deb", "--root-owner-group", "-b", place, self.machine.share / "later.deb")
        self.configure(ECHO % 7004)
        self.configure(ECHO % 7005, "other/portico.toml")
        self.systemctl("start", "portico", "portico@other")
        clients = [self.session(7004), self.session(7005)]
        before = [self.main(), self.main("portico@other")]
        self.install("later.deb")
        self.until(lambda: self.main() != before[0] and self.main("portico@other") != before[1])
        for client in clients:
            self.say(client, "over the upgrade")
        self.assertNotIn("(deleted)", self.machine.do("readlink", f"/proc/{self.main()}/exe"))

    def test_sockets_of_the_manager_start_the_service(self):
        self.configure('[service.web]\nlisten = "sd:web"\nrequired = true\nbuiltin = "hello"\n')
        self.systemctl("start", "portico.socket")
        self.assertEqual(self.machine.run("systemctl", "is-active", "portico.service").stdout, "inactive\n")
        self.assertRegex(self.answers(80, "-4"), r"this is 127\.0\.0\.1:80, over IPv4")
        self.assertRegex(self.answers(80, "-6"), r"this is \[::1\]:80, over IPv6")
        self.assertEqual(self.machine.show("portico", "ActiveState"), "active")

    def test_a_mistake_in_the_configuration_is_not_tried_again(self):
        self.configure("[service.echo]\nlistn = 7\n")
        self.assertEqual(self.machine.run("systemctl", "start", "portico").returncode, 1)
        self.assertEqual([self.machine.show("portico", each) for each in ("ActiveState", "ExecMainStatus", "NRestarts")],
                         ["failed", "100", "0"])
        self.assertIn("did you mean 'listen'?", self.errors())

    def test_what_keeps_listen_from_starting_is_an_error_in_the_journal_too(self):
        for number, (wrong, said) in enumerate((("--ecko", "--echo"), (":80", "what is to answer"))):
            unit = f"listens-{number}"
            self.machine.write(f"/etc/systemd/system/{unit}.service",
                               f"[Service]\nType=oneshot\nExecStart=portico listen {wrong}\n")
            self.assertEqual(self.machine.run("systemctl", "start", unit).returncode, 1)
            self.assertEqual(self.machine.show(unit, "ExecMainStatus"), "100")
            self.assertIn(said, self.errors(unit))

    def test_a_killed_one_is_started_again(self):
        self.configure(ECHO % 7006)
        self.systemctl("start", "portico")
        before = self.main()
        self.systemctl("kill", "--signal=KILL", "portico")
        self.until(lambda: self.main() not in (0, before) and self.machine.show("portico", "ActiveState") == "active")
        self.session(7006)

    def test_purging_leaves_nothing_behind(self):
        self.machine.do("dpkg", "--no-triggers", "--purge", "portico")
        before = self.written()
        self.install("portico.deb")
        self.configure('[service.web]\nlisten = "sd:web"\nbuiltin = "hello"\n' + ECHO % 7007)
        self.configure(ECHO % 7008, "other/portico.toml")
        self.systemctl("enable", "--now", "portico.socket")
        self.systemctl("enable", "--now", "portico.service", "portico@other.service")
        self.machine.do("dpkg", "--no-triggers", "--remove", "portico")
        self.assertEqual(self.machine.do("systemctl", "list-units", "--plain", "--no-legend", "portico*"), "")
        self.machine.do("rm", "-r", "/etc/portico/other")  # the administrator's own
        self.machine.do("dpkg", "--no-triggers", "--purge", "portico")
        self.assertEqual(self.written(), before)
        self.assertEqual(self.machine.run("ls", "/run/portico").returncode, 2)

    def written(self):
        """What differs from this system's files, without the records of dpkg and systemd-sysusers."""
        # /var/tmp itself is told of when a PrivateTmp= was in it, and is as it was.
        besides = ("/var/lib/dpkg", "/var/log/dpkg.log", "/var/cache/man", "/etc/passwd", "/etc/shadow", "/etc/group",
                   "/etc/gshadow", "/etc/.pwd.lock", "/tmp", "/run", "/var/tmp d 1777 0:0")
        listed = self.machine.do("sh", "-c", "cd /run/upper && find . -printf '/%P %y %m %U:%G %l\\n' | sort")
        return [each for each in listed.splitlines() if not each.startswith(besides)]


if __name__ == "__main__":
    unittest.main()
