"""bench/run: its table and its figures, with Quern as its own peer where no other is installed."""

import json
import os
import pathlib
import subprocess
import sys
import unittest
from xml.etree import ElementTree

import numpy as np
import onnx
from onnx import TensorProto, helper

from cli import INCOMPATIBLE, QUERN, SECONDS_PER_RUN, USAGE, CliTest, make_model, value

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples/digits/digits.onnx"


# As much of onnxruntime as the worker uses; its answers are those of `quern run`.
FAKE_SYSTEM = """
import subprocess, types
import numpy as np
__version__ = "1.2.3"
GraphOptimizationLevel = types.SimpleNamespace(ORT_ENABLE_ALL=99)
class SessionOptions: pass
class InferenceSession:
    def __init__(self, model, options, providers):
        if options.intra_op_num_threads != 1:
            raise ValueError("one thread, please")
        self.model = model
    def get_inputs(self): return [types.SimpleNamespace(name="image")]
    def get_outputs(self): return [types.SimpleNamespace(name="probabilities")]
    def run(self, names, feeds):
        np.savez("fed.npz", **feeds)
        subprocess.run(["QUERN", "run", self.model, "--input=fed.npz", "--output=found.npz"],
                       check=True, stdout=subprocess.DEVNULL)
        return [np.load("found.npz")["probabilities"] + ADDED]
    def io_binding(self):
        return types.SimpleNamespace(bind_cpu_input=lambda *a: 0, bind_output=lambda *a: 0)
    def run_with_iobinding(self, binding): pass
"""


# The same of openvino, whose output has NAMES.
FAKE_OPENVINO = """
import subprocess
import numpy as np
__version__ = "1.2.3"
class Port:
    def __init__(self, *names): self.names, self.any_name = set(names), names[0]
    def get_names(self): return self.names
class Tensor:
    def __init__(self, data, shared_memory=False): self.data = data
class Core:
    inputs, outputs = [Port("image")], [Port(NAMES)]
    def read_model(self, model):
        self.model = model
        return self
    def reshape(self, shapes): pass
    def compile_model(self, network, device, hints): return self
    def create_infer_request(self): return self
    def set_tensor(self, port, tensor): np.savez("fed.npz", image=tensor.data)
    def start_async(self): pass
    def wait(self): pass
    @property
    def output_tensors(self):
        subprocess.run(["QUERN", "run", self.model, "--input=fed.npz", "--output=found.npz"],
                       check=True, stdout=subprocess.DEVNULL)
        return [Tensor(np.load("found.npz")["probabilities"])]
"""


# The same, of a classifier whose labels are strings, and whose probabilities are maps.
FAKE_CLASSIFIER = """
import types
import numpy as np
__version__ = "1.2.3"
GraphOptimizationLevel = types.SimpleNamespace(ORT_ENABLE_ALL=99)
class SessionOptions: pass
class InferenceSession:
    def __init__(self, model, options, providers): pass
    def get_inputs(self): return [types.SimpleNamespace(name="x")]
    def get_outputs(self): return [types.SimpleNamespace(name=name) for name in ("label", "p")]
    def run(self, names, feeds):
        labels = np.array(["no", LABEL], object)[feeds["x"].argmax(1)]
        return [labels, [{"no": row[0] + ADDED, "yes": row[1]} for row in feeds["x"]]]
"""


def classifier():
    ml = "ai.onnx.ml"
    nodes = [helper.make_node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
             helper.make_node("LabelEncoder", ["best"], ["label"], domain=ml,
                              classes_strings=["no", "yes"]),
             helper.make_node("ZipMap", ["x"], ["p"], domain=ml, classlabels_strings=["no", "yes"])]
    maps = onnx.ValueInfoProto(name="p")
    maps.type.sequence_type.elem_type.map_type.key_type = TensorProto.STRING
    maps.type.sequence_type.elem_type.map_type.value_type.tensor_type.elem_type = TensorProto.FLOAT
    return make_model(nodes, [value("x", ["N", 2])],
                      [value("label", ["N"], TensorProto.STRING), maps], domains=[ml])


