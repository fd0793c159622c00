"""The completions load in their shells and offer exactly the verbs and options that --help tells of."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from screens import PORTICO, options_of, verbs

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ROOT / "packaging" / "completions"


def shell(name, script):
    """What the shell prints, with portico on its path and no start-up file of the user's."""
    with tempfile.TemporaryDirectory() as home:
        os.symlink(PORTICO, Path(home) / "portico")
        environment = {**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home,
                       "PATH": f"{home}:{os.environ['PATH']}", "TERM": "dumb"}
        quiet = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
        done = subprocess.run([name, *quiet, "-c", script], capture_output=True, text=True, env=environment,
                              cwd=home, check=False)
    if done.stderr.strip():
        raise AssertionError(f"{name} complains: {done.stderr}")
    return done.stdout


def interfaces():
    return sorted(os.listdir("/sys/class/net"))


class Completions:
    """The same expectations of each shell; words are what was typed, the last one is being completed."""

    def test_verbs(self):
        self.assertEqual(self.offers(""), verbs())
        self.assertEqual(self.offers("li"), [each for each in verbs() if each.startswith("li")])

    def test_options_of_each_verb(self):
        for verb in verbs():
            with self.subTest(verb=verb):
                self.assertEqual(self.offers(verb, "--"), [each for each in options_of(verb) if each.startswith("--")])

    def test_interfaces(self):
        self.assertEqual(self.offers("addrs", ""), interfaces())

    def test_where_to_listen(self):
        expected = sorted(["localhost:", "unix:/", *(f"@{each}:" for each in interfaces())])
        self.assertEqual(self.offers("plan", ""), expected)

    def test_behind_two_dashes_is_a_program(self):
        self.assertIn("unshare", self.offers("listen", ":80", "--", "unsha"))


@unittest.skipUnless(shutil.which("bash"), "SKIPPED: there is no bash")
class Bash(Completions, unittest.TestCase):
    def offers(self, *words):
        listed = " ".join(f"'{each}'" for each in ("portico", *words))
        return sorted(shell("bash", f"""
            source '{FILES}/portico.bash'
            COMP_WORDS=({listed}) COMP_CWORD={len(words)}
            _portico
            ((${{#COMPREPLY[@]}} == 0)) || printf '%s\\n' "${{COMPREPLY[@]}}" """).split("\n")[:-1])

    def test_it_is_registered_for_portico(self):
        self.assertIn("-F _portico portico", shell("bash", f"source '{FILES}/portico.bash'; complete -p portico"))

    def test_the_value_of_an_option_is_a_file(self):
        self.assertEqual(self.offers("plan", "--mode", ""), ["portico"])

    @unittest.skipUnless(Path("/usr/share/bash-completion/bash_completion").exists(), "SKIPPED: no bash-completion")
    def test_it_loads_beside_bash_completion(self):
        self.assertIn("_portico", shell("bash", f"""
            source /usr/share/bash-completion/bash_completion
            source '{FILES}/portico.bash'
            complete -p portico"""))


@unittest.skipUnless(shutil.which("zsh"), "SKIPPED: there is no zsh")
class Zsh(Completions, unittest.TestCase):
    # The completion system's own functions only work inside the line editor; these stand for them and print.
    STANDS_IN = r"""
        _describe() { while [[ $1 != found ]]; do shift; done; print -rl -- ${found%%:*} }
        compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -rl -- $@ }
        _files() { print -rl -- *(N) }
        _normal() { print -rl -- ${(k)commands[(I)$words[CURRENT]*]} }
        _hosts() { print localhost }
    """

    def offers(self, *words):
        listed = " ".join(f"'{each}'" for each in ("portico", *words))
        found = shell("zsh", f"""{self.STANDS_IN}
            words=({listed}) CURRENT={len(words) + 1}
            source '{FILES}/_portico'""").split("\n")[:-1]
        return sorted(each for each in found if each.startswith(words[-1]))

    def test_it_is_registered_for_portico(self):
        self.assertEqual(shell("zsh", f"""
            fpath=('{FILES}' $fpath)
            autoload -Uz compinit && compinit -u -D
            print -r -- $_comps[portico]"""), "_portico\n")

    def test_the_value_of_an_option_is_a_file(self):
        self.assertEqual(self.offers("plan", "--mode", ""), ["portico"])

    def test_texts_keep_their_colons(self):
        self.assertIn(r"\:", shell("zsh", f"""_describe() {{ print -rl -- $found }}
            words=(portico addrs --j) CURRENT=3
            source '{FILES}/_portico'"""))


@unittest.skipUnless(shutil.which("fish"), "SKIPPED: there is no fish")
class Fish(Completions, unittest.TestCase):
    def offers(self, *words):
        line = " ".join(["portico", *words])
        found = shell("fish", f"source '{FILES}/portico.fish'; complete -C '{line}'").split("\n")[:-1]
        return sorted(re.split(r"\t", each)[0] for each in found)

    def test_where_to_listen(self):
        found = self.offers("plan", "")
        self.assertLessEqual({"localhost:", *(f"@{each}:" for each in interfaces())}, set(found))


if __name__ == "__main__":
    unittest.main()
