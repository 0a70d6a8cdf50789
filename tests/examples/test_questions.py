"""The experiments of examples/questions: each at small size, and what they conclude from tables
that are made up, with both outcomes.

Exit code 77 where Python has no quern, NumPy or onnx.
"""
import copy
import functools
import importlib
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

NEEDED = ("quern", "numpy", "onnx")
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "examples/questions"
sys.path.insert(0, str(FOLDER))
sys.dont_write_bytecode = True


def names():
    return [path.stem for path in sorted(FOLDER.glob("*.py"))]


@functools.cache
def result_of(name):
    """(figures, page, picture) of one run at small size."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([sys.executable, str(FOLDER / "run"), name, "--small", "--out", str(folder),
                        "--json", str(folder)], check=True, stdout=subprocess.DEVNULL, timeout=240)
        return (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")),
                (folder / f"{name}.md").read_text(encoding="utf-8"),
                (folder / f"{name}.svg").read_text(encoding="utf-8"))


def rows_with(name, ms_of):
    """The rows of an experiment with made-up times: ms_of(row), with little spread."""
    rows = copy.deepcopy(result_of(name)[0]["rows"])
    for row in rows:
        if "ms" in row:
            ms = float(ms_of(row))
            row.update(ms=ms, low=0.99 * ms, high=1.01 * ms)
    return rows


def concluded(name, ms_of, change=None):
    rows = rows_with(name, ms_of)
    for row in rows:
        if change:
            change(row)
    return "\n".join(importlib.import_module(name).conclude(rows))


def without(name, hidden):
    """The rows as where what `hidden(row)` says is not installed, with no peers beside others."""
    figures = copy.deepcopy(result_of(name)[0]["rows"])
    for row in figures:
        row.pop("peer", None)
    return [{key: value for key, value in row.items() if not isinstance(value, float)} |
            {"missing": "not installed"} if hidden(row) else row for row in figures]


class Pages(unittest.TestCase):

    def test_each_has_a_page(self):
        for name in names():
            with self.subTest(name):
                figures, page, picture = result_of(name)
                self.assertTrue(page.startswith(f"# {figures['question']}\n"))
                table = [line for line in page.splitlines() if line.startswith("|")]
                self.assertEqual(len(table), len(figures["rows"]) + 2)
                self.assertEqual(len({line.count("|") - line.count("\\|") for line in table}), 1)
                for sentence in figures["conclusions"]:
                    self.assertIn(f"- {sentence}\n", page)
                self.assertIn(figures["machine"]["cpu"], page)
                self.assertIn(figures["machine"]["date"], page)
                self.assertIn("svg", xml.etree.ElementTree.fromstring(picture).tag)
                self.assertNotIn("nan", page + picture)

    def test_conclusions_follow_from_the_rows(self):
        for name in names():
            with self.subTest(name):
                figures = result_of(name)[0]
                self.assertGreater(len(figures["conclusions"]), 1)
                self.assertEqual(importlib.import_module(name).conclude(figures["rows"]),
                                 figures["conclusions"])

    def test_peers_may_be_missing(self):
        for name in names():
            with self.subTest(name):
                module = importlib.import_module(name)
                rows = without(name, lambda row: any(
                    peer in str(row) for peer in ("ONNX Runtime", "scikit-learn", "Keras", "Pillow")))
                text = "\n".join(module.conclude(rows))
                self.assertNotIn("ONNX Runtime", text)
                self.assertIn("<svg", module.EXPERIMENT.plot(rows))
                from lab import page
                self.assertEqual(len(page.table(module.EXPERIMENT.columns, rows).splitlines()),
                                 len(rows) + 2)

    def test_run(self):
        unknown = subprocess.run([sys.executable, str(FOLDER / "run"), "nothing"], text=True,
                                 stderr=subprocess.PIPE, check=False)
        self.assertEqual(unknown.returncode, 2)
        self.assertIn("there is no question 'nothing'; there are ", unknown.stderr)
        for name in names():
            self.assertIn(name, unknown.stderr)
        small = subprocess.run([sys.executable, str(FOLDER / "run"), "--small"], text=True,
                               stderr=subprocess.PIPE, check=False)
        self.assertEqual(small.returncode, 2)
        self.assertIn("--small says nothing for docs/questions: give --out FOLDER", small.stderr)

    def test_the_index_has_all_that_are_in_docs(self):
        docs = FOLDER.parents[1] / "docs/questions"
        index = (docs / "README.md").read_text(encoding="utf-8")
        for name in names():
            question = importlib.import_module(name).EXPERIMENT.question
            page = (docs / f"{name}.md").read_text(encoding="utf-8")
            self.assertTrue(page.startswith(f"# {question}\n"))
            answer = page.split("## What follows\n\n- ")[1].splitlines()[0]
            self.assertIn(f"- [{question}]({name}.md) {answer}\n", index)
            self.assertTrue((docs / f"{name}.svg").is_file())


class Words(unittest.TestCase):

    def test_relations(self):
        from lab import words
        def row(ms, half=0.01):
            return {"ms": ms, "low": ms * (1 - half), "high": ms * (1 + half)}
        self.assertEqual(words.relation(row(1), row(2)), "faster")
        self.assertEqual(words.relation(row(2), row(1)), "slower")
        self.assertEqual(words.relation(row(1), row(1.04)), "same")
        self.assertEqual(words.relation(row(1, 0.3), row(1.5, 0.3)), "same")
        self.assertEqual(words.against(row(1), row(3)), "is 3.00 times as fast as")
        self.assertEqual(words.against(row(20), row(1)), "takes 20.0 times as long as")
        self.assertIn("same time", words.against(row(1), row(1)))
        self.assertEqual(words.beside({"a": row(1), "b": row(2), "c": row(1)}, row(1), "d"),
                         "a and c take the same time, within the spread, as d; "
                         "b takes 2.00 times as long as d")
        self.assertEqual([words.duration(ms) for ms in (2500, 12, 0.5, 0.0005)],
                         ["2.50 s", "12.0 ms", "500 µs", "500 ns"])

    def test_shares_are_told_apart_by_enough_samples(self):
        from lab import words
        self.assertEqual(words.points(0.90, 0.91, 100),
                         ("as accurate as far as 100 samples tell (-1.0 points)", False))
        self.assertEqual(words.points(0.90, 0.91, 100000), ("1.0 points less accurate", True))
        self.assertEqual(words.points(0.91, 0.90, 100000), ("1.0 points more accurate", False))
        self.assertEqual(words.points(1, 1, 10)[1], False)

    def test_turns(self):
        from lab import timing
        made = []
        def make():
            made.append(1)
            return lambda: sum(range(20000))
        found = timing.in_turns({"short": lambda: sum(range(20)), "long": timing.Fresh(make)}, True)
        self.assertLess(found["short"].ms, found["long"].ms)
        self.assertEqual(len(made), 4)
        self.assertEqual(timing.timing_of([1, 2, 3, 4, 100]), timing.Timing(3, 2, 4))

    def test_pictures(self):
        from lab import plot
        parse = xml.etree.ElementTree.fromstring
        rects = [node for node in parse(plot.bars("a < b", [("x", 1, "1", 0), ("y", 10, "10", 1)])).iter()
                 if node.tag.endswith("rect")]
        self.assertLess(float(rects[0].get("width")), float(rects[1].get("width")))
        drawn = parse(plot.lines("t", {"a": [(1, "1", 5), (2, "2", 10)], "b": [(1, "1", 7)]}, "x", "y"))
        circles = [float(node.get("cy")) for node in drawn.iter() if node.tag.endswith("circle")]
        self.assertGreater(circles[0], circles[1])


class Conclusions(unittest.TestCase):
    """Both outcomes, from times that are made up."""

    def test_vectorising(self):
        usual = {"Python loop": 100, "NumPy": 1, "NumPy, into an array": 1}
        text = concluded("vectorising", lambda row: usual.get(row["way"], 0.5))
        self.assertIn("NumPy is 100 times as fast as the loop in Python", text)
        self.assertIn("Quern compiled is 2.00 times as fast as NumPy", text)
        self.assertIn("Vectorising brings more than compiling", text)
        usual = {"Python loop": 2, "NumPy": 1, "NumPy, into an array": 1}
        text = concluded("vectorising", lambda row: usual.get(row["way"], 0.1))
        self.assertIn("Compiling brings more than vectorising", text)
        text = concluded("vectorising", lambda row: usual.get(row["way"], 4))
        self.assertIn("Quern compiled takes 4.00 times as long as NumPy", text)

    def test_epochs(self):
        text = concluded("epochs", lambda row: 1)
        self.assertIn("No: none of the four", text)
        self.assertIn("Subnormal numbers make no network slower", text)
        def slow(row):
            return 3 if row["epochs"] == 100 and row["network"] == "×3" else \
                9 if "nothing" in row["network"] and row["way"] == "NumPy" else 1
        text = concluded("epochs", slow)
        self.assertIn("Yes, here: slower after training than before: ×3.", text)
        self.assertIn("after 100 epochs it takes 3.00 times as long as before the first", text)
        self.assertIn("make a network slower on this processor by NumPy.", text)

    def test_the_factor(self):
        def change(steps, multiplies):
            def make(row):
                if row["network"] == "×3":
                    row.update({"steps": steps, "multiplies": multiplies})
            return make
        for steps, multiplies, fate in ((3, True, "it keeps a step of its own"),
                                        (2, True, "it is computed within the step before"),
                                        (2, False, "it is folded away")):
            self.assertIn(fate, concluded("epochs", lambda row: 1, change(steps, multiplies)))

    def test_filters(self):
        self.assertIn("No: random and hand-made", concluded("filters", lambda row: 1))
        text = concluded("filters", lambda row: 2 if row["filters"] == "Sobel" else 1)
        self.assertIn("Sobel filters are slower by NumPy", text)
        self.assertIn("Sobel takes 2.00 times as long as trained filters", text)

    def test_training(self):
        text = concluded("training", lambda row: 2 if "step" in row["way"] else 1)
        self.assertIn("takes as many times the time as it has multiplications", text)
        self.assertIn("longer than a prediction of the same batch with each", text)
        text = concluded("training", lambda row: 1)
        self.assertIn("less than its multiplications tell", text)
        if any(row["way"] == "training step, Keras" and "ms" in row for row in result_of("training")[0]["rows"]):
            self.assertIn("in Keras a training step takes the same time", text)
        self.assertIn("does not always take longer", text)
        text = concluded("training", lambda row: 9 if "step" in row["way"] else 1)
        self.assertIn("more than its multiplications tell", text)

    def test_batches(self):
        def change(row):
            if "sample" in row:
                row["sample"] = row["ms"] / row["batch"]
        text = concluded("batches", lambda row: 0.5 if row["way"] == "Quern, 2 threads" else 1, change)
        self.assertIn("keep", concluded("batches", lambda row: 9 if "compile" in row["way"] else 1))
        self.assertIn("it may as well be opened", text)
        self.assertIn("(16.0 times as fast); the least time a sample at 16", text)
        if "Quern, 2 threads" in str(result_of("batches")[0]["rows"]):
            self.assertIn("Quern: a second thread pays at batches of 1 (2.00 times as fast) and 16", text)
            text = concluded("batches", lambda row: 1)
            self.assertIn("Quern: a second thread pays at none", text)
        self.assertIn("what comes before it takes longer", concluded("batches", lambda row: 1))
        self.assertIn("the prediction takes longer than what comes before", concluded(
            "batches", lambda row: 9 if row["way"].startswith("predict") else 1))

    def test_smaller(self):
        def alike(row):
            row.update(accuracy=0.95, asked=2000, packed=100, file=100)
            row.pop("peer", None)
        text = concluded("smaller", lambda row: 1, alike)
        self.assertIn("None of them is faster than the dense network.", text)
        self.assertIn("Zeros in a matrix of full size save no time; the packed file has 1.00 of", text)
        self.assertIn("the student is as accurate as far as 2,000 samples tell", text)
        self.assertNotIn("ONNX Runtime", text)

        def different(row):
            alike(row)
            if row["model"].startswith("90 % of weights"):
                row.update(accuracy=0.5, packed=20)
            if row["model"].endswith("distilled"):
                row.update(accuracy=0.99)
            row["peer"] = {"ms": 1.0, "low": 0.99, "high": 1.01}
        text = concluded("smaller", lambda row: 2 if row["model"] == "dense" else 1, different)
        self.assertIn("int4 weights. Of these not less accurate: 90 % of hidden values out; student", text)
        self.assertIn("Zeros in a matrix of full size save time; the packed file has 0.20 of", text)
        self.assertIn("90 % of weights 0: 45.0 points less accurate, 1.00 of the file (0.20 packed); "
                      "for one image it is 2.00 times as fast as the dense network", text)
        self.assertIn("the student is 4.0 points more accurate", text)
        self.assertIn("ONNX Runtime is faster than Quern with dense (1) and dense (256), not with", text)

    def test_families(self):
        compiled = [row["model"] for row in result_of("families")[0]["rows"]
                    if row["way"] == "Quern compiled" and row["batch"] == 1 and "ms" in row]
        self.assertIn("CNN", compiled)
        if len(compiled) == 1:
            self.assertIn("nothing follows about the others", concluded("families", lambda row: 1))
            return

        def change(row):
            if "ms" in row:
                row.update(sample=row["ms"] / row["batch"], asked=1000)
            if "accuracy" in row:
                row["accuracy"] = 0.99 if row["model"] == "CNN" else 0.9
        text = concluded("families", lambda row: 5 if row["model"] == "CNN" else 1, change)
        self.assertIn("The most accurate is CNN (99.0 %), the cheapest by Quern decision tree, which is 9.0 "
                      "points less accurate and, for one image, is 5.00 times as fast as it.", text)
        self.assertIn("then MLP 64-64-10 (the same), then CNN (5.00 ms); between the first and the last "
                      "lie 5.00 times.", text)
        text = concluded("families", lambda row: 0.1 if row["model"] == "CNN" else 1, change)
        self.assertIn("the cheapest by Quern CNN: the same.", text)


if __name__ == "__main__":
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"skipped: {sys.executable} has no module {missing[0]}")
        sys.exit(77)
    unittest.main()