class Against(CliTest):
    def compare(self, added, *arguments, **options):
        (self.folder / "onnxruntime.py").write_text(
            FAKE_SYSTEM.replace("QUERN", QUERN).replace("ADDED", added))
        environment = {"PYTHONPATH": str(self.folder), "QUERN_PYTHON": sys.executable}
        return self.quern("compare", DIGITS, "--dim=N=1", "--against=onnxruntime",
                          "--duration=20ms", *arguments, environment=environment, **options)

    def test_is_in_the_table(self):
        out, _ = self.compare("0", "--threads=1", "--json=found.json")
        self.assertRegex(out, r"\nonnxruntime 1\.2\.3 +[0-9.]+ +[0-9.]+ +[0-9.]+ .* pass\n")
        (peer,) = json.loads((self.folder / "found.json").read_text())["against"]
        self.assertEqual((peer["system"], peer["refusal"]), ("onnxruntime 1.2.3", ""))
        self.assertGreater(peer["ratio"], 0)
        self.assertTrue(peer["outputs"][0]["pass"])

    def test_its_errors_are_no_failure_of_quern(self):
        out, _ = self.compare("0.25", "--threads=1")
        self.assertRegex(out, r"onnxruntime 1\.2\.3 .* 0\.25  differs")

    def test_refusals_come_after_the_results(self):
        out, err = self.compare("0", "--threads=2", exits=INCOMPATIBLE)
        self.assertRegex(out, r"onnxruntime .* does not run")
        self.assertIn("speed-up", out)
        self.assertIn("onnxruntime: ValueError: one thread, please", err)
        _, err = self.quern("compare", DIGITS, "--dim=N=1", "--against=openvino", "--duration=1ms",
                            exits=INCOMPATIBLE, environment={"QUERN_PYTHON": "/no/python"})
        self.assertIn("openvino: cannot start /no/python", err)
        self.fails(USAGE, "compare", DIGITS, "--against=litert", says="litert not in")
        self.fails(USAGE, "compare", DIGITS, "--against=openvino", "--by-stage", "--dim=N=1",
                   says="--against is for a comparison without them")


