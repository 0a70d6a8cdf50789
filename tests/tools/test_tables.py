"""Tables as inputs and outputs."""

import csv
import io
import signal
import subprocess
import time
import unittest

import numpy as np
import onnx
from cli import INTERRUPTED, INVALID_INPUT, IO, QUERN, UNSUPPORTED, USAGE, CliTest, make_model, value
from onnx import TensorProto, helper


class Tables(CliTest):
    def setUp(self):
        super().setUp()
        self.write("x.csv", "id,a,b,c,d\n1,1,2,3,4\n2,0.5,-1e-3,+.25, 7 \n\n3,0,0,0,0\n")

    def write(self, name, text):
        (self.folder / name).write_bytes(text.encode() if isinstance(text, str) else text)

    def read(self, name):
        with open(self.folder / name, newline="") as file:
            return list(csv.reader(file))

    def score(self, *options, model="gemm.onnx", table="x.csv"):
        return self.quern("run", model, "--input", table, "-o", "y.csv", *options)

    def refuses(self, says, *options, code=INVALID_INPUT, model="gemm.onnx", table="x.csv"):
        before = self.files()
        self.fails(code, "run", model, "--input", table, "-o", "y.csv", *options, says=says)
        self.assertEqual(self.files(), before)


class Columns(Tables):
    def test_from_table_to_table(self):
        _, said = self.score("--columns=a,b,c,d")
        self.assertIn("note: wrote 3 rows to y.csv", said)
        self.assertEqual(self.read("y.csv"), [
            ["id", "a", "b", "c", "d", "y_0", "y_1", "y_2"],
            ["1", "1", "2", "3", "4", "10", "10", "10"],
            ["2", "0.5", "-1e-3", "+.25", " 7 ", "7.749", "7.749", "7.749"],
            ["3", "0", "0", "0", "0", "0", "0", "0"]])
        self.score("--columns=a,b,c,id", "--keep=id")
        self.assertEqual([row[:2] for row in self.read("y.csv")],
                         [["id", "y_0"], ["1", "7"], ["2", "2.749"], ["3", "3"]])
        self.score("--columns=a,b,c,d", "--keep=none")
        self.assertEqual(self.read("y.csv")[0], ["y_0", "y_1", "y_2"])

    def test_all_columns(self):
        self.write("x.csv", "p,q,r,s\r\n1,2,3,4\r\n")
        self.score()
        self.assertEqual((self.folder / "y.csv").read_bytes(),
                         b"p,q,r,s,y_0,y_1,y_2\r\n1,2,3,4,10,10,10\r\n")

    def test_which_columns(self):
        self.refuses("input 'x' takes 4 columns, found 5; --columns a,b,... says which of 'x.csv' "
                     "(id, a, b, c, d)")
        self.refuses("takes 4 columns, found 2", "--columns=a,b")
        self.refuses(["'x.csv' has no column 'e'; it has id, a, b, c, d"], "--columns=a,b,c,e")
        self.refuses("--keep: 'x.csv' has no column 'e'", "--columns=a,b,c,d", "--keep=e", code=USAGE)
        self.refuses("--columns is given twice", "--columns=a", "--columns=b", code=USAGE)
        self.write("x.csv", "a,b,c,c\n1,2,3,4\n")
        self.refuses("'x.csv' has two columns 'c'", "--columns=a,b,c,c")
        self.write("x.csv", "a,b,c,y_0\n1,2,3,4\n")
        self.refuses("there would be two columns 'y_0': one of the table and one of output 'y'")

    def test_columns_by_name(self):
        """As scikit-learn's pipelines with a column for each input have them."""
        nodes = [helper.make_node("Cast", ["age"], ["ages"], to=TensorProto.FLOAT),
                 helper.make_node("Add", ["ages", "height"], ["sum"]),
                 helper.make_node("Identity", ["name"], ["greeting"]),
                 helper.make_node("Greater", ["sum", "height"], ["more"])]
        onnx.save(make_model(nodes, [value("age", ["N", 1], TensorProto.INT64), value("height", ["N", 1]),
                                     value("name", ["N"], TensorProto.STRING)],
                             [value("sum", ["N", 1]), value("greeting", ["N"], TensorProto.STRING),
                              value("more", ["N", 1], TensorProto.BOOL)]), str(self.folder / "m.onnx"))
        self.write("x.csv", 'name,height,age\n"O\'Hara, ""Kim""",1.5,3.0\n"two\nlines",2,-4\n,0,0\n')
        self.score(model="m.onnx")
        self.assertEqual(self.read("y.csv"), [
            ["name", "height", "age", "sum", "greeting", "more"],
            ['O\'Hara, "Kim"', "1.5", "3.0", "4.5", 'O\'Hara, "Kim"', "true"],
            ["two\nlines", "2", "-4", "-2", "two\nlines", "false"],
            ["", "0", "0", "0", "", "false"]])
        self.score("--columns=age=height", "--columns=height=age", "--keep=none",
                   model="m.onnx", table=self.written("name,height,age\nx,1,2.5\n"))
        self.assertEqual(self.read("y.csv")[1][:2], ["3.5", "x"])
        self.score("--keep=name", model="m.onnx", table=self.written("name,height,age\n,1,2\n"))
        self.assertEqual(self.read("y.csv")[1], ["", "3", "", "true"])
        self.written("name,height,age\nx,1,2.5\n")
        self.refuses("--columns age: the model has 3 inputs; write NAME=a,b,...", "--columns=age",
                     model="m.onnx", code=USAGE)
        self.refuses("x.csv:2: column 'age' (3) has '2.5', input 'age' takes int64", model="m.onnx")
        self.refuses("'x.csv' has no column 'age'", model="m.onnx", table=self.written("a,b\n1,2\n"))

    def written(self, text):
        self.write("x.csv", text)
        return "x.csv"

    def test_maps(self):
        """What ZipMap gives classifiers: a column for each class."""
        nodes = [helper.make_node("ZipMap", ["x"], ["p"], domain="ai.onnx.ml",
                                  classlabels_strings=["cat", "dog"])]
        maps = onnx.ValueInfoProto(name="p")
        kind = maps.type.sequence_type.elem_type.map_type
        kind.key_type = TensorProto.STRING
        kind.value_type.tensor_type.elem_type = TensorProto.FLOAT
        onnx.save(make_model(nodes, [value("x", ["N", 2])], [maps], domains=["ai.onnx.ml"]),
                  str(self.folder / "m.onnx"))
        self.score(model="m.onnx", table=self.written("a,b\n0.25,0.75\n1,0\n"))
        self.assertEqual(self.read("y.csv"), [["a", "b", "p_cat", "p_dog"],
                                              ["0.25", "0.75", "0.25", "0.75"], ["1", "0", "1", "0"]])

    def test_missing(self):
        self.write("x.csv", "a,b,c,d\n1,2,3,4\n5,,7,8\n")
        self.refuses("x.csv:3: column 'b' (2) has no value; --missing nan, or a number, says what "
                     "stands for one")
        self.score("--missing=nan")
        self.assertEqual(self.read("y.csv")[2][4], "nan")
        self.score("--missing=-2")
        self.assertEqual(self.read("y.csv")[2][1:5], ["", "7", "8", "18"])
        self.refuses("x.csv:3: column 'b' (2) has no value, and --missing none is no float32",
                     "--missing=none")

    def test_numbers(self):
        self.write("x.csv", "a,b,c,d\n1,2,3,4x\n")
        self.refuses("x.csv:2: column 'd' (4) has '4x', input 'x' takes float32")
        self.write("x.csv", "a,b,c,d\n1e39,0,0,0\n")
        self.refuses("has '1e39'")
        self.write("x.csv", "a,b,c,d\n1e-60,inf,0,0\n0.1,1e-400,0,0\n")
        self.score("--keep=none")
        self.assertEqual([row[0] for row in self.read("y.csv")], ["y_0", "inf", "0.1"])
        self.write("x.csv", "1,2,3,4\n5,6,7,8\n")
        self.refuses("'x.csv' begins with a row of numbers (1, 2, 3, 4); the first line of a table "
                     "names its columns")

    def test_separators(self):
        self.write("x.csv", "a;b;c;d\n1;2;3;4\n")
        self.score("--separator=;")
        self.assertEqual((self.folder / "y.csv").read_text(), "a;b;c;d;y_0;y_1;y_2\n1;2;3;4;10;10;10\n")
        self.write("x.tsv", "a\tb,\tc\td\n1\t2\t3\t4\n")
        self.score(table="x.tsv")
        self.assertEqual(self.read("y.csv")[0], ["a", "b,", "c", "d", "y_0", "y_1", "y_2"])
        self.refuses("--separator ab: wanted one character, or tab", "--separator=ab", code=USAGE)

    def test_other_outputs_and_verbs(self):
        """A table is an input of any run; one output holds all of its rows then."""
        self.quern("run", "gemm.onnx", "--input=x.csv", "--columns=a,b,c,d", "-o", "y.npy")
        np.testing.assert_allclose(np.load(self.folder / "y.npy")[:, 0], [10, 7.749, 0], rtol=1e-6)
        self.quern("compare", "gemm.onnx", "--input=x.csv", "--columns=a,b,c,d", "--duration=0s")
        self.write("z.csv", "p,q,r\n1,2,3\n")
        self.quern("run", "add.onnx", "--input", "a=z.csv", "--input=b=z.csv", "-o", "y.npy")
        np.testing.assert_array_equal(np.load(self.folder / "y.npy"), [[2, 4, 6]])

    def test_standard_output_and_report(self):
        done = subprocess.run([QUERN, "run", "gemm.onnx", "--input=x.csv", "--columns=a,b,c,d", "-o", "-",
                               "--keep=id", "--json=r.json", "-q"], cwd=self.folder,
                              stdout=subprocess.PIPE)
        self.assertEqual(list(csv.reader(io.StringIO(done.stdout.decode())))[0], ["id", "y_0", "y_1", "y_2"])
        self.assertIn('"rows": 3', (self.folder / "r.json").read_text())


