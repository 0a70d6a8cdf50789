"""quern run from Parquet to Parquet, and rules for missing values."""
import subprocess
import sys

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="tables of Parquet need PyArrow")
from pyarrow import parquet

import quern
from models import mlp, two_ports

COLUMNS = list("abcdefghij")
ROWS = 40_000


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mlp.onnx").write_bytes(mlp().SerializeToString())
    random = np.random.default_rng(0)
    table = pa.table({name: random.normal(size=ROWS).astype("f4") for name in COLUMNS})
    parquet.write_table(table, tmp_path / "plain.parquet")
    parquet.write_table(table.append_column("id", pa.array(range(ROWS))), tmp_path / "in.parquet")
    parquet.write_table(pa.table({"a": [1.5, None], "b": [1, 2]}), tmp_path / "null.parquet")
    (tmp_path / "two.onnx").write_bytes(two_ports().SerializeToString())
    return tmp_path


def run(folder, *arguments, exits=0):
    done = subprocess.run([sys.executable, "-m", "quern", "run", *arguments], cwd=folder, text=True,
                          capture_output=True)
    assert done.returncode == exits, done.stderr
    return done.stderr


def test_from_table_to_table(folder):
    said = run(folder, "mlp.onnx", "--input=in.parquet", "-o", "out.parquet",
               "--columns", ",".join(COLUMNS), "--keep=id")
    assert f"note: wrote {ROWS} rows to out.parquet" in said
    made = parquet.read_table(folder / "out.parquet")
    assert made.column_names == ["id", "y"]
    matrix = np.stack([parquet.read_table(folder / "in.parquet").column(name).to_numpy()
                       for name in COLUMNS], axis=1)
    # Rows come in parts, whose number of rows may round sums in another order.
    np.testing.assert_allclose(np.stack(made.column("y").to_numpy()),
                               quern.compile(folder / "mlp.onnx")(matrix), rtol=1e-5, atol=1e-5)
    run(folder, "mlp.onnx", "--input=plain.parquet", "-o", "out.parquet", "-q")
    assert parquet.read_table(folder / "out.parquet").column_names == [*COLUMNS, "y"]


def test_missing(folder):
    says = run(folder, "two.onnx", "--input=null.parquet", "-o", "out.parquet", exits=8)
    assert "column 'a' has 1 values missing, the first in row 1" in says
    run(folder, "two.onnx", "--input=null.parquet", "-o", "out.parquet", "--missing=2")
    assert parquet.read_table(folder / "out.parquet").column("sum").to_pylist() == [2.5, 4]
    run(folder, "two.onnx", "--input=null.parquet", "-o", "out.parquet", "--missing=nan")
    assert np.isnan(parquet.read_table(folder / "out.parquet").column("sum")[1].as_py())
    assert "--missing none: wanted nan or a number" in run(
        folder, "two.onnx", "--input=null.parquet", "-o", "out.parquet", "--missing=none", exits=2)


def test_what_goes_wrong_leaves_nothing(folder):
    before = sorted(folder.iterdir())
    columns = f"--columns={','.join(COLUMNS)}"
    for arguments, code, says in (
            (["--input=in.parquet", "-o", "out.csv"], 2, "from a table of Parquet to another"),
            (["--input=in.parquet", "-o", "in.parquet"], 2, "'in.parquet' is the input"),
            (["--input=in.parquet", "-o", "out.parquet", "--columns=z"], 8, "there is no column 'z'"),
            (["--input=in.parquet", "-o", "out.parquet", "--keep=z", columns], 2, "has no column 'z'"),
            (["--input=in.parquet", "-o", "no/out.parquet", columns], 10, "cannot write"),
            (["--input=mlp.onnx.parquet", "-o", "out.parquet"], 10, "mlp.onnx.parquet"),
            (["--input=in.parquet", "-o", "out.parquet"], 8, "wanted shape")):
        assert says in run(folder, "mlp.onnx", *arguments, exits=code)
        assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("kind", ["arrow", "dictionary", "pandas", "objects"])
def test_rules(folder, kind):
    def column(values, of):
        if kind == "pandas":
            return pytest.importorskip("pandas").Series(values)
        if kind == "objects":
            return np.array(values, object)
        made = pa.array(values, of)
        return made.dictionary_encode() if kind == "dictionary" else made
    given = {"a": column([1.0, None, 3], pa.float64()), "b": column([1, 2, 3], pa.int64())}
    for missing, wanted in ((7, [2, 9, 6]), ({"a": -1.5}, [2, 0.5, 6]), (None, [2, np.nan, 6])):
        found = quern.Predictor(folder / "two.onnx", missing=missing).predict(given)["sum"]
        np.testing.assert_array_equal(found.ravel(), wanted)
    with pytest.raises(quern.InvalidInputError,
                       match="column 'a' has 1 values missing, the first in row 1"):
        quern.Predictor(folder / "two.onnx", missing="refuse").predict(given)
    with pytest.raises(quern.InvalidInputError, match="'none' cannot stand for what is missing"
                       if kind in ("arrow", "dictionary") else "column 'a'"):
        quern.Predictor(folder / "two.onnx", missing={"a": "none"}).predict(given)
