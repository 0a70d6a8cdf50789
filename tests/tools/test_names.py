"""Names of a model do no harm where they are printed or written."""

import json
import os
import subprocess
import unittest
from unittest import mock

import onnx
from cli import QUERN, USAGE, CliTest, make_model, value
from onnx import helper

NAMES = {"comment": "x*/ int evil; /*", "quote": 'a"b', "backslash": "a\\", "trigraph": "what??/",
         "lines": "a\n#error b", "continued": "a\\\nb", "escape": "a\x1b[31mb", "c1": "a\x9b31m",
         "format": "%s%n%d", "umlaut": "é", "dollar": "a$b", "return": "a\rb", "empty": " ",
         "direction": "a\u202eb"}
ALL = "x*/\"\\ a\x1b[31m\x9b31m\r\a\n\u202e%s"
COMPILERS = (["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"],
             ["clang++-19", "-x", "c++", "-std=c++14", "-Wall", "-Wextra", "-Werror"])
CONTROLS = [chr(code) for code in (*range(32), 127, *range(128, 160), 0x202e)
            if chr(code) not in "\n\t"]


def model(port, dim):
    return make_model([helper.make_node("Relu", [port], [port + "_out"], port)],
                      [value(port, [dim, 4])], [value(port + "_out", [dim, 4])])


class Names(CliTest):
    def check_harmless(self, text):
        for control in CONTROLS:
            self.assertNotIn(control, text)

    def raw(self, *arguments):
        """Both outputs of quern, which are UTF-8."""
        done = subprocess.run([QUERN, *arguments], cwd=self.folder, capture_output=True, timeout=60)
        return done.stdout.decode(), done.stderr.decode()

    def test_generated_code(self):
        """It compiles, and a name adds nothing to it."""
        for kind, name in NAMES.items():
            onnx.save(model(name, name), str(self.folder / f"{kind}.onnx"))
            self.quern("compile", f"{kind}.onnx", f"--dim={name}=2,3", "-o", f"{kind}.o", "--header",
                       f"{kind}.h", "--emit-main", f"{kind}.c", "-q")
            self.assertNotRegex((self.folder / f"{kind}.h").read_text(),
                                r"(?m)^ *(int evil|#error b)")
        for compiler in COMPILERS:
            subprocess.run([*compiler, "-c", *(f"{kind}.c" for kind in NAMES)],
                           cwd=self.folder, check=True)

    def test_generated_programs(self):
        onnx.save(model(ALL, ALL), str(self.folder / "m.onnx"))
        self.quern("compile", "m.onnx", f"--dim={ALL}=2,3", "-o", "m.o", "--header", "m.h",
                   "--emit-main", "main.c", "-q")
        subprocess.run(["cc", "main.c", "m.o", "-lm", "-o", "main"], cwd=self.folder, check=True)
        usage = subprocess.run(["./main"], cwd=self.folder, capture_output=True)
        self.assertEqual(usage.returncode, USAGE)
        self.check_harmless(usage.stderr.decode().replace("\u202e", ""))

    def test_test_folders(self):
        onnx.save(model("x", NAMES["comment"] + "\x1b"), str(self.folder / "m.onnx"))
        self.quern("compile", "m.onnx", f"--dim={NAMES['comment']}\x1b=2,3", "-o", "m.c-test")
        done = subprocess.run(["make", "-s", "-C", "m.c-test", "check"], cwd=self.folder, check=True,
                              capture_output=True)
        self.assertIn("x*/ int evil; /*\\x1B=2", done.stdout.decode())

    def test_terminal(self):
        onnx.save(model(ALL, ALL), str(self.folder / "m.onnx"))
        for arguments in (["inspect", "m.onnx"], ["check", "m.onnx"], ["run", "m.onnx"],
                          ["run", "m.onnx", "--input=random"],
                          ["bench", "m.onnx", "--runs=1", "--profile"],
                          ["compare", "m.onnx", "--duration=1ms"],
                          ["compile", "m.onnx", "-o", "m.so"],
                          ["compile", "m.onnx", f"--dim={ALL}=2,3", "-o", "m.so"],
                          ["inspect", "m.so"], ["run", "m.so", "--input=random"],
                          ["run", "m.onnx", "--input", "q\x1b[2J=zeros"],
                          ["q\x1b[2J"], ["run", "--q\x1b[2J"], ["run", "no\x1b[2J.onnx"]):
            out, err = self.raw(*arguments)
            self.check_harmless(out)
            self.check_harmless(err)

    def test_table_cells_are_one_line(self):
        onnx.save(model("a\nquern: error: no", "N"), str(self.folder / "m.onnx"))
        name = "a\nquern: error: no"
        for arguments in (["inspect", "m.onnx"], ["check", "m.onnx"],
                          ["run", "m.onnx", "--input=random"],
                          ["bench", "m.onnx", "--runs=1", "--profile"],
                          ["explain", "m.onnx", "--asm", name],
                          ["compare", "m.onnx", "--per-node", "-v"]):
            out, _ = self.raw(*arguments)
            self.assertNotIn("\nquern: error: no", out)

    def test_names_of_wrong_nodes_are_one_line(self):
        """Of the first that differs, of those that are computed with it, and of what is left."""
        name = "a\nquern: error: no"
        nodes = [helper.make_node("Exp", ["x"], ["e"], name + "1"),
                 helper.make_node("Neg", ["e"], ["y"], name)]
        onnx.save(make_model(nodes, [value("x", [4, 4])], [value("y", [4, 4])]),
                  str(self.folder / "m.onnx"))
        with mock.patch.dict(os.environ, {"QUERN_PLANT_ERROR": name}):
            for arguments in (["--per-node"], ["--per-node", "-v"],
                              ["--reduce", "-o", "small.onnx"]):
                out, _ = self.raw("compare", "m.onnx", *arguments)
                self.assertIn("quern: error: no", out)
                self.assertNotIn("\nquern: error: no", out)

    def test_invalid_utf8_never_reaches_json(self):
        proto = model("x", "N")
        text = proto.SerializeToString().replace(b"x_out", b"x\xffout")
        (self.folder / "m.onnx").write_bytes(text)
        for arguments in (["inspect", "m.onnx"], ["check", "m.onnx"],
                          ["run", "m.onnx", "--input=random"],
                          ["compare", "m.onnx", "--duration=1ms"],
                          ["run", "m.onnx", "--input", "q=zeros"]):
            out, _ = self.raw(*arguments, "--json")
            if out:
                self.assertIn("\ufffdout", json.dumps(json.loads(out), ensure_ascii=False))
            out, _ = self.raw(*arguments)
            self.assertNotIn("\ufffd", out)


