"""Wrong use of the command line, and models that cannot be read."""

import os
import unittest

import onnx
from cli import (INCOMPATIBLE, INVALID_INPUT, INVALID_MODEL, IO, UNSUPPORTED, USAGE, CliTest,
                 make_model, unsupported_model, value)
from onnx import helper

VERBS = ("run", "check", "inspect", "compile", "compare", "bench")


class Arguments(CliTest):
    def test_no_verb(self):
        out, err = self.quern(exits=USAGE)
        self.assertEqual((out, err), ("", self.quern("--help")[0]))
        self.fails(USAGE, "-q", says=["quern has no option '-q'", "Try 'quern --help'"])

    def test_unknown_verb(self):
        self.fails(USAGE, "frob", says="there is no verb 'frob'; the verbs are run, check, ")

    def test_help(self):
        for arguments in [("--help",)] + [(verb, "--help") for verb in VERBS]:
            out, err = self.quern(*arguments)
            self.assertIn("Usage: quern", out)
            self.assertEqual(err, "")

    def test_version(self):
        out, err = self.quern("--version")
        self.assertEqual((out, err), (f"quern {self.quern_json('version')['version']}\n", ""))

    def test_no_model(self):
        for verb in VERBS:
            self.fails(USAGE, verb, says=["MODEL is required", f"Try 'quern {verb} --help'"])

    def test_unknown_option(self):
        self.fails(USAGE, "run", "add.onnx", "--frob", says="quern run has no option '--frob'\n")
        self.fails(USAGE, "run", "--frob", says="quern run has no option '--frob'\n")

    def test_misspelt_words(self):
        for word, meant in {"benhc": "bench", "Compile": "compile", "chek": "check"}.items():
            self.fails(USAGE, word, "add.onnx", says=f"; did you mean '{meant}'?")
        # An option before the model takes it for its value, were it known.
        for arguments in (["add.onnx", "--thread", "4"], ["--thread=4", "add.onnx"],
                          ["--thread", "4", "add.onnx"]):
            self.fails(USAGE, "run", *arguments,
                       says="quern run has no option '--thread'; did you mean '--threads'?\n")
        self.fails(USAGE, "check", "add.onnx", "--dims=N=1", says="did you mean '--dim'?")
        self.fails(INVALID_INPUT, "run", "gemm.onnx", "--input", "X=zeros",
                   says="no input 'X'; its inputs are x; did you mean 'x'?")
        self.fails(USAGE, "run", "gemm.onnx", "--input=zeros", "-o", "Y=y.npy",
                   says="no output 'Y'; its outputs are y; did you mean 'y'?")

    def test_extra_argument(self):
        self.fails(USAGE, "run", "add.onnx", "more.onnx", says="more.onnx")
        self.fails(USAGE, "inspect", "add.onnx", "--json", "file", says="file")
        self.fails(USAGE, "run", "add.onnx", "b", "c", "d", says="not expected: b c d\n")

    def test_values_out_of_range(self):
        for option in ("--threads=0", "--threads=-1", "--threads=x", "-O4", "--backend=gpu",
                       "--color=pink", "--seed=-1"):
            self.fails(USAGE, "run", "add.onnx", option, says=option.split("=")[0][:2])

    def test_options_without_a_value(self):
        for arguments in (["run", "add.onnx", "--dim"], ["bench", "add.onnx", "--duration"],
                          ["run", "add.onnx", "--json="]):
            self.fails(USAGE, *arguments,
                       says=f"error: {arguments[-1].rstrip('=')} needs a value\n")

    def test_duration(self):
        for verb in ("bench", "compare"):
            self.fails(USAGE, verb, "add.onnx", "--duration", "3h", says="'3h' is no duration")

        for verb in ("bench", "run"):
            self.fails(USAGE, verb, "add.onnx", "--max-time", "3h",
                       says="--max-time: '3h' is no duration")

    def test_shape_syntax(self):
        for text in ("a", "a=", "=1x3", "a=1xx3", "a=1x-3", "a=1,3", "a=1x99999999999999999999"):
            self.fails(USAGE, "run", "add.onnx", f"--shape={text}", says="wanted NAME=SIZES")
        for text in ("N", "N=", "=1", "N=x", "N=-1", "N=1x3"):
            self.fails(USAGE, "run", "add.onnx", f"--dim={text}", says="wanted NAME=SIZE")
        self.fails(USAGE, "run", "add.onnx", "--dim=N=1", "--dim=N=2", says="already has a size")

    def test_unknown_sizes(self):
        self.fails(INVALID_INPUT, "run", "add.onnx", "--dim", "Q=1", says="Q")
        self.fails(INVALID_INPUT, "run", "add.onnx", "--shape", "q=1x3", says="q")
        self.fails(INVALID_INPUT, "run", "add.onnx", "--shape", "a=1x4", says="a")
        self.fails(INVALID_INPUT, "run", "add.onnx", "--shape", "a=1x3x1", says="a")

    def test_unknown_cpu(self):
        self.fails(USAGE, "run", "add.onnx", "--input=zeros", "--target-cpu=frob", says="frob")
        self.fails(USAGE, "check", "add.onnx", "--target-cpu=i686", says="64-bit")

    def test_cpu_that_this_machine_is_not(self):
        # No CPU has both.
        has_xop = "xop" in self.quern_json("version")["features"]
        cpu, feature = ("sapphirerapids", "avx512fp16") if has_xop else ("bdver2", "xop")
        for verb in ("run", "bench", "compare"):
            self.fails(INCOMPATIBLE, verb, "add.onnx", "--input=zeros", "--target-cpu", cpu,
                       says=[cpu, "cannot run on this machine, which lacks", feature])
        self.quern("check", "add.onnx", "--target-cpu", cpu)
        self.quern("compile", "add.onnx", "--dim=N=1", "--target-cpu", cpu, "-o", "m.so")

    def test_other_machines(self):
        compile = ("compile", "add.onnx", "--dim=N=1", "-o", "m.so")
        self.fails(USAGE, *compile, "--target=riscv64-linux-gnu",
                   says="the targets are x86_64-linux-gnu and aarch64-linux-gnu")
        self.fails(USAGE, *compile, "--target=aarch64-linux-gnu", "--target-cpu=haswell",
                   says="unknown target CPU 'haswell'")
        self.fails(USAGE, *compile, "--target=aarch64-linux-gnu", "--multi-cpu=cortex-a72",
                   says="code for several CPUs in one file is for x86-64")
        self.fails(USAGE, *compile, "--multi-cpu=v3,frob", says="unknown target CPU 'frob'")
        self.fails(USAGE, *compile, "--multi-cpu=v3", "--target-cpu=host", says="excludes")
        self.quern(*compile, "--target=aarch64-linux-gnu")
        machine = (self.folder / "m.so").read_bytes()[18:20]
        self.assertEqual(int.from_bytes(machine, "little"), 183)  # EM_AARCH64
        self.assertEqual(self.files(), ["m.so"])


