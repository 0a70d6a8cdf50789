"""quern trace: what it records, as Chrome's trace format."""

import json
import unittest

from cli import USAGE, CliTest


class Trace(CliTest):
    def traced(self, *arguments):
        out, _ = self.quern("trace", "gemm.onnx", "--dim=N=64", "-o", "t.json", *arguments)
        self.assertRegex(out, r"^t.json: \d+ spans of \d+ threads?, \d+ runs?; open it at https://")
        return json.loads((self.folder / "t.json").read_text(encoding="utf-8"))

    def test_spans(self):
        trace = self.traced("--runs=2", "--threads=1")
        self.assertEqual(trace["otherData"]["omitted_spans"], 0)
        events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
        names = {event["args"]["name"] for event in trace["traceEvents"] if event["ph"] == "M"}
        self.assertLessEqual({"Quern", "main thread"}, names)
        # What the format demands of complete events.
        for event in events:
            self.assertLessEqual({"name", "cat", "ts", "dur", "pid", "tid"}, set(event))
            self.assertGreaterEqual(event["dur"], 0)
            self.assertTrue(event["name"])
        by_kind = {kind: [event for event in events if event["cat"] == kind]
                   for kind in ("load", "compile", "run", "step")}
        self.assertEqual(len(by_kind["load"]), 1)
        self.assertTrue(any(e["name"].startswith("kernel ") for e in by_kind["compile"]))
        self.assertIn("planning", [event["name"] for event in by_kind["compile"]])
        self.assertEqual(len(by_kind["run"]), 2)
        products = [event for event in by_kind["step"] if event["args"].get("flops")]
        self.assertEqual(len(products), 2)
        self.assertEqual(products[0]["args"]["engine"], "float32")
        # Each step lies in a run of its thread.
        for step in by_kind["step"]:
            self.assertTrue(any(run["tid"] == step["tid"] and run["ts"] <= step["ts"] and
                                step["ts"] + step["dur"] <= run["ts"] + run["dur"] + 1e-3
                                for run in by_kind["run"]), step)
        starts = [event["ts"] for event in events]
        self.assertEqual(starts, sorted(starts))

    def test_interpreter(self):
        events = self.traced("--backend=interpreter", "--runs=1")["traceEvents"]
        steps = [event for event in events if event.get("cat") == "step"]
        self.assertTrue(steps)
        self.assertTrue(all(step["args"]["nodes"] for step in steps))

    def test_what_fails(self):
        self.fails(USAGE, "trace", "gemm.onnx", says="--output is required")
        self.fails(USAGE, "trace", "gemm.onnx", "-o", "t.json", "--runs=0", says="--runs")
        self.fails(USAGE, "trace", "gemm.onnx", "-o", "gemm.onnx", says="gemm.onnx")
        self.fails(10, "trace", "gemm.onnx", "-o", "no/such/t.json", says="no/such/t.json")
        self.fails(10, "trace", "missing.onnx", "-o", "t.json", says="missing.onnx")
        self.assertFalse((self.folder / "t.json").exists())


if __name__ == "__main__":
    unittest.main()
