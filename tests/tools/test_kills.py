"""quern compile, killed at random moments: no file is ever there in part.

    tests/tools/test_kills.py [--count N] [--seed N]

Needs QUERN, the program, in the environment.
"""

import argparse
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest

from cli import QUERN, CliTest

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "examples/digits/digits.onnx"
# What is compiled to, and the files that are written, one after the other.
ARTEFACTS = {
    "m.so": (["-o", "m.so"], ("m.so", "m.h")),
    "m.o": (["-o", "m.o"], ("m.o", "m.h")),
    "m.a": (["-o", "m.a"], ("m.a", "m.h")),
    "m.s": (["-o", "m.s"], ("m.s", "m.h")),
    "weights": (["-o", "m.so", "--weights=file"], ("m.so", "m.weights", "m.h")),
}
OLD = b"an older file\n"


class Kills(CliTest):
    count, seed = 20, 1

    def setUp(self):
        super().setUp()
        shutil.copy(DIGITS, self.folder)

    def command(self, artefact):
        return [QUERN, "compile", "digits.onnx", "--dim=N=1", "-q", "--prefix=m", "--header=m.h",
                *ARTEFACTS[artefact][0]]

    def compile(self, artefact):
        """All files, and the seconds that they took."""
        start = time.monotonic()
        subprocess.run(self.command(artefact), cwd=self.folder, check=True, timeout=60)
        duration = time.monotonic() - start
        names = ARTEFACTS[artefact][1]
        self.assertEqual(self.files(), sorted(names))
        whole = {name: (self.folder / name).read_bytes() for name in names}
        self.clear()
        return whole, duration

    def clear(self):
        for _, names in ARTEFACTS.values():
            for name in names:
                (self.folder / name).unlink(missing_ok=True)

    def kill(self, artefact, delay):
        process = subprocess.Popen(self.command(artefact), cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.kill()
        return process.wait(timeout=60)

    def check(self, whole, had):
        """Each file is whole or what it was, and one that is new has those before it. How many
        are new."""
        found = {path.name: path.read_bytes() for path in self.folder.iterdir()
                 if path.name in whole}
        for name, content in found.items():
            self.assertIn(content, (whole[name], OLD) if had else (whole[name],), name)
        if had:
            self.assertEqual(len(found), len(whole))
        new = [found.get(name) == content for name, content in whole.items()]
        self.assertEqual(new, sorted(new, reverse=True))
        return sum(new)

    def test_nothing_is_half_written(self):
        draw = random.Random(self.seed)
        timed = {artefact: self.compile(artefact) for artefact in ARTEFACTS}
        killed = written = left = 0
        for i in range(self.count):
            artefact = list(ARTEFACTS)[i % len(ARTEFACTS)]
            whole, duration = timed[artefact]
            self.clear()
            had = draw.random() < 0.5
            if had:
                for name in whole:
                    (self.folder / name).write_bytes(OLD)
            # Half of them while files are written, at the end.
            begin = draw.choice((0, 0.7))
            code = self.kill(artefact, draw.uniform(begin, 1.1) * duration)
            self.assertIn(code, (0, -signal.SIGKILL))
            killed += code != 0
            written += self.check(whole, had)
            left += any(name.startswith(".quern-") for name in self.files())
        print(f"{killed} of {self.count} killed, {written} files written, {left} times some left")
        self.assertGreater(killed, 0)
        # The next one is not hindered, and removes what they left.
        self.clear()
        for artefact, (whole, _) in timed.items():
            self.assertEqual(self.compile(artefact)[0], whole)

    def test_several_at_once(self):
        """They write the same files, and leave alone what the others are writing."""
        whole, _ = self.compile("m.so")
        for _ in range(3):
            self.clear()
            several = [subprocess.Popen(self.command("m.so"), cwd=self.folder,
                                        stderr=subprocess.PIPE, text=True) for _ in range(4)]
            for process in several:
                _, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 0, err)
            self.assertEqual(self.files(), sorted(whole))
            for name, content in whole.items():
                self.assertEqual((self.folder / name).read_bytes(), content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=Kills.count,
                        help="how often to kill (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=Kills.seed,
                        help="of the moments (default: %(default)s)")
    args, rest = parser.parse_known_args()
    Kills.count, Kills.seed = args.count, args.seed
    unittest.main(argv=sys.argv[:1] + rest)
