"""What the verbs report, above all the JSON objects."""

import json
import unittest

import numpy as np
import onnx
from cli import MISMATCH, UNSUPPORTED, CliTest, make_model, value
from onnx import TensorProto, helper

FAST = ("--duration", "50ms")


class Reports(CliTest):
    def keys(self, report, schema, *keys):
        self.assertEqual(report["schema"], schema)
        for key in keys:
            self.assertIn(key, report)

    def test_version(self):
        report = self.quern_json("version")
        self.keys(report, "quern.version/1", "version", "llvm", "cpu", "features")
        out, _ = self.quern("version")
        self.assertIn(f"quern {report['version']}\nLLVM {report['llvm']}", out)

    def test_inspect(self):
        report = self.quern_json("inspect", "gemm.onnx")
        self.keys(report, "quern.inspect/1", "ir_version", "producer")
        self.assertEqual(report["opsets"], {"ai.onnx": 13})
        self.assertEqual(report["ops"], {"MatMul": 1, "Relu": 1})
        self.assertEqual(report["parameters"], 12)
        self.assertEqual(report["inputs"],
                         [{"name": "x", "dtype": "float32", "shape": ["N", 4]}])
        out, _ = self.quern("inspect", "gemm.onnx")
        self.assertIn("input x: float32 Nx4\noutput y: float32 Nx3\n12 parameters", out)

    def test_sequence_ports(self):
        """Shown by inspect and check; refused ahead of time, by name."""
        element = helper.make_tensor_type_proto(TensorProto.FLOAT, ["N", 3])
        ports = [helper.make_value_info(name, helper.make_sequence_type_proto(element))
                 for name in ("s", "y")]
        model = make_model([helper.make_node("Identity", ["s"], ["y"], "id1")], ports[:1], ports[1:])
        onnx.save(model, str(self.folder / "sequence.onnx"))
        out, _ = self.quern("inspect", "sequence.onnx")
        self.assertIn("input s: sequence of float32 Nx3", out)
        self.assertEqual(self.quern_json("inspect", "sequence.onnx")["inputs"],
                         [{"name": "s", "type": "sequence of float32 Nx3"}])
        out, _ = self.quern("check", "sequence.onnx")
        self.assertIn("output y: sequence of float32 Nx3", out)
        self.fails(UNSUPPORTED, "compile", "sequence.onnx", "-o", "m.so",
                   says="compiling ahead of time: input 's' is no tensor: sequence of float32 Nx3")

    def test_inspect_domain_imported_twice(self):
        # As skl2onnx writes it.
        model = make_model([helper.make_node("Abs", ["x"], ["y"])],
                           [value("x", [1])], [value("y", [1])])
        model.opset_import.extend([helper.make_opsetid("", 13), helper.make_opsetid("a.b", 2)])
        onnx.save(model, str(self.folder / "twice.onnx"))
        self.assertEqual(self.quern_json("inspect", "twice.onnx")["opsets"],
                         {"ai.onnx": 13, "a.b": 2})
        out, _ = self.quern("inspect", "twice.onnx")
        self.assertIn("IR version 8, opset ai.onnx 13, opset a.b 2\n", out)

    def test_run_unsorted_nodes(self):
        # As converters to float16 write them.
        nodes = [helper.make_node("Neg", ["t"], ["y"]), helper.make_node("Abs", ["x"], ["t"])]
        onnx.save(make_model(nodes, [value("x", [3])], [value("y", [3])]),
                  str(self.folder / "unsorted.onnx"))
        self.save("x.npy", np.array([-1, 2, -3], np.float32))
        for backend in ("interpreter", "native"):
            self.quern("run", "unsorted.onnx", "--input=x.npy", "--output=y=y.npy",
                       "--backend", backend)
            np.testing.assert_array_equal(np.load(self.folder / "y.npy"), [-1, -2, -3])

    def test_run(self):
        for backend in ("interpreter", "native"):
            report = self.quern_json("run", "gemm.onnx", "--input=zeros", "--backend", backend)
            self.keys(report, "quern.run/1", "load_ms", "compile_ms", "run_ms", "threads")
            self.assertEqual(report["backend"], backend)
            self.assertEqual(report["outputs"], [{"name": "y", "dtype": "float32", "shape": [1, 3],
                                                  "min": 0, "max": 0, "mean": 0}])

    def test_check(self):
        report = self.quern_json("check", "gemm.onnx")
        self.keys(report, "quern.check/1", "inputs", "outputs", "steps", "reference_steps")
        self.assertEqual(report["native_steps"] + len(report["reference_steps"]), report["steps"])
        out, err = self.quern("check", "gemm.onnx")
        self.assertIn("steps run as native code", out)
        self.assertIn("checked at 1x4", err)

    def test_bench(self):
        for backend in ("interpreter", "native"):
            report = self.quern_json("bench", "gemm.onnx", "--runs=5", "--warmup=1", "--threads=1",
                                     "--profile", "--backend", backend)
            self.keys(report, "quern.bench/1", "load_ms", "compile_ms", "first_run_ms", "min_ms",
                      "mean_ms", "stddev_ms", "p50_ms", "p90_ms", "p99_ms", "peak_rss_mb")
            self.assertEqual((report["runs"], report["threads"]), (5, 1))
            self.assertLessEqual(report["min_ms"], report["p50_ms"])
            self.assertLessEqual(report["p50_ms"], report["p99_ms"])
            self.assertGreater(report["peak_rss_mb"], 1)
            self.assertTrue(any("few-runs" in w for w in report["warnings"]))
            self.assertAlmostEqual(sum(s["percent"] for s in report["steps"]), 100, places=3)
            self.assertIn("matmul1", report["steps"][0]["nodes"])
            self.assertEqual(report["peak_gflops"] > 0, backend == "native")
            # A step of the interpreter has no known flops, hence no share of the peak.
            self.assertEqual(any(s["percent_of_peak"] for s in report["steps"]),
                             backend == "native")
        out, _ = self.quern("bench", "gemm.onnx", *FAST, "--profile")
        for word in ("load", "compile", "first run", "p99", "peak RSS", "GFLOP/s", "% of peak", "matmul1"):
            self.assertIn(word, out)

    def test_compare(self):
        report = self.quern_json("compare", "gemm.onnx", *FAST)
        self.keys(report, "quern.compare/1", "model", "rtol", "atol", "speedup")
        self.assertEqual([(o["name"], o["pass"]) for o in report["outputs"]], [("y", True)])
        self.assertIn("max_abs", report["outputs"][0])
        self.assertIn("max_rel", report["outputs"][0])
        self.assertGreater(report["interpreter"]["p50_ms"], 0)
        self.assertGreater(report["native"]["p50_ms"], 0)
        self.assertGreater(report["native"]["compile_ms"], 0)
        out, _ = self.quern("compare", "gemm.onnx", *FAST)
        self.assertIn("pass", out)
        self.assertIn("speed-up", out)

    def test_compare_fails_with_its_own_code(self):
        # Not the last bit of every one of 99,099 sines is the same.
        model = make_model([helper.make_node("Sin", ["x"], ["y"], "sin1")],
                           [value("x", [99, 1001])], [value("y", [99, 1001])])
        onnx.save(model, str(self.folder / "sin.onnx"))
        out, err = self.quern("compare", "sin.onnx", *FAST, "--rtol=0", "--atol=0", "--json",
                              exits=MISMATCH)
        self.assertEqual(json.loads(out)["outputs"][0]["pass"], False)
        self.assertIn("native code and interpreter do not agree: output 'y': ", err)
        self.assertIn("elements differ", err)

    def test_json_file(self):
        out, _ = self.quern("inspect", "gemm.onnx", "--json=report.json")
        self.assertIn("parameters", out)
        report = json.loads((self.folder / "report.json").read_text())
        self.assertEqual(report["schema"], "quern.inspect/1")
        self.assertEqual((report["graph"], report["metadata"]), ("graph", {}))

    def test_nan_is_null(self):
        onnx.save(make_model([helper.make_node("Log", ["x"], ["y"], "log1")],
                             [value("x", [1])], [value("y", [1])]), str(self.folder / "log.onnx"))
        self.save("x.npy", np.array([-1], np.float32))
        report = self.quern_json("run", "log.onnx", "--input=x.npy")
        self.assertIsNone(report["outputs"][0]["min"])

    def test_threads_do_not_change_results(self):
        for threads in (1, 2):
            self.quern("run", "gemm.onnx", "--input=random", "--dim=N=333", "--threads", threads,
                       "--output", f"y{threads}.npy")
        self.assertEqual((self.folder / "y1.npy").read_bytes(),
                         (self.folder / "y2.npy").read_bytes())


if __name__ == "__main__":
    unittest.main()
