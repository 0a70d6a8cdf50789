"""The line of progress on a terminal."""

import os
import pty
import subprocess
import unittest

import onnx
from cli import QUERN, SECONDS_PER_RUN, CliTest, make_model, value
from onnx import helper


class Progress(CliTest):
    def on_terminal(self, *arguments):
        """What quern writes to standard error, a terminal, and to standard output, a pipe."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([QUERN, *map(str, arguments)], cwd=self.folder, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 4096):
                written += chunk
        except OSError:  # the terminal's other end is closed
            pass
        os.close(ours)
        out, _ = process.communicate(timeout=SECONDS_PER_RUN)
        self.assertEqual(process.returncode, 0, written)
        return written.decode(), out

    def many_kernels(self):
        """Kernels that all differ, so many that compiling them takes several times what the
        line of progress waits before it is drawn again."""
        nodes = []
        for op in ("Softmax", "ReduceMax", "ReduceL2", "ReduceMean"):
            for axis in range(4):
                for after in ("Exp", "Sigmoid", "Tanh", "Erf", "Softplus", "Sin", "Cos", "Atan", "Cosh",
                              "Elu", "Selu", "Sinh"):
                    attributes = {"axis": axis} if op == "Softmax" else {"axes": [axis]}
                    i = len(nodes)
                    nodes += [helper.make_node(op, [f"t{i}"], [f"t{i + 1}"], f"n{i}", **attributes),
                              helper.make_node(after, [f"t{i + 1}"], [f"t{i + 2}"], f"n{i + 1}")]
        onnx.save(make_model(nodes, [value("t0", [5, 6, 7, 8])], [value(f"t{len(nodes)}", None)]),
                  str(self.folder / "many.onnx"))

    def test_phases_and_counts(self):
        self.many_kernels()
        err, out = self.on_terminal("bench", "many.onnx", "--duration=500ms", "--threads=1",
                                    "--no-kernel-cache")
        self.assertIn("\r\x1b[Kloading many.onnx", err)
        self.assertRegex(err, r"\r\x1b\[Kcompiling kernel \d+ of \d+")
        self.assertRegex(err, r"\r\x1b\[Kmeasuring: \d+ runs")
        self.assertIn("p50", out)

    def test_slow_comparisons_count(self):
        onnx.save(make_model([helper.make_node("MatMul", ["a", "b"], [f"y{i}"], f"m{i}")
                              for i in range(8)], [value("a", [500, 500]), value("b", [500, 500])],
                             [value(f"y{i}", None) for i in range(8)]),
                  str(self.folder / "slow.onnx"))
        err, _ = self.on_terminal("compare", "slow.onnx", "--duration=1ms")
        self.assertRegex(err, r"\r\x1b\[Kinterpreting: \d+ of 8 ops")

    def test_line_is_gone_before_results(self):
        """As they stand on the same terminal."""
        err, out = self.on_terminal("run", "gemm.onnx", "--input=zeros", "--dim=N=2")
        self.assertTrue(err.endswith("\r\x1b[K"), err)
        self.assertIn("y: float32 2x3", out)

    def test_quiet(self):
        err, _ = self.on_terminal("run", "gemm.onnx", "--input=zeros", "--dim=N=2", "-q")
        self.assertEqual(err, "")


if __name__ == "__main__":
    unittest.main()
