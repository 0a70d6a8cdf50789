"""Networks compiled for 64-bit Arm give the right answers, by their own .c-test.

Needs QUERN (the program), QUERN_CC (a compiler for that machine) and QUERN_EMULATOR
(qemu-aarch64) in the environment. MobileNetV2 lies in ../shared/models/exported (QUERN_SHARED
names another place for shared).
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples/digits"
QUERN, CC, EMULATOR = (os.environ[name] for name in ("QUERN", "QUERN_CC", "QUERN_EMULATOR"))
EXPORTED = pathlib.Path(os.environ.get("QUERN_SHARED", ROOT.parent / "shared")) / "models/exported"


def save_mlp(path, sizes=(784, 128, 10)):
    """Dense layers with Relu between, and a Softmax."""
    random = np.random.default_rng(5)
    nodes, weights, last = [], [], "x"
    for i, (n, k) in enumerate(zip(sizes[1:], sizes)):
        weights += [numpy_helper.from_array((random.standard_normal((n, k)) / k ** 0.5).astype("f"), f"w{i}"),
                    numpy_helper.from_array(random.standard_normal(n).astype("f"), f"b{i}")]
        nodes += [helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [f"h{i}"], transB=1),
                  helper.make_node("Relu", [f"h{i}"], [f"r{i}"])]
        last = f"r{i}"
    nodes[-1] = helper.make_node("Softmax", [f"h{len(sizes) - 2}"], ["y"], axis=1)
    graph = helper.make_graph(nodes, "mlp",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", sizes[0]])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", sizes[-1]])],
                              weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


class ForeignModels(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def compile(self, model, *options):
        subprocess.run([QUERN, "compile", model, "-q", "--target", "aarch64-linux-gnu", *options,
                        "-o", "m.c-test"], cwd=self.folder, check=True)
        subprocess.run(["make", "-s", "test", "run", f"CC={CC}", "LDFLAGS=-static"],
                       cwd=self.folder / "m.c-test", check=True)

    def call(self, program, *files):
        done = subprocess.run([EMULATOR, self.folder / "m.c-test" / program, *files],
                              cwd=self.folder / "m.c-test", capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_digits(self):
        for weights in ("embedded", "file"):
            self.compile(DIGITS / "digits.onnx", "--dim=N=360", f"--weights={weights}")
            self.assertIn("0 of 3600 numbers differ", self.call("test"))
            self.call("run", DIGITS / "images.npy", self.folder / "y.npy")
            found = np.load(self.folder / "y.npy").argmax(1)
            self.assertEqual(int((found == np.load(DIGITS / "labels.npy")).sum()), 358)

    def test_mlp(self):
        save_mlp(str(self.folder / "mlp.onnx"))
        self.compile("mlp.onnx", "--dim=N=1,5")
        self.assertEqual(self.call("test").count(": max error "), 2)

    @unittest.skipUnless((EXPORTED / "mobilenet_v2_quarter.onnx").exists(), "no MobileNetV2 here")
    def test_mobilenet(self):
        inputs = np.load(EXPORTED / "mobilenet_v2_quarter.in.npz")
        wanted = np.load(EXPORTED / "mobilenet_v2_quarter.out.npz")
        (name, image), (_, answer) = *inputs.items(), *wanted.items()
        self.compile(EXPORTED / "mobilenet_v2_quarter.onnx",
                     f"--shape={name}={'x'.join(map(str, image.shape))}")
        self.assertIn(", 0 of ", self.call("test"))
        np.save(self.folder / "m.c-test/x.npy", image)
        self.call("run", "x.npy", "y.npy")
        np.testing.assert_allclose(np.load(self.folder / "m.c-test/y.npy"), answer, rtol=1e-3, atol=1e-5)


if __name__ == "__main__":
    unittest.main()
