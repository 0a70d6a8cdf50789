"""Completion scripts and the manual page: made from the parser, so all of it must be in them."""

import pathlib
import re
import shutil
import subprocess
import unittest

from cli import QUERN, USAGE, CliTest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHELLS = ("bash", "zsh", "fish")


class Completion(CliTest):
    def setUp(self):
        super().setUp()
        for shell in SHELLS:
            (self.folder / shell).write_text(self.quern("completion", shell)[0])
        (self.folder / "quern.1").write_text(self.quern("manual")[0])

    def verbs(self):
        """The verbs that the help shows, each with its options."""
        out, _ = self.quern("--help")
        names = re.findall(r"^  ([a-z]+) ", out.split("Subcommands:")[1], re.M)
        self.assertGreater(len(names), 8)
        self.assertNotIn("manual", names)
        return {name: re.findall(r"^  (-[-\w,]+)", self.quern(name, "--help")[0], re.M)
                for name in names}

    def complete(self, *words):
        """What bash offers for the last of these words."""
        script = f"source ./bash; COMP_WORDS=(quern {' '.join(words)}); COMP_CWORD={len(words)}; " \
                 "_quern; printf '%s\\n' \"${COMPREPLY[@]}\""
        done = subprocess.run(["bash", "-c", script], cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        self.assertEqual(done.stderr, "")
        return sorted(done.stdout.split())

    def test_scripts_parse(self):
        for shell in SHELLS:
            with self.subTest(shell):
                if not shutil.which(shell):
                    self.skipTest(f"there is no {shell}")
                subprocess.run([shell, "-n", shell], cwd=self.folder, check=True)

    def test_every_verb_and_option_is_there(self):
        page = (self.folder / "quern.1").read_text().replace("\\-", "-")
        scripts = {shell: (self.folder / shell).read_text() for shell in SHELLS}
        for verb, options in self.verbs().items():
            self.assertIn(f".SS {verb}\n", page)
            self.assertRegex(scripts["bash"], rf"\b{verb}:-\*\)")
            self.assertIn(f"    {verb})\n", scripts["zsh"])
            self.assertIn(f"-a {verb} ", scripts["fish"])
            self.assertGreater(len(options), 4)
            offered = set(self.complete(verb, "-"))
            zsh = scripts["zsh"].split(f"    {verb})\n")[1].split(";;")[0]
            for name in (name for names in options for name in names.split(",")):
                self.assertIn(name, offered)
                self.assertIn(f"\\fB{name}\\fR", page)
                self.assertIn(f"{name}[" if f"{name}[" in zsh else f"{name}", zsh)
                self.assertRegex(scripts["fish"], rf"subcommand_from {verb}'.* -[ls] "
                                                  rf"{name.lstrip('-')} ")

    def test_bash_completes(self):
        self.assertEqual(self.complete("ru"), ["run"])
        self.assertEqual(self.complete("comp"), ["compare", "compile", "completion"])
        self.assertEqual(self.complete("run", "--back"), ["--backend"])
        self.assertEqual(self.complete("run", "--backend", "n"), ["native"])
        self.assertEqual(self.complete("run", "--backend", "=", "i"), ["interpreter"])
        self.assertEqual(self.complete("run", "--color", "="), ["always", "auto", "never"])
        self.assertEqual(self.complete("run", "a"), ["add.onnx"])
        self.assertEqual(self.complete("run", "--json", "g"), ["gemm.onnx"])
        self.assertEqual(self.complete("run", "--json", "=", "g"), ["gemm.onnx"])
        self.assertEqual(self.complete("run", "--threads", "a"), [])
        self.assertEqual(self.complete("version", "a"), [])
        self.assertEqual(self.complete("completion", "''"), ["bash", "fish", "zsh"])
        self.assertEqual(self.complete("frob", "a"), [])

    def test_fish_completes(self):
        if not shutil.which("fish"):
            self.skipTest("there is no fish")

        def complete(line):
            done = subprocess.run(["fish", "-c", f"source ./fish; complete -C '{line}'"],
                                  cwd=self.folder, text=True, stdout=subprocess.PIPE, check=True)
            return [row.split("\t")[0] for row in done.stdout.splitlines()]

        self.assertEqual(complete("quern comp"), ["compare", "compile", "completion"])
        self.assertEqual(complete("quern run --back"), ["--backend"])
        self.assertEqual(complete("quern run --backend "), ["interpreter", "native"])
        self.assertEqual(complete("quern run --threads "), [])
        self.assertIn("add.onnx", complete("quern run a"))
        self.assertEqual(complete("quern completion "), ["bash", "fish", "zsh"])

    def test_manual_is_a_page(self):
        if not shutil.which("groff"):
            self.skipTest("there is no groff")
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "quern.1"], cwd=self.folder,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        self.assertEqual(done.stderr, "")
        text = re.sub("\x1b\\[[0-9;]*m|.\b", "", done.stdout)
        for words in ("quern run [OPTION]... MODEL", "-o, --output FILE", "--json[=FILE]",
                      "EXIT STATUS", "results differ too much"):
            self.assertIn(words, text)

    def test_exit_codes_are_those_of_the_readme(self):
        readme = (ROOT / "README.md").read_text()
        codes = re.findall(r"^  (\d+) +(.+)$", self.quern("--help")[0].split("Exit codes:")[1], re.M)
        self.assertEqual(len(codes), 12)
        for number, meaning in codes:
            self.assertIn(f"| {number} | {meaning} |", readme)

    def test_unknown_shell(self):
        self.fails(USAGE, "completion", "tcsh", says="tcsh")
        self.assertEqual(self.quern_json("completion", "bash")["schema"], "quern.completion/1")


if __name__ == "__main__":
    unittest.main()
