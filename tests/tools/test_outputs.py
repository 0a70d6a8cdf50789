"""Where results go."""

import io
import shutil
import stat
import subprocess
import unittest

import numpy as np
import onnx
from cli import (INVALID_INPUT, IO, QUERN, UNSUPPORTED, USAGE, CliTest, links_archive, make_model,
                 value)
from onnx import TensorProto, helper, numpy_helper


class Outputs(CliTest):
    def run_add(self, *options, **keywords):
        return self.quern("run", "add.onnx", "--input=random", "--dim=N=2", *options, **keywords)

    def test_npz_and_npy(self):
        self.run_add("--output", "y.npz", "--output", "y=y.npy")
        archive = np.load(self.folder / "y.npz")
        self.assertEqual(archive.files, ["y"])
        self.assertEqual(archive["y"].shape, (2, 3))
        self.assertEqual(archive["y"].dtype, np.float32)
        np.testing.assert_array_equal(archive["y"], np.load(self.folder / "y.npy"))
        self.assertEqual(self.files(), ["y.npy", "y.npz"])

    def test_short_option(self):
        self.run_add("-o", "y.npz", "-o", "only.npy")
        self.assertEqual(np.load(self.folder / "y.npz").files, ["y"])
        self.assertEqual(np.load(self.folder / "only.npy").shape, (2, 3))

    def test_which_output(self):
        nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
        onnx.save(make_model(nodes, [value("x", [2])], [value("y", [2]), value("z", [2])]),
                  str(self.folder / "two.onnx"))
        self.fails(USAGE, "run", "two.onnx", "--input=random", "-o", "out.npy",
                   says="'out.npy' could be any of the model's 2 outputs; write --output "
                        "NAME=out.npy (y, z), or FILE.npz for all")
        self.quern("run", "two.onnx", "--input=random", "-o", "z=out.npy", "-o", "all.npz")
        self.assertEqual(np.load(self.folder / "all.npz").files, ["y", "z"])
        self.assertEqual(self.files(), ["all.npz", "out.npy"])

    def piped(self, *arguments):
        done = subprocess.run([QUERN, "run", *arguments], cwd=self.folder, stdout=subprocess.PIPE,
                              check=True)
        return np.load(io.BytesIO(done.stdout))

    def test_standard_output(self):
        np.testing.assert_array_equal(
            self.piped("add.onnx", "--input=random", "--dim=N=2", "-o", "-", "-o", "y.npy"),
            np.load(self.folder / "y.npy"))
        nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
        onnx.save(make_model(nodes, [value("x", [2])], [value("y", [2]), value("z", [2])]),
                  str(self.folder / "two.onnx"))
        np.save(self.folder / "x.npy", np.float32([-1, 2]))
        both = self.piped("two.onnx", "--input=x.npy", "-o", "-", "--json=report.json")
        np.testing.assert_array_equal(both["y"], [0, 2])
        np.testing.assert_array_equal(both["z"], [1, -2])
        np.testing.assert_array_equal(self.piped("two.onnx", "--input=x.npy", "-o", "z=-"), [1, -2])
        self.fails(USAGE, "run", "two.onnx", "--input=x.npy", "-o", "-", "--json",
                   says="--output - and --json both write to standard output; use --json=FILE")
        self.fails(USAGE, "run", "two.onnx", "--input=x.npy", "-o", "-", "-o", "z=-",
                   says="standard output is given twice")

    def test_closed_streams(self):
        """Their numbers are not given to files, which would get what is for the user."""
        command = f"{QUERN} run add.onnx --input=zeros -o y.npz --json=r.json -v"
        for closed in ("0<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            done = subprocess.run(f"{command} {closed}", shell=True, cwd=self.folder,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            wanted = IO if " >&-" in f" {closed}" else 0
            self.assertEqual(done.returncode, wanted, (closed, done.stderr))
            self.assertEqual(np.load(self.folder / "y.npz")["y"].shape, (1, 3), closed)

    def test_standard_output_that_ends_early(self):
        command = f"{QUERN} run add.onnx --input=zeros --dim=N=400000 -o - 2>err | head -c 10"
        done = subprocess.run(command, shell=True, cwd=self.folder, stdout=subprocess.PIPE)
        self.assertEqual(done.stdout[:6], b"\x93NUMPY")
        full = subprocess.run(f"{QUERN} run add.onnx --input=zeros --dim=N=4 -o - >/dev/full",
                              shell=True, cwd=self.folder, stderr=subprocess.PIPE, text=True)
        self.assertEqual(full.returncode, IO)
        self.assertIn("cannot write 'standard output': No space left", full.stderr)

    def test_values_of_all_kinds(self):
        sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
        result = helper.make_tensor_sequence_value_info("t", TensorProto.FLOAT, None)
        nodes = [helper.make_node("SequenceInsert", ["s", "x"], ["t"]),
                 helper.make_node("SequenceLength", ["t"], ["n"])]
        onnx.save(make_model(nodes, [sequence, value("x", [2])],
                             [result, value("n", [], TensorProto.INT64)]),
                  str(self.folder / "seq.onnx"))
        given = numpy_helper.from_list([np.float32([1]), np.float32([2, 3, 4])], "s")
        (self.folder / "s.pb").write_bytes(given.SerializeToString())
        np.save(self.folder / "x.npy", np.float32([5, 6]))
        inputs = ["--input", "s=s.pb", "--input", "x=x.npy"]
        for backend in "native", "interpreter":
            out, _ = self.quern("run", "seq.onnx", *inputs, "--backend", backend, "-o",
                                f"{backend}/", "-o", "t=t.pb")
            self.assertIn("t: sequence of 3 values\n  0: float32 1, min 1, max 1", out)
            for path in self.folder / backend / "output_0.pb", self.folder / "t.pb":
                found = onnx.SequenceProto()
                found.ParseFromString(path.read_bytes())
                self.assertEqual(found.name, "t")
                self.assertEqual([list(a) for a in numpy_helper.to_list(found)],
                                 [[1], [2, 3, 4], [5, 6]])
            length = onnx.TensorProto()
            length.ParseFromString((self.folder / backend / "output_1.pb").read_bytes())
            self.assertEqual(numpy_helper.to_array(length), 3)
        report = self.quern_json("run", "seq.onnx", *inputs)
        self.assertEqual(report["outputs"][0]["kind"], "sequence")
        self.assertEqual(report["outputs"][0]["values"][2]["shape"], [2])
        self.quern("compare", "seq.onnx", *inputs, "--duration=1ms")
        self.quern("bench", "seq.onnx", "--runs=1")
        self.fails(USAGE, "run", "seq.onnx", *inputs, "-o", "y.npz",
                   says="output 't' is no tensor but a sequence of float32")
        self.fails(USAGE, "run", "seq.onnx", *inputs, "-o", "t=y.npy", says="is no tensor")
        self.fails(INVALID_INPUT, "run", "seq.onnx", "--input", "x=x.npy",
                   says="input 's' (sequence of float32 of any shape) is not given; use --input "
                        "s=FILE.pb")
        self.fails(IO, "run", "seq.onnx", *inputs, "-o", "no/folder/", says="cannot write")

    def test_replaces_a_file_and_respects_umask(self):
        (self.folder / "y.npy").write_text("old")
        self.run_add("--output", "y.npy")
        self.assertEqual(np.load(self.folder / "y.npy").shape, (2, 3))
        self.assertTrue((self.folder / "y.npy").stat().st_mode & stat.S_IRUSR)

    def test_unwritable(self):
        (self.folder / "dir.npz").mkdir()
        for path, says in {"no/y.npz": "No such file", "dir.npz": "it is a directory",
                           "/proc/y.npz": ""}.items():
            self.fails(IO, "run", "add.onnx", "--input=random", "--output", path,
                       says=[f"cannot write '{path}'", says])
        self.fails(IO, "inspect", "add.onnx", "--json=no/x.json", says="cannot write 'no/x.json'")
        self.fails(IO, "bench", "add.onnx", "--json=no/x.json", says="cannot write 'no/x.json'")
        self.fails(IO, "compile", "add.onnx", "-o", "no/m.so", says="cannot write 'no/m.so'")
        self.fails(IO, "compile", "add.onnx", "-o", "m.so", "--header", "no/m.h",
                   says="cannot write 'no/m.h'")
        self.assertEqual(self.files(), ["dir.npz"])

    def test_unwritable_is_found_before_the_work(self):
        # The missing input would be the next error.
        self.fails(IO, "run", "add.onnx", "--output", "no/y.npz", says="cannot write")

    def test_full_disk(self):
        for arguments in (("version",), ("--help",), ("run", "--help"), ("inspect", "add.onnx", "--json")):
            with open("/dev/full", "w") as full:
                done = subprocess.run([QUERN, *arguments], cwd=self.folder, stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=60)
            self.assertEqual(done.returncode, IO)
            self.assertIn("cannot write to standard output", done.stderr)

    def test_nothing_is_left_after_a_failure(self):
        self.fails(INVALID_INPUT, "run", "add.onnx", "--output", "y.npz", says="not given")
        self.assertEqual(self.files(), [])

    def test_names_and_kinds(self):
        self.fails(USAGE, "run", "add.onnx", "--input=random", "--output", "q=y.npy",
                   says="the model has no output 'q'; its outputs are y")
        for path in ("y.txt", "y", "y=y.npz"):
            self.fails(USAGE, "run", "add.onnx", "--input=random", "--output", path,
                       says="write FILE.npz or FOLDER/ for all outputs, or NAME=FILE.npy")

    def test_stdout_has_data_only(self):
        out, err = self.run_add()
        self.assertIn("y: float32 2x3", out)
        self.assertEqual(err, "")
        out, err = self.run_add("-v")
        self.assertNotIn("compiled in", out)
        self.assertIn("compiled in", err)

    def test_color(self):
        _, err = self.quern("run", "nope.onnx", "--color=always", exits=IO)
        self.assertIn("\033[31m", err)
        _, err = self.quern("run", "nope.onnx", exits=IO)
        self.assertNotIn("\033", err)


class Artifacts(CliTest):
    def test_says_what_it_wrote(self):
        arguments = ["compile", "gemm.onnx", "--dim=N=1", "-o", "m.so", "--multi-cpu=v2,v3"]
        out, err = self.quern(*arguments)
        self.assertEqual(out, "")
        self.assertRegex(err, r"^quern: note: wrote m.so \(\d+\.\d kB\) for x86-64-v3, x86-64-v2, "
                              r"precision f32, in \d+\.\d\d s\n$")
        self.assertEqual(self.quern(*arguments, "-q"), ("", ""))
        report = self.quern_json(*arguments)
        self.assertEqual(report["bytes"], (self.folder / "m.so").stat().st_size)
        self.assertEqual(report["target_cpus"], ["x86-64-v3", "x86-64-v2"])
        report = self.quern_json("compile", "gemm.onnx", "--dim=N=1", "-o", "w.so", "--weights=file")
        self.assertEqual(report["bytes"], (self.folder / "w.so").stat().st_size +
                         (self.folder / "w.weights").stat().st_size)
        # Without an option it is this CPU.
        self.assertEqual(report["target_cpus"], self.quern_json("compile", "gemm.onnx", "--dim=N=1",
                                                                "-o", "h.o", "--target-cpu=host")
                         ["target_cpus"])

    def test_needs_an_output(self):
        self.fails(USAGE, "compile", "add.onnx", says="-o FILE is required")
        self.fails(USAGE, "compile", "add.onnx", "-o", "m.exe", says="wanted FILE.so, FILE.o")

    def test_prefix(self):
        for name, prefix in {"my-model.v2.so": "my_model_v2", "3d.o": "model_3d"}.items():
            report = self.quern_json("compile", "gemm.onnx", "--dim=N=1", "-o", name,
                                     "--header", "m.h")
            self.assertEqual(report["prefix"], prefix)
            self.assertIn(f"int {prefix}_run(", (self.folder / "m.h").read_text())

    @links_archive
    def test_reference_kernels(self):
        """They come from the archive beside the program; the user is told what else is needed."""
        onnx.save(make_model([helper.make_node("Det", ["x"], ["y"])], [value("x", [2, 3, 3])],
                             [value("y", [2])]), str(self.folder / "det.onnx"))
        _, err = self.quern("compile", "det.onnx", "-o", "det.so")
        self.assertIn("note: det.so has reference kernels in it and needs -lstdc++ -lm", err)
        _, err = self.quern("compile", "det.onnx", "-o", "det.o")
        self.assertIn("note: link det.o with libquern_runtime.a -lstdc++ -lm", err)
        report = self.quern_json("compile", "det.onnx", "-o", "det.a")
        self.assertEqual(report["needed"], ["libquern_runtime.a", "-lstdc++", "-lm"])
        # A program that was copied away from its archive.
        (self.folder / "bin").mkdir()
        shutil.copy(QUERN, self.folder / "bin/quern")
        done = subprocess.run([self.folder / "bin/quern", "compile", "det.onnx", "-o", "m.so"],
                              cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, UNSUPPORTED)
        self.assertIn("(nn.det): no native code for determinants, and libquern_runtime.a",
                      done.stderr)

    def test_needs_all_sizes(self):
        self.fails(USAGE, "compile", "add.onnx", "-o", "m.so",
                   says=["input 'a' is float32 Nx3", "--dim"])

    def test_phases(self):
        for phase in ("imported", "simplified", "laid-out", "fused"):
            out, _ = self.quern("compile", "gemm.onnx", "--dim=N=2", "--compile-to", phase)
            self.assertIn("nn.", out)
        self.quern("compile", "gemm.onnx", "--dim=N=2", "--compile-to=object", "-o", "gemm.s")
        self.assertIn(".text", (self.folder / "gemm.s").read_text())
        self.fails(USAGE, "compile", "gemm.onnx", "--compile-to=frob",
                   says=["there is no phase 'frob'", "imported, simplified"])

    def test_dump_phases(self):
        self.quern("run", "gemm.onnx", "--input=zeros", "--dim=N=2", "--dump-phases-to", "dump/x")
        self.assertTrue(any((self.folder / "dump/x").iterdir()))
        self.fails(IO, "run", "gemm.onnx", "--input=zeros", "--dump-phases-to", "gemm.onnx/x",
                   says="cannot make folder 'gemm.onnx/x'")

    def test_dumps_of_bodies_have_names_of_their_own(self):
        def branch(op, name):
            return helper.make_graph([helper.make_node(op, ["x"], [name])], name, [],
                                     [value(name, None)])
        nodes = [helper.make_node("If", ["c"], ["a"], then_branch=branch("Exp", "t"),
                                  else_branch=branch("Abs", "e")),
                 helper.make_node("If", ["c"], ["b"], then_branch=branch("Sqrt", "u"),
                                  else_branch=branch("Neg", "f"))]
        onnx.save(make_model(nodes, [value("x", ["N"]), value("c", [], TensorProto.BOOL)],
                             [value("a", None), value("b", None)]),
                  str(self.folder / "branches.onnx"))
        self.quern("run", "branches.onnx", "--input=zeros", "--dump-phases-to", "bodies")
        texts = {path.name: path.read_text() for path in (self.folder / "bodies").glob("*.mlir")}
        for name, op in (("", "nn.if"), ("0.then.", "nn.exp"), ("0.else.", "nn.abs"),
                         ("1.then.", "nn.sqrt"), ("1.else.", "nn.neg")):
            self.assertIn(op, texts[name + "1-simplified.mlir"])
            self.assertIn(name + "3-fused.mlir", texts)
        self.assertNotIn("nn.exp", texts["3-fused.mlir"])


if __name__ == "__main__":
    unittest.main()
