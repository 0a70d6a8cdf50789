"""No file of the user is replaced by another one, whatever its path is spelled like; what is
replaced keeps its permissions."""

import os
import stat
import unittest

import numpy as np
import onnx
from cli import IO, UNSUPPORTED, USAGE, CliTest, gemm_model, make_model, value
from onnx import helper


def two_outputs():
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    return make_model(nodes, [value("x", [2])], [value("y", [2]), value("z", [2])])


class Guarded(CliTest):
    def setUp(self):
        super().setUp()
        onnx.save(gemm_model(), str(self.folder / "net.onnx"), save_as_external_data=True,
                  location="net.weights", size_threshold=0)
        onnx.save(two_outputs(), str(self.folder / "two.onnx"))
        self.save("x.npy", np.ones((2, 4), np.float32))
        self.kept = {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def refuses(self, writer, reader, *arguments):
        """The file `writer` is not written over the file `reader`; both are named."""
        self.fails(USAGE, *arguments, says=[f"{writer} would replace the ", reader])
        for name, content in self.kept.items():
            self.assertEqual((self.folder / name).read_bytes(), content, name)

    def test_external_data(self):
        name = "external data './net.weights'"
        self.refuses("weights 'net.weights'", name, "compile", "net.onnx", "--dim=N=2",
                     "--weights=file", "-o", "net.so")
        self.refuses("header 'net.weights'", name, "compile", "net.onnx", "--dim=N=2", "-o", "m.o",
                     "--header", "net.weights")
        report = "JSON report 'net.weights'"
        for verb in (["run", "--input=random"], ["bench", "--runs=1"], ["check"], ["inspect"],
                     ["compare", "--duration=1ms"], ["compile", "-o", "m.o"]):
            self.refuses(report, name, verb[0], "net.onnx", "--json=net.weights", *verb[1:])
        self.quern("compile", "net.onnx", "--dim=N=2", "--weights=file", "-o", "other.so")

    def test_external_data_of_models_that_are_refused(self):
        model = onnx.load(str(self.folder / "net.onnx"), load_external_data=False)
        model.graph.node[0].op_type = "Frobnicate"
        onnx.save(model, str(self.folder / "bad.onnx"))
        self.refuses("JSON report 'net.weights'", "./net.weights", "check", "bad.onnx", "--json=net.weights")
        self.quern("check", "bad.onnx", "--json=report.json", exits=UNSUPPORTED)

    def test_spellings(self):
        (self.folder / "px").mkdir()
        (self.folder / "link.onnx").symlink_to("net.onnx")
        os.link(self.folder / "gemm.onnx", self.folder / "hard.o")
        for header in ("px/z.o", "px/../px/./z.o", f"{self.folder}/px/z.o"):
            self.refuses(f"header '{header}'", "artefact 'px/z.o'", "compile", "gemm.onnx",
                         "--dim=N=1", "-o", "px/z.o", "--header", header)
        self.refuses("header 'net.onnx'", "model 'link.onnx'", "compile", "link.onnx", "--dim=N=1",
                     "-o", "z.o", "--header", "net.onnx")
        self.refuses("artefact 'hard.o'", "model 'gemm.onnx'", "compile", "gemm.onnx",
                     "--dim=N=1", "-o", "hard.o")

    def test_two_outputs_in_one_file(self):
        self.refuses("JSON report 'q.o'", "artefact 'q.o'", "compile", "gemm.onnx", "--dim=N=1",
                     "-o", "q.o", "--json=q.o")
        run = ["run", "two.onnx", "--input=random"]
        self.refuses("output 's.npz'", "JSON report './s.npz'", *run, "-o", "s.npz",
                     "--json=./s.npz")
        self.refuses("output 's.npy'", "output 's.npy'", *run, "-o", "y=s.npy", "-o", "z=s.npy")
        (self.folder / "o").mkdir()
        self.refuses("output './o/output_1.pb'", "output 'o/output_1.pb'", *run, "-o", "o/", "-o",
                     "z=./o/output_1.pb")
        self.assertEqual(self.files(), ["net.weights", "o", "x.npy"])

    def test_inputs(self):
        run = ["run", "gemm.onnx", "--input", "x=x.npy"]
        self.refuses("output 'x.npy'", "input 'x.npy'", *run, "-o", "x.npy")
        self.refuses("JSON report './x.npy'", "input 'x.npy'", *run, "--json=./x.npy")

    def test_libraries(self):
        self.quern("compile", "gemm.onnx", "--dim=N=2", "--weights=file", "-o", "lib.so")
        self.kept = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        for name in ("lib.so", "lib.weights"):
            self.refuses(f"JSON report '{name}'", name, "run", "lib.so", "--input", "x=x.npy",
                         f"--json={name}")
            self.refuses(f"JSON report '{name}'", name, "inspect", "lib.so", f"--json={name}")
        self.refuses("JSON report 'net.weights'", "external data", "compare", "lib.so",
                     "--reference", "net.onnx", "--duration=1ms", "--json=net.weights")

    def test_dumps(self):
        (self.folder / "0-imported.mlir").symlink_to("gemm.onnx")
        for verb in (["run", "--input=random"], ["compile", "-o", "m.o", "--dim=N=1"], ["check"]):
            self.refuses("dump of a phase './0-imported.mlir'", "gemm.onnx", verb[0], "gemm.onnx",
                         "--dump-phases-to=.", *verb[1:])

    def test_folders(self):
        """A .c-test is replaced with all that is in it, so nobody else's file may be there."""
        self.quern("compile", "gemm.onnx", "--dim=N=1", "-o", "m.c-test")
        self.quern("compile", "gemm.onnx", "--dim=N=2", "-o", "m.c-test")
        self.refuses("JSON report 'm.c-test/x.json'", "artefact 'm.c-test'", "compile",
                     "gemm.onnx", "--dim=N=1", "-o", "m.c-test", "--json=m.c-test/x.json")
        inside = self.folder / "m.c-test/model.onnx"
        inside.write_bytes((self.folder / "gemm.onnx").read_bytes())
        self.refuses("artefact 'm.c-test'", "model 'm.c-test/model.onnx'", "compile",
                     "m.c-test/model.onnx", "--dim=N=1", "-o", "m.c-test")
        self.fails(IO, "compile", "gemm.onnx", "--dim=N=1", "-o", "m.c-test",
                   says="it has a file that quern compile did not write, 'model.onnx'")
        self.assertTrue(inside.exists())


class Permissions(CliTest):
    def mode(self, name):
        return stat.S_IMODE((self.folder / name).stat().st_mode)

    def test_are_kept(self):
        writes = {"y.npy": ["run", "gemm.onnx", "--input=random", "-o", "y.npy"],
                  "r.json": ["inspect", "gemm.onnx", "--json=r.json"],
                  "m.o": ["compile", "gemm.onnx", "--dim=N=1", "-o", "m.o"],
                  "m.h": ["compile", "gemm.onnx", "--dim=N=1", "-o", "n.o", "--header", "m.h"],
                  "w.weights": ["compile", "gemm.onnx", "--dim=N=1", "-o", "w.o",
                                "--weights=file"]}
        for name, arguments in writes.items():
            self.quern(*arguments)
            for mode in (0o600, 0o640):
                (self.folder / name).chmod(mode)
                self.quern(*arguments)
                self.assertEqual(self.mode(name), mode, name)
        self.quern("compile", "gemm.onnx", "--dim=N=1", "-o", "m.c-test")
        (self.folder / "m.c-test").chmod(0o700)
        self.quern("compile", "gemm.onnx", "--dim=N=1", "-o", "m.c-test")
        self.assertEqual(self.mode("m.c-test"), 0o700)


if __name__ == "__main__":
    unittest.main()