class Models(CliTest):
    def fails_everywhere(self, exits, model, says):
        for verb in ("inspect", "check", "run"):
            self.fails(exits, verb, model, says=says)

    def test_missing(self):
        self.fails_everywhere(IO, "nope.onnx", ["nope.onnx", "No such file"])

    def test_folder(self):
        (self.folder / "sub.onnx").mkdir()
        self.fails_everywhere(IO, "sub.onnx", "sub.onnx")

    def test_empty(self):
        (self.folder / "empty.onnx").write_bytes(b"")
        self.fails_everywhere(INVALID_MODEL, "empty.onnx", "empty.onnx")

    def test_text(self):
        (self.folder / "text.onnx").write_text("This is no model at all.\n")
        self.fails_everywhere(INVALID_MODEL, "text.onnx", "text.onnx")

    def test_truncated(self):
        whole = (self.folder / "gemm.onnx").read_bytes()
        (self.folder / "cut.onnx").write_bytes(whole[:-7])
        self.fails_everywhere(INVALID_MODEL, "cut.onnx", "cut.onnx")

    def test_fifo(self):
        os.mkfifo(self.folder / "fifo.onnx")
        self.fails_everywhere(IO, "fifo.onnx", "fifo.onnx")

    def test_unsupported_ops_are_listed_at_once(self):
        onnx.save(unsupported_model(), str(self.folder / "odd.onnx"))
        for verb in ("check", "run"):
            self.fails(UNSUPPORTED, verb, "odd.onnx", says=["odd.onnx", "Frobnicate", "Twirl"])
        out, _ = self.quern("inspect", "odd.onnx")
        self.assertIn("org.example.Twirl", out)

    def test_too_new_opset_is_said_once(self):
        onnx.save(make_model([helper.make_node("Relu", ["x"], ["t"]),
                              helper.make_node("Abs", ["t"], ["y"])],
                             [value("x", [2])], [value("y", [2])], opset=99),
                  str(self.folder / "new.onnx"))
        for verb in ("check", "run"):
            self.fails(UNSUPPORTED, verb, "new.onnx",
                       says="new.onnx: uses opset 99 of domain 'ai.onnx'; the newest known is 28\n")

    def test_shape_error_names_the_node(self):
        model = make_model([helper.make_node("Add", ["a", "b"], ["y"], "add7")],
                           [value("a", [2]), value("b", [3])], [value("y", None)])
        onnx.save(model, str(self.folder / "bad.onnx"))
        self.fails(INVALID_MODEL, "check", "bad.onnx", says=["bad.onnx", "add7"])


if __name__ == "__main__":
    unittest.main()
