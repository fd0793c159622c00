"""What the command itself says: its verbs and their options, read from --help."""

import os
import re
import subprocess

PORTICO = os.environ["PORTICO"]


def run(*arguments, **more):
    return subprocess.run([PORTICO, *arguments], capture_output=True, text=True, check=False, **more)


def screen(*arguments):
    done = run(*arguments)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"portico {' '.join(arguments)}: exit code {done.returncode}: {done.stderr}")
    return done.stdout


def verbs():
    listed = screen("--help").split("\nexamples:")[0]
    return sorted(re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE))


def options_of(verb):
    """Every name of every option: -h, --help, ..."""
    listed = screen(verb, "--help").split("\noptions:\n")[1].split("\n\n")[0]
    found = []
    for line in listed.split("\n"):
        if re.match(r" {2}( {4})?-", line):
            found += re.findall(r"(?<![\w-])--?[a-z0-9][a-z0-9-]*", re.split(r" {2,}", line.strip())[0])
    return sorted(found)


def valued_options_of(verb):
    """The names of the options that take a value."""
    listed = screen(verb, "--help").split("\noptions:\n")[1].split("\n\n")[0]
    found = set()
    for line in listed.split("\n"):
        if re.match(r" {2}( {4})?-", line):
            names = re.split(r" {2,}", line.strip())[0].replace(",", "").split()
            if not names[-1].startswith("-"):
                found |= {each for each in names if each.startswith("-")}
    return found
