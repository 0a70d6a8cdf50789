"""Ctrl-C and other signals: what ends when, and that nothing is left behind."""

import pathlib
import shutil
import signal
import subprocess
import time
import unittest

from cli import INTERRUPTED, OK, QUERN, CliTest

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "examples/digits/digits.onnx"
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalTest(CliTest):
    def start(self, *arguments, ignored=()):
        """Starts quern, ignoring no signals but these, however the tests were started."""
        def set_signals():
            for ending in ENDINGS:
                signal.signal(ending, signal.SIG_IGN if ending in ignored else signal.SIG_DFL)

        process = subprocess.Popen([QUERN, *map(str, arguments)], cwd=self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, preexec_fn=set_signals)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process


class Benchmarks(SignalTest):
    def bench(self, duration, **keywords):
        """Starts quern bench and waits until it is at work."""
        process = self.start("bench", "gemm.onnx", "--duration", duration, **keywords)
        self.assertIn("note: dimension N", process.stderr.readline())
        time.sleep(0.5)
        return process

    def test_ctrl_c(self):
        process = self.bench("60s")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        self.assertEqual(process.returncode, INTERRUPTED)
        self.assertIn("quern: interrupted", err)
        self.assertIn("p50  ", out)

    def test_what_was_measured_is_said(self):
        for verb, says in (("compare", "speed-up "), ("explain", "where a run goes")):
            process = self.start(verb, "gemm.onnx", "--duration=60s")
            self.assertIn("note: dimension N", process.stderr.readline())
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
            self.assertEqual(process.returncode, INTERRUPTED, err)
            self.assertIn("quern: interrupted", err)
            self.assertIn(says, out)

    def test_termination(self):
        for ending in (signal.SIGTERM, signal.SIGHUP):
            process = self.bench("60s")
            process.send_signal(ending)
            out, _ = process.communicate(timeout=10)
            self.assertEqual(process.returncode, -ending)
            self.assertEqual(out, "")

    def test_ignored_signals_stay_ignored(self):
        # As nohup leaves SIGHUP, and shells SIGINT for what runs in the background.
        process = self.bench("1s", ignored=(signal.SIGINT, signal.SIGHUP))
        for ending in (signal.SIGINT, signal.SIGHUP, signal.SIGINT):
            process.send_signal(ending)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, OK, err)
        self.assertIn("p50", out)


class Compilations(SignalTest):
    def setUp(self):
        super().setUp()
        shutil.copy(DIGITS, self.folder)

    def compile(self, ending, delay, **keywords):
        """Sends the signal so long after temporary files exist; the exit code."""
        process = self.start("compile", "digits.onnx", "--dim=N=1", "-o", "m.so",
                             "--header=m.h", **keywords)
        while not self.files() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(ending)
        process.communicate(timeout=30)
        return process.returncode

    def test_nothing_is_left(self):
        for ending, code in {signal.SIGINT: INTERRUPTED, signal.SIGTERM: -signal.SIGTERM,
                             signal.SIGHUP: -signal.SIGHUP}.items():
            self.assertEqual(self.compile(ending, 0), code)
            self.assertEqual(self.files(), [])

    def test_nothing_is_half_written(self):
        started = time.monotonic()
        self.quern("compile", "digits.onnx", "--dim=N=1", "-o", "m.so")
        duration = time.monotonic() - started
        wanted = (self.folder / "m.so").read_bytes()
        (self.folder / "m.so").unlink()
        steps = 12
        for step in range(steps):
            code = self.compile(signal.SIGINT, step * duration / steps)
            self.assertIn(code, (OK, INTERRUPTED))
            # The header comes last.
            whole = [["m.h", "m.so"]] if code == OK else [[], ["m.so"], ["m.h", "m.so"]]
            self.assertIn(self.files(), whole)
            if "m.so" in self.files():
                self.assertEqual((self.folder / "m.so").read_bytes(), wanted)
            for name in self.files():
                (self.folder / name).unlink()

    def test_ignored_signals_stay_ignored(self):
        for delay in (0, 0.1, 0.2, 0.3):
            self.assertEqual(self.compile(signal.SIGINT, delay, ignored=(signal.SIGINT,)), OK)
            self.assertEqual(self.files(), ["m.h", "m.so"])


if __name__ == "__main__":
    unittest.main()