class Refusals(Tables):
    def test_malformed(self):
        for text, says in {
                b"": "x.csv: an empty file; the first line of a table names its columns",
                b"a,b,c,d\n": "'x.csv' has no rows, only names of columns",
                b"a,b,c,d\n1,2,3\n": "x.csv:2: 3 fields, the first line names 4 columns",
                b"a,b,c,d\n\n1,2,3,4\n1,2,3,4,5\n": "x.csv:4: 5 fields, the first line names 4",
                b'a,b,c,d\n1,2"3,3,4\n': "x.csv:2: field 2 has a quote, but does not begin with one",
                b'a,b,c,d\n1,"2"3,3,4\n': "x.csv:2: field 2 goes on after its quote ends",
                b'a,b,c,d\n"1\n2",2,\n': "x.csv:2: 3 fields",
                b'a,b,c,d\n1,2,"3,4\n5,6\n': "x.csv:2: the quote that begins field 3 does not end"}.items():
            self.write("x.csv", text)
            self.refuses(says)

    def test_usage(self):
        self.refuses("a table is written of a table; give --input FILE.csv and no other", table="random",
                     code=USAGE)
        self.refuses("--output z.npy: a table is the only output", "-o", "z.npy", code=USAGE)
        self.refuses("--top, --labels and --softmax are for outputs that are shown", "--top=2", code=USAGE)
        self.fails(USAGE, "run", "gemm.onnx", "--input=x.csv", "--keep=id", says="--keep is for tables")
        self.fails(USAGE, "run", "gemm.onnx", "--input=x.csv", "-o", "x.csv", "--columns=a,b,c,d",
                   says="x.csv")
        for options in (["--input=t.parquet"], ["--input=x=t.parquet"], ["--input=x.csv", "-o", "t.parquet"]):
            self.fails(USAGE, "run", "gemm.onnx", *options,
                       says="'t.parquet': tables of Parquet are the Python package's")
        self.refuses("No such file", table="no.csv", code=IO)

    def test_models_of_other_shapes(self):
        self.write("x.csv", "a,b\n1,2\n3,4\n5,6\n")
        def model(nodes, shape, wanted):
            onnx.save(make_model(nodes, [value("x", shape)], [value("y", wanted)]),
                      str(self.folder / "m.onnx"))
        model([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], ["N", 2], [])
        self.refuses("output 'y' is float32 scalar for 3 rows of a table; only an output with a row "
                     "for each becomes columns", model="m.onnx", code=UNSUPPORTED)
        model([helper.make_node("Relu", ["x"], ["y"])], ["N", 3, 2], ["N", 3, 2])
        self.refuses("input 'x' takes float32 Nx3x2, which is no row of a table for each row",
                     model="m.onnx")
        model([helper.make_node("Relu", ["x"], ["y"])], [2, 2], [2, 2])
        self.refuses("the model takes 2 rows at once; the last 1 rows of 'x.csv' are no such number",
                     model="m.onnx")
        model([helper.make_node("Relu", ["x"], ["y"])], [1, 2], [1, 2])
        self.score(model="m.onnx")
        self.assertEqual([row[2:] for row in self.read("y.csv")[1:]], [["1", "2"], ["3", "4"], ["5", "6"]])


