"""The documents tell the truth about the command: its help, its options, its output, and each other."""

import os
import re
import shlex
import shutil
import subprocess
import unittest
from pathlib import Path

from screens import PORTICO, options_of, run, screen, valued_options_of, verbs

ROOT = Path(__file__).resolve().parent.parent.parent
MAN_PAGE = ROOT / "docs" / "man" / "portico.1"
MAN_PAGES = sorted((ROOT / "docs" / "man").iterdir())
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
PRIVATE = ["unshare", "--map-root-user", "--net", "sh", "-c"]
# Of a session that is run: the situation that it begins in (situations.py), and whether all of it is the same each time.
MARK = re.compile(r"<!-- run(?: in (?P<situation>\w+))?(?P<varies>, times and ports vary)? -->")
FAQ = ROOT / "docs" / "guide" / "socket-faq.md"


def relative(path):
    return str(path.relative_to(ROOT))


class Help(unittest.TestCase):
    def test_help_is_one_screen(self):
        lines = screen("--help").split("\n")[:-1]
        self.assertLessEqual(len(lines), 24)
        self.assertLessEqual(max(map(len, lines)), 80)

    def test_the_help_of_each_verb_fits_its_width(self):
        for verb in verbs():
            for line in screen(verb, "--help").split("\n"):
                self.assertLessEqual(len(line), 80, line)

    def test_help_all_has_the_help_of_each_verb(self):
        whole = screen("--help-all")
        self.assertTrue(whole.startswith(screen("--help")))
        for verb in verbs():
            self.assertIn(screen(verb, "--help"), whole)

    def test_every_option_has_a_text(self):
        for verb in verbs():
            for line in screen(verb, "--help").split("\noptions:\n")[1].split("\n\n")[0].strip("\n").split("\n"):
                self.assertRegex(line, r"^ {2}.*\S {2,}\S|^ {2}.{28,}$|^ {8,}\S", f"{verb}: {line}")

    def test_examples_of_the_help_are_of_its_verbs(self):
        used = re.findall(r"^  portico ([a-z]+)", screen("--help").split("examples:")[1], re.MULTILINE)
        self.assertEqual(sorted(set(used)), verbs())

    def test_no_arguments_is_a_mistake_that_shows_the_help(self):
        done = run()
        self.assertEqual((done.returncode, done.stdout), (100, ""))
        self.assertEqual(done.stderr, screen("--help") + "\nportico: a verb is missing; portico --help lists the verbs\n")

    def test_a_wrong_word_is_told_what_it_is_near(self):
        for words, said in (
            (["pln"], "portico: pln: there is no such verb; did you mean plan?\n    portico --help tells how to use it\n"),
            (["plan", "--jsn", ":80"], "portico: plan: --jsn: there is no such option; did you mean --json?\n"),
            (["--bogus"], "portico: --bogus: there is no such option\n"),
            (["plan", ":80", "-w"], "portico: plan: --timeout: its value is missing\n"),
            (["plan"], "portico: plan: ADDR is required\n    portico plan --help tells how to use it\n"),
        ):
            with self.subTest(words=words):
                done = run(*words)
                self.assertEqual((done.returncode, done.stdout), (100, ""))
                self.assertTrue(done.stderr.startswith(said), done.stderr)

    def test_the_version_is_the_project_s(self):
        version = re.search(r"project\(portico VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertEqual(screen("--version"), f"portico {version}\n")


class ManPage(unittest.TestCase):
    def section(self, verb):
        """The part of the page that tells of a verb."""
        parts = re.split(r"^\.Ss (.*)$", MAN_PAGE.read_text().split(".Sh VERBS\n")[1], flags=re.MULTILINE)
        told = {name.split()[-1]: text for name, text in zip(parts[1::2], parts[2::2])}
        self.assertIn(verb, told, "the man page does not tell of this verb")
        return re.split(r"^\.Sh ", told[verb], flags=re.MULTILINE)[0]

    def options(self, verb):
        """The options that have an entry of their own: .It Fl w , Fl -timeout Ar seconds"""
        found, valued = {"-h", "--help"}, set()
        for entry in re.findall(r"^\.It (Fl .*)$", self.section(verb), re.MULTILINE):
            names = re.findall(r"Fl (-?[A-Za-z0-9][A-Za-z0-9-]*)", entry.replace("\\-", "-"))
            found |= {f"-{each}" for each in names}
            valued |= {f"-{each}" for each in names if " Ar " in entry}
        return found, valued

    def test_the_page_has_the_verbs_of_the_command(self):
        told = re.findall(r"^\.Ss (?:portico )?([a-z]+)$", MAN_PAGE.read_text().split(".Sh VERBS\n")[1].split("\n.Sh ")[0],
                          re.MULTILINE)
        self.assertEqual(sorted(told), verbs())

    def test_the_page_has_the_options_of_each_verb(self):
        for verb in verbs():
            with self.subTest(verb=verb):
                self.assertEqual(sorted(self.options(verb)[0]), options_of(verb))

    def test_the_page_knows_which_of_them_take_a_value(self):
        for verb in verbs():
            with self.subTest(verb=verb):
                self.assertEqual(sorted(self.options(verb)[1]), sorted(valued_options_of(verb)))

    @unittest.skipUnless(shutil.which("mandoc"), "SKIPPED: there is no mandoc")
    def test_mandoc_has_nothing_to_say(self):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "style", *MAN_PAGES], capture_output=True, text=True, check=False)
        found = [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]
        self.assertEqual(found, [])


