"""What quern doctor says of this machine."""

import os
import unittest

from cli import USAGE, CliTest


class Doctor(CliTest):
    def test_json(self):
        report = self.quern_json("doctor")
        self.assertEqual(report["schema"], "quern.doctor/1")
        self.assertEqual(set(report["libraries"]), {"LLVM", "oneTBB", "protobuf"})
        self.assertEqual(report["version"], self.quern_json("version")["version"])
        self.assertEqual(report["cpu"]["name"], self.quern_json("version")["cpu"])
        self.assertEqual(report["cpus"]["affinity"], len(os.sched_getaffinity(0)))
        self.assertLessEqual(report["cpus"]["usable"], report["cpus"]["affinity"])
        self.assertEqual(report["threads"], report["cpus"]["usable"])
        self.assertGreater(report["memory_bytes"], 1 << 20)
        for key in ("thread_peak_gflops", "peak_gflops", "thread_peak_gflops_bfloat16",
                    "peak_gflops_bfloat16", "thread_peak_gops_int8", "peak_gops_int8",
                    "thread_read_gbps", "read_gbps"):
            self.assertGreater(report[key], 0)

    def test_table_and_warnings(self):
        cpu = next(iter(os.sched_getaffinity(0)))
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cpu})
        try:
            out, err = self.quern("doctor")
        finally:
            os.sched_setaffinity(0, before)
        for row in ("libraries", "features", "caches", "FMA peak", "bf16 peak", "int8 peak",
                    "memory read"):
            self.assertRegex(out, rf"(?m)^{row} ")
        self.assertIn("1 usable of ", out)
        self.assertIn("quern: warning: one-cpu: ", err)

    def test_cache(self):
        (self.folder / "cache").mkdir()
        (self.folder / "cache" / "x.so").write_bytes(b"1234")
        os.environ["QUERN_CACHE_DIR"] = str(self.folder / "cache")
        self.addCleanup(os.environ.pop, "QUERN_CACHE_DIR")
        self.assertEqual(self.quern_json("doctor")["cache"],
                         {"folder": str(self.folder / "cache"), "artefacts": 1, "bytes": 4, "kernels": 0,
                          "kernel_bytes": 0})
        out, _ = self.quern("doctor")
        self.assertRegex(out, r"(?m)^cache +/.*/cache, 0 kernels, 0 B, 1 artefacts, 4 B$")

    def test_threads(self):
        self.assertEqual(self.quern_json("doctor", "--threads", 1)["threads"], 1)
        if len(os.sched_getaffinity(0)) < 4096:
            self.fails(USAGE, "doctor", "--threads", 4096, says="wanted 1 to ")


if __name__ == "__main__":
    unittest.main()