class Symbols(CliTest):
    def prefix(self, name):
        return self.quern_json("compile", "gemm.onnx", "--dim=N=1", "-o", name,
                               "--header", "m.h")["prefix"]

    def test_names_without_ascii(self):
        found = {name: self.prefix(name + ".o") for name in ("モデル", "データ", "é", "net_é", "___")}
        self.assertEqual(len(set(found.values())), len(found))
        self.assertEqual(found["é"], "uc3a9")
        self.assertEqual(found["net_é"], "net_uc3a9")
        subprocess.run(["cc", "-fsyntax-only", "-x", "c", "m.h"], cwd=self.folder, check=True)
        subprocess.run(["cc", "-nostdlib", "-r", "モデル.o", "データ.o", "-o", "both.o"],
                       cwd=self.folder, check=True)

    def test_names_of_quern(self):
        for prefix in ("quern", "quern_model", "quern_session", "quern_x"):
            self.fails(USAGE, "compile", "gemm.onnx", "--dim=N=1", "-o", "m.o", "--prefix", prefix,
                       says=f"the prefix '{prefix}' is Quern's own")
        for name in ("quern_model.o", "quern.o"):
            self.assertEqual(self.prefix(name), "model_" + name[:-2])
            subprocess.run(["cc", "-fsyntax-only", "-x", "c", "m.h"], cwd=self.folder, check=True)


if __name__ == "__main__":
    unittest.main()