class Peers(CliTest):
    def bench(self, *arguments, environment=None):
        command = [sys.executable, ROOT / "bench/run", *arguments, "--program", QUERN]
        return subprocess.run(list(map(str, command)), cwd=self.folder, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=SECONDS_PER_RUN,
                              env=environment)

    def test_ratios_and_differences(self):
        done = self.bench(DIGITS, "--dim", "N=2", "--own-f32", "--quern=--precision=bf16", "--peers",
                          "--rounds=2", "--seconds=0.02", "--json=figures.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        header, _, row = done.stdout.splitlines()
        self.assertEqual(header, "| model | threads | quern f32 | of peak |")
        self.assertRegex(row, r"^\| digits \| 1 \| \d+\.\d\d \(\d+\.\d\d-\d+\.\d\d\).* \| \d+ % \|$")
        figures = json.loads((self.folder / "figures.json").read_text())
        self.assertEqual(figures["schema"], "quern.peers/1")
        (found,) = figures["rows"]
        peer = found["systems"]["quern f32"]
        self.assertLessEqual(peer["lowest"], peer["ratio"])
        self.assertLessEqual(peer["ratio"], peer["highest"])
        self.assertTrue(0 < peer["difference"] < 0.05, peer["difference"])
        for fact in ("p50_ms", "load_ms", "first_run_ms", "peak_mb"):
            self.assertGreater(found["systems"]["quern"][fact], 0, fact)

    def test_batch_is_of_the_inputs_beside_the_model(self):
        (self.folder / "digits.onnx").write_bytes(DIGITS.read_bytes())
        images = np.load(DIGITS.parent / "images.npy")[:3]
        np.savez(self.folder / "digits.in.npz", image=images)
        done = self.bench("digits.onnx", "--own-f32", "--peers", "--rounds=1", "--seconds=0.02",
                          "--threads", "1", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("| digits | 2 |", done.stdout)
        self.assertIn("| geometric mean | 2 | **", done.stdout)

    def test_outputs_are_compared_by_the_names_of_the_model(self):
        for names, says in (('"Op_7", "probabilities"', r"\d\)"), ('"Op_7"', "differs by inf")):
            (self.folder / "openvino.py").write_text(
                FAKE_OPENVINO.replace("QUERN", QUERN).replace("NAMES", names))
            environment = {**os.environ, "PYTHONPATH": str(self.folder)}
            done = self.bench(DIGITS, "--dim", "N=2", "--peers", "openvino", "--rounds=1",
                              "--seconds=0.02", environment=environment)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, says + r" \| \d+ % \|")

    def test_strings_and_maps_are_compared(self):
        onnx.save(classifier(), self.folder / "classifier.onnx")
        np.savez(self.folder / "classifier.in.npz", x=np.array([[3, 1], [0, 2], [5, 4]], "f4"))
        for label, added, says in (("yes", "0", r"\d\)"), ("maybe", "0", "differs by inf"),
                                   ("yes", "1", r"differs by 0\.2")):
            (self.folder / "onnxruntime.py").write_text(
                FAKE_CLASSIFIER.replace("LABEL", repr(label)).replace("ADDED", added))
            environment = {**os.environ, "PYTHONPATH": str(self.folder)}
            done = self.bench("classifier.onnx", "--peers", "onnxruntime", "--rounds=1",
                              "--seconds=0.02", environment=environment)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, says + r" \| \d+ % \|")

    def test_report(self):
        (self.folder / "results").mkdir()
        done = self.bench(DIGITS, "--dim", "N=2", "--own-f32", "--peers", "--rounds=1",
                          "--seconds=0.02", "--json=results/here-digits.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        subprocess.run([sys.executable, ROOT / "bench/report", "--results", "results", "--output",
                        "performance.md"], cwd=self.folder, check=True, timeout=SECONDS_PER_RUN)
        page = (self.folder / "performance.md").read_text()
        self.assertIn("| digits | 1 | ", page)
        self.assertIn("](performance/here-digits-1.svg)", page)
        chart = ElementTree.parse(self.folder / "performance/here-digits-1.svg")
        self.assertIn("digits", [text.text for text in chart.iter() if text.text])

    def test_what_quern_refuses_is_said(self):
        (self.folder / "broken.onnx").write_bytes(DIGITS.read_bytes()[:1000])
        np.savez(self.folder / "broken.in.npz", image=np.zeros(1))
        done = self.bench("broken.onnx", "--own-f32", "--peers", "--rounds=1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("broken: quern: exit code 3:", done.stderr)

    def test_avx2_is_for_all(self):
        done = self.bench(DIGITS, "--avx2", "--peers", "onnxruntime", "--own-f32", "--rounds=1",
                          "--seconds=0.02", "--json=figures.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("onnxruntime: left out: nothing limits it to AVX2", done.stderr)
        figures = json.loads((self.folder / "figures.json").read_text())
        self.assertEqual(figures["quern_options"], ["--target-cpu=haswell"])

    def test_systems_for_some_models_only(self):
        sys.path.insert(0, str(ROOT / "bench/peers"))
        from systems import SYSTEMS
        model = self.folder / "forest.onnx"
        self.assertFalse(SYSTEMS["lleaves"].serves(model))
        (self.folder / "forest.lightgbm.txt").write_text("tree")
        self.assertTrue(SYSTEMS["lleaves"].serves(model))
        self.assertTrue(SYSTEMS["onnxruntime"].serves(model))
        self.assertFalse(SYSTEMS["onnxruntime"].serves(self.folder / "net.tflite"))
        self.assertTrue(SYSTEMS["litert"].serves(self.folder / "net.tflite"))
        self.assertFalse(SYSTEMS["litert"].serves(model))

    def test_usage(self):
        self.assertEqual(self.bench().returncode, 2)
        done = self.bench(DIGITS, "--peers")
        self.assertEqual(done.returncode, 77)
        self.assertIn("skipped: no peer", done.stderr)


if __name__ == "__main__":
    unittest.main()