class Large(Tables):
    def setUp(self):
        super().setUp()
        self.rows = np.random.default_rng(0).normal(size=(60_000, 4)).astype(np.float32)
        lines = "\n".join(",".join(map(str, row)) for row in self.rows.tolist())
        self.write("x.csv", "a,b,c,d\n" + lines + "\n")

    def test_in_parts(self):
        """Many runs give what one gives, in memory that does not grow with the table."""
        report = self.quern_json("run", "gemm.onnx", "--input=x.csv", "-o", "y.csv")
        self.assertEqual(report["table"], {"rows": 60_000, "runs": 4})
        found = np.float32([row[4:] for row in self.read("y.csv")[1:]])
        self.quern("run", "gemm.onnx", "--input=x.csv", "-o", "y.npy")
        np.testing.assert_array_equal(found, np.load(self.folder / "y.npy"))

    def test_nothing_is_half_written(self):
        with open(self.folder / "x.csv", "a") as file:
            file.write("1,2,3\n")
        self.write("y.csv", "old")
        self.refuses("x.csv:60002: 3 fields")
        self.assertEqual((self.folder / "y.csv").read_text(), "old")
        process = subprocess.Popen([QUERN, "run", "gemm.onnx", "--input=x.csv", "-o", "z.csv"],
                                   cwd=self.folder, stderr=subprocess.DEVNULL)
        while process.poll() is None and self.files() == ["x.csv", "y.csv"]:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        self.assertIn(process.wait(), (INTERRUPTED, INVALID_INPUT))
        self.assertEqual(self.files(), ["x.csv", "y.csv"])


if __name__ == "__main__":
    unittest.main()
