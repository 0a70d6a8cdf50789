"""Does in a copy of examples/ what the README of an example says, and compares what it prints.

    tests/examples/run_readme.py NAME --quern PROGRAM --cc COMPILER --cxx COMPILER [--prefix FOLDER]

Lines that begin with "    $ " are commands for bash; the indented lines below one are what it
prints on standard output, with "..." for any lines. The commands find `quern`, `cc`, `c++` and
`python3` on the PATH. Exit code 77 when Python lacks a module that --needs names.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
SKIPPED = 77


def read_steps(text):
    """The commands of a README, each with the lines that it prints."""
    steps = []
    # A block begins and ends with a line that is not indented.
    for block in re.findall(r"(?:^    .*\n)+", text, re.M):
        for line in block.splitlines():
            line = line[4:]
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif steps and steps[-1][0].endswith("\\"):
                command, printed = steps[-1]
                steps[-1] = (f"{command}\n{line}", printed)
            elif steps:
                steps[-1][1].append(line)
    return steps


def matches(wanted, found):
    """Whether lines are as wanted, where "..." stands for any number of them."""
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in wanted)
    return re.fullmatch(pattern, "".join(line + "\n" for line in found)) is not None


def check_module(python, names):
    for name in names:
        if subprocess.run([python, "-c", f"import {name}"], stderr=subprocess.DEVNULL).returncode:
            print(f"skipped: {python} has no module {name}")
            sys.exit(SKIPPED)


def make_tools(folder, arguments):
    """A folder of programs with the names that a README calls them by."""
    folder.mkdir()
    for name, path in (("quern", arguments.quern), ("cc", arguments.cc), ("c++", arguments.cxx),
                       ("python3", arguments.python)):
        (folder / name).write_text(f'#!/bin/sh\nexec {path} "$@"\n')
        (folder / name).chmod(0o755)


def run_step(command, wanted, folder, environment):
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", command], cwd=folder, env=environment,
                          text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    print(f"$ {command}\n{done.stdout}", end="")
    if done.returncode:
        sys.exit(f"exit code {done.returncode}")
    if not matches(wanted, done.stdout.splitlines()):
        sys.exit("the README says that it prints\n" + "\n".join(wanted))


def self_check():
    """A runner that sees no commands, or lets everything match, would pass all."""
    text = "Do:\n\n    $ a \\\n      b\n    one\n    ...\n\nand\n\n    $ c\n\n    no command\n"
    assert read_steps(text) == [("a \\\n  b", ["one", "..."]), ("c", ["no command"])]
    assert matches(["one", "..."], ["one", "two"]) and matches(["..."], [])
    assert not matches(["one"], ["two"]) and not matches([], ["one"])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--quern", required=True)
    parser.add_argument("--cc", required=True)
    parser.add_argument("--cxx", required=True)
    parser.add_argument("--prefix", default="", help="where CMake finds Quern")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--needs", nargs="*", default=[], help="Python modules")
    arguments = parser.parse_args()
    self_check()
    check_module(arguments.python, arguments.needs)
    steps = read_steps((EXAMPLES / arguments.name / "README.md").read_text())
    if not steps:
        sys.exit(f"examples/{arguments.name}/README.md has no commands")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("build"))
        make_tools(folder / "bin", arguments)
        environment = dict(os.environ, PATH=f"{folder / 'bin'}:{os.environ['PATH']}",
                           CC=arguments.cc, CXX=arguments.cxx, CMAKE_PREFIX_PATH=arguments.prefix)
        for command, wanted in steps:
            run_step(command, wanted, folder / "examples" / arguments.name, environment)
    return 0


if __name__ == "__main__":
    sys.exit(main())