class Pages(unittest.TestCase):
    def test_links_lead_somewhere(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
                if "://" not in target:
                    self.assertTrue((page.parent / target).exists(), f"{relative(page)}: {target}")

    def test_files_that_are_named_are_there(self):
        named = re.compile(r"`((?:script|tools|docs|tests|fuzz|bench|examples|packaging|core|os|run|app|testkit|\.ci)/[^`\s*<]*)")
        for page in PAGES:
            for name in named.findall(page.read_text()):
                self.assertTrue(self.is_there(name), f"{relative(page)}: {name}")

    def is_there(self, name):
        """core/ip is short for core/src/ip or core/include/portico/ip, os/clock for a header."""
        room, rest = (name.split("/", 1) + [""])[:2]
        places = [ROOT / name, ROOT / room / "src" / rest, ROOT / room / "include" / "portico" / rest,
                  ROOT / room / "include" / "portico" / room / rest]
        return any(each.exists() or each.with_suffix(".hpp").exists() for each in places)

    def test_each_design_note_is_in_the_index(self):
        index = (ROOT / "docs/design/README.md").read_text()
        for note in sorted((ROOT / "docs/design").glob("[0-9]*.md")):
            self.assertIn(f"({note.name})", index)

    def test_the_python_of_the_guide_is_the_example(self):
        code = (ROOT / "examples/answer_broadcasts.py").read_text().split('"""')[2].lstrip("\n")
        self.assertIn(f"```python\n{code}```", (ROOT / "docs/guide/broadcast.md").read_text())

    def test_everything_is_ascii(self):
        for page in [*PAGES, *MAN_PAGES]:
            page.read_text(encoding="ascii")


def console_blocks():
    """(page, line number, its mark if it is to be run, text) of each ```console block."""
    for page in PAGES:
        lines = page.read_text().split("\n")
        start = None
        for number, line in enumerate(lines):
            if line == "```console":
                start = number
            elif line == "```" and start is not None:
                yield page, start + 1, MARK.fullmatch(lines[start - 1]), lines[start + 1:number]
                start = None


def commands(block):
    """(command line, the output below it) of a block; a command may go on behind a backslash."""
    found = []
    for line in block:
        if line.startswith("$ "):
            found.append([line[2:], []])
        elif found and found[-1][0].endswith("\\"):
            found[-1][0] = found[-1][0][:-1] + line.strip()
        elif found:
            found[-1][1].append(line)
    return found


def without_indentation(text):
    return re.sub(r"^ +", "", text, flags=re.MULTILINE)


def comparable(text, varies):
    """What has to be equal: all of it or, where the page says so, all but times, and the ports and pids that the kernel chooses."""
    if varies:
        text = re.sub(r"\b\d+(\.\d+)? m?s\b", "N s", text)
        text = re.sub(r":\d{5}\b", ":PORT", text)
        text = re.sub(r"\b(pid|kill|kill -CONT) \d+\b", r"\1 N", text)
    return text.rstrip("\n")


class Code(unittest.TestCase):
    """```cpp blocks of the guide are parts of the examples, which are compiled and run."""

    def test_code_of_the_guide_is_in_an_example(self):
        examples = [without_indentation(each.read_text()) for each in sorted((ROOT / "examples").rglob("*.cpp"))]
        seen = 0
        for page in sorted((ROOT / "docs" / "guide").iterdir()):
            for block in re.findall(r"^```cpp\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
                seen += 1
                self.assertTrue(any(without_indentation(block) in each for each in examples), f"{relative(page)}: {block}")
        self.assertGreater(seen, 0)


class Sessions(unittest.TestCase):
    """```console blocks: the commands are ones that exist, and what is marked <!-- run --> prints what is shown."""

    def test_every_command_uses_options_that_exist(self):
        seen = 0
        for page, line, _, block in console_blocks():
            for command, _ in commands(block):
                words = re.search(r"(?:^|[|&] *|script/run )portico ([a-z]+)(.*?)(?=$| [|&>]| -- )", command)
                if not words:
                    continue
                seen += 1
                where = f"{relative(page)}:{line}: {command}"
                self.assertIn(words.group(1), verbs(), where)
                known = options_of(words.group(1))
                for option in re.findall(r"(?<= )--?[a-z0-9][a-z0-9-]*", words.group(2).split(" -- ")[0]):
                    self.assertIn(option, known, where)
        self.assertGreater(seen, 0)

    def test_marked_sessions_print_what_is_shown(self):
        if subprocess.run([*PRIVATE, "ip link set lo up"], capture_output=True, check=False).returncode != 0:
            self.skipTest("SKIPPED: no private network namespace")
        seen = 0
        for page, line, marked, block in console_blocks():
            for command, shown in commands(block) if marked else []:
                with self.subTest(page=relative(page), line=line, command=command):
                    seen += 1
                    done = self.in_private(command, marked["situation"])
                    if done.returncode == 77 and done.stdout.startswith("SKIPPED"):
                        self.skipTest(done.stdout.strip())
                    varies = marked["varies"]
                    self.assertEqual(comparable(done.stdout, varies), comparable("\n".join(shown), varies))
                    if told := re.search(r"^  sure: .*, exit code (\d+)\)$", done.stdout, re.MULTILINE):
                        self.assertEqual(done.returncode, int(told[1]))
        self.assertGreater(seen, 0)

    def test_each_session_of_why_is_run(self):
        self.assertEqual([line for page, line, marked, _ in console_blocks() if page.name == "why.md" and not marked], [])

    def in_private(self, command, situation):
        """Runs a command of a page at the top of the sources, as somebody would who has built them."""
        if situation:
            command = shlex.join(["python3", "tests/docs/situations.py", situation, command])
        built = f"{Path(PORTICO).parent}:{os.environ['PORTICO_EXAMPLES']}:{os.environ['PORTICO_EXAMPLES']}/faq"
        return subprocess.run([*PRIVATE, f"ip link set lo up; exec 2>&1; {command}"], capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL, cwd=ROOT,
                              env={**os.environ, "PATH": f"{built}:{os.environ['PATH']}"})


class Faq(unittest.TestCase):
    """The guide to the questions of the Unix socket FAQ has them all, and shows all its examples."""

    def test_it_answers_every_question(self):
        asked = [f"{part}.{number}" for part, count in (("II", 20), ("III", 7), ("IV", 14)) for number in range(1, count + 1)]
        self.assertEqual(re.findall(r'^<a id="([^"]+)"></a>$', FAQ.read_text(), re.MULTILINE), asked)
        self.assertEqual(re.findall(r"^### (I+V?\.\d+) ", FAQ.read_text(), re.MULTILINE), asked)

    def test_every_answer_has_its_three_parts_and_an_example(self):
        for answer in re.split(r"^### ", FAQ.read_text(), flags=re.MULTILINE)[1:]:
            said = re.findall(r"^\*(Then|Now|portico):\*|^(<!-- run)", answer, re.MULTILINE)
            parts = [each for each, _ in said if each]
            self.assertEqual(parts[:3], ["Then", "Now", "portico"], answer)
            self.assertTrue(any(run for _, run in said), answer)

    def test_its_links_to_questions_lead_somewhere(self):
        linked = set(re.findall(r"\]\(#([^)]+)\)", FAQ.read_text()))
        self.assertEqual(linked - set(re.findall(r'<a id="([^"]+)"></a>', FAQ.read_text())), set())

    def test_every_example_is_run_and_shown(self):
        shown = "\n".join(command for page, _, marked, block in console_blocks() if marked and page == FAQ
                          for command, _ in commands(block))
        for example in sorted((ROOT / "examples" / "faq").glob("*.*")):
            if example.name not in ("lab.py", "CMakeLists.txt"):
                name = f"faq_{example.stem}" if example.suffix == ".cpp" else f"examples/faq/{example.name}"
                self.assertRegex(shown, rf"{re.escape(name)}\b")


class Scripts(unittest.TestCase):
    SCRIPTS = [*sorted((ROOT / "script").iterdir()), ROOT / ".ci" / "run", ROOT / "fuzz" / "run"]

    @unittest.skipUnless(shutil.which("shellcheck"), "SKIPPED: there is no shellcheck")
    def test_shellcheck_has_nothing_to_say(self):
        done = subprocess.run(["shellcheck", *self.SCRIPTS], capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout, "")

    def test_every_script_can_be_run_and_stops_at_a_failure(self):
        for path in self.SCRIPTS:
            self.assertTrue(path.stat().st_mode & 0o111, path)
            self.assertIn("set -euo pipefail", path.read_text(), path)

    def test_a_group_of_packages_that_is_not_there_is_a_mistake(self):
        done = subprocess.run([ROOT / "script/install-packages", "nope"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 100)
        self.assertIn("there is no group 'nope'", done.stderr)

    def test_the_list_of_packages_says_what_each_is_for(self):
        for line in (ROOT / "packaging/debian-packages").read_text().splitlines():
            if line and not line.startswith("#"):
                self.assertRegex(line, r"^(build|test|fuzz|tidy|bench|package) +[a-z0-9][a-z0-9+.-]+ +\S", line)


if __name__ == "__main__":
    unittest.main()
