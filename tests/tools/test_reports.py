"""What the verbs report, above all the JSON objects."""

import json
import subprocess
import sys
import unittest

import numpy as np
import onnx
from cli import MISMATCH, QUERN, TOO_SLOW, UNSUPPORTED, USAGE, CliTest, make_model, value
from onnx import TensorProto, helper, numpy_helper

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

    def test_peak_memory_is_of_the_process_itself(self):
        """Not of the one that started it, which Linux hands on."""
        arguments = ("bench", "gemm.onnx", *FAST)
        alone = self.quern_json(*arguments)["peak_rss_mb"]
        code = ("import os, sys; kept = bytearray(b'x') * (400 << 20)\n"
                "pid = os.fork()\n"
                "if pid == 0: os.execv(sys.argv[1], sys.argv[1:])\n"
                "os.waitpid(pid, 0)")
        done = subprocess.run([sys.executable, "-c", code, QUERN, *arguments, "--json"],
                              cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=60)
        self.assertLess(json.loads(done.stdout)["peak_rss_mb"], alone + 100)

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
                                                  "min": 0, "max": 0, "mean": 0, "values": [0, 0, 0]}])

    def values(self, array, *options):
        """What run --json says of the elements of an array."""
        dtype = numpy_helper.from_array(array).data_type
        onnx.save(make_model([helper.make_node("Identity", ["x"], ["y"])],
                             [value("x", array.shape, dtype)], [value("y", array.shape, dtype)]),
                  str(self.folder / "same.onnx"))
        self.save("x.npy", array)
        return self.quern_json("run", "same.onnx", "--input=x.npy", *options)["outputs"][0]["values"]

    def test_run_values(self):
        self.assertEqual(self.values(np.float32([[0.1, -2], [3e-30, np.inf]])),
                         [0.1, -2, 3e-30, None])
        self.assertEqual(self.values(np.float64([0.1, 1 / 3])), [0.1, 1 / 3])
        self.assertEqual(self.values(np.int64([2**63 - 1, -2**63])), [2**63 - 1, -2**63])
        self.assertEqual(self.values(np.uint64([2**64 - 1])), [2**64 - 1])
        self.assertEqual(self.values(np.int8([-128, 127])), [-128, 127])
        self.assertEqual(self.values(np.array([True, False])), [True, False])
        self.assertEqual(self.values(np.float32([])), [])
        many = np.arange(1000, dtype=np.int32)
        self.assertEqual(self.values(many), list(range(100)))
        self.assertEqual(self.values(many, "--values=2"), [0, 1])
        self.assertEqual(self.values(many, "--values=0"), [])
        self.assertEqual(self.values(many, "--values=5000"), list(range(1000)))
        out, _ = self.quern("run", "same.onnx", "--input=x.npy", "--values=3")
        self.assertIn("\n  0 1 2 ...\n", out)
        self.fails(USAGE, "run", "same.onnx", "--input=x.npy", "--values=-1", says="--values")

    def test_run_string_values(self):
        onnx.save(make_model([helper.make_node("Identity", ["c"], ["y"])], [],
                             [value("y", [2], TensorProto.STRING)],
                             [helper.make_tensor("c", TensorProto.STRING, [2], [b"a", b"\xff"])]),
                  str(self.folder / "text.onnx"))
        report = self.quern_json("run", "text.onnx")
        self.assertEqual(report["outputs"][0]["values"], ["a", "\ufffd"])

    def test_time_budgets(self):
        for verb, options, what in (("run", ["--input=zeros"], "the run"),
                                    ("bench", ["--runs=5"], "the median run")):
            out, err = self.quern(verb, "gemm.onnx", *options, "--max-time=0ms", exits=TOO_SLOW)
            self.assertRegex(err, f"quern: error: {what} took [0-9.e-]+ ms, longer than --max-time 0ms")
            self.assertNotEqual(out, "")
            report = self.quern_json(verb, "gemm.onnx", *options, "--max-time=2min")
            self.assertEqual(report["max_time_ms"], 120000)

    def long_chain(self):
        names = [f"layer/{i}/relu" for i in range(30)]
        nodes = [helper.make_node("Neg", [f"t{i}"], [f"t{i + 1}"], names[i]) for i in range(30)]
        onnx.save(make_model(nodes, [value("t0", [4])], [value("t30", [4])]),
                  str(self.folder / "chain.onnx"))
        return "+".join(names)

    def test_long_lists_of_nodes(self):
        everything = self.long_chain()
        bench = ("bench", "chain.onnx", "--runs=1", "--profile")
        out, _ = self.quern(*bench, "-O2")
        self.assertIn("layer/0/relu ... layer/29/relu (30)  ", out)
        self.assertLess(max(map(len, out.splitlines())), 140)
        self.assertIn(everything, self.quern(*bench, "-v")[0])
        self.assertEqual(self.quern_json(*bench)["steps"][0]["nodes"], everything)

    def test_long_names(self):
        name = "/encoder" * 20 + "/é" * 20 + "/Exp"
        onnx.save(make_model([helper.make_node("Exp", ["x"], ["y"], name)], [value("x", [4])],
                             [value("y", [4])]), str(self.folder / "name.onnx"))
        out, _ = self.quern("bench", "name.onnx", "--runs=1", "--profile")
        self.assertRegex(out, "\n/encoder/encode[.]{3}é?(/é)+/Exp  ")

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
            for cost in ("flops", "bytes_read", "bytes_written", "gbps", "expected_ms"):
                self.assertEqual(any(s[cost] for s in report["steps"]), backend == "native", cost)
        out, _ = self.quern("bench", "gemm.onnx", *FAST, "--profile")
        for word in ("load", "compile", "first run", "p99", "peak RSS", "GB/s", "GFLOP/s", "% of peak", "matmul1"):
            self.assertIn(word, out)
        self.assertNotIn("expected ms", out)
        self.assertIn("expected ms", self.quern("bench", "gemm.onnx", *FAST, "--profile", "-v")[0])

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

    def test_compare_under_the_same_floating_point_mode(self):
        # Native code takes 1e-40 for 0, which is not above 0; what is folded when compiling is not.
        nodes = [helper.make_node("Greater", ["x", "zero"], ["g"], "greater1"),
                 helper.make_node("Cast", ["g"], ["y"], "cast1", to=TensorProto.FLOAT),
                 helper.make_node("Mul", ["tiny", "huge"], ["m"], "mul1"),
                 helper.make_node("Add", ["x", "m"], ["z"], "add1")]
        constants = [onnx.numpy_helper.from_array(np.array(number, np.float32), name)
                     for name, number in (("zero", 0), ("tiny", 1e-40), ("huge", 1e38))]
        onnx.save(make_model(nodes, [value("x", [2])], [value("y", [2]), value("z", [2])], constants),
                  str(self.folder / "tiny.onnx"))
        np.save(self.folder / "x.npy", np.array([1e-40, 1], np.float32))
        given = ("compare", "tiny.onnx", "--input", "x.npy", "--duration=1ms")
        _, err = self.quern(*given)
        self.assertIn("output 'y': native code takes subnormal numbers for zero, which changes it", err)
        self.assertNotIn("output 'z'", err)
        report = self.quern_json(*given)
        self.assertEqual([(o["name"], o["pass"], o["flush_matters"]) for o in report["outputs"]],
                         [("y", True, True), ("z", True, False)])

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
