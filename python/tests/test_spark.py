"""Predictors over DataFrames of Spark, in local mode."""
import os
import shutil
import sys

import numpy as np
import pytest

import quern
from models import TensorProto, helper, make_model, mlp, two_ports

pytest.importorskip("pyspark", reason="needs pyspark from PyPI")
pytest.importorskip("pandas", reason="Spark's pandas UDFs need pandas")
pytest.importorskip("pyarrow", reason="Spark's pandas UDFs need PyArrow")
if not shutil.which("java") and not os.environ.get("JAVA_HOME"):
    pytest.skip("Spark needs Java, which is not here", allow_module_level=True)

COLUMNS = list("abcdefghij")
ROWS = 1000


@pytest.fixture(scope="module")
def spark():
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
               .config("spark.sql.shuffle.partitions", "2").config("spark.driver.memory", "1g")
               .config("spark.driver.bindAddress", "127.0.0.1")
               .config("spark.driver.host", "127.0.0.1").getOrCreate())
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    return str(path)


@pytest.fixture
def table():
    import pyarrow

    random = np.random.default_rng(0)
    return pyarrow.table({"id": np.arange(ROWS), **{
        name: random.normal(size=ROWS) for name in COLUMNS}})


def frame_of(spark, table, tmp_path):
    """Of two files, which are two tasks."""
    from pyarrow import parquet

    (tmp_path / "in").mkdir()
    half = table.num_rows // 2
    parquet.write_table(table.slice(0, half), tmp_path / "in/0.parquet")
    parquet.write_table(table.slice(half), tmp_path / "in/1.parquet")
    return spark.read.parquet(str(tmp_path / "in"))


def wanted_for(path, table):
    matrix = np.stack([table.column(name).to_numpy() for name in COLUMNS], axis=1).astype("f4")
    return quern.compile(path, threads=1)(matrix)


def test_frames(spark, path, table, tmp_path):
    frame = frame_of(spark, table, tmp_path)
    result = quern.Predictor(path, columns=COLUMNS, outputs={"y": "scores"})(frame)
    assert result.columns == ["id", *COLUMNS, "scores"]
    assert result.schema["scores"].dataType.simpleString() == "array<float>"
    found = result.select("id", "scores").toPandas().sort_values("id")
    np.testing.assert_allclose(np.stack(found["scores"]), wanted_for(path, table), rtol=1e-5, atol=1e-6)


def test_pandas_udf(spark, path, table, tmp_path):
    frame = frame_of(spark, table, tmp_path)
    score = quern.Predictor(path, columns=COLUMNS).spark_udf()
    found = frame.select("id", score(*COLUMNS).alias("y")).toPandas().sort_values("id")
    np.testing.assert_allclose(np.stack(found["y"]), wanted_for(path, table), rtol=1e-5, atol=1e-6)


def test_one_process_compiles_once(spark, path, table, tmp_path):
    """Tasks are more than processes, and each process has what it compiled before."""
    from pyspark.sql.functions import pandas_udf
    import pandas

    predictor = quern.Predictor(path, columns=COLUMNS)
    frame = frame_of(spark, table, tmp_path).repartition(8)

    def count(parts):
        for part in parts:
            from quern import predict
            predictor(part)
            yield pandas.DataFrame({"pid": [os.getpid()], "compiled": [len(predict._COMPILED)]})

    found = frame.mapInPandas(count, "pid long, compiled long").toPandas()
    assert len(found) >= 8 and found["pid"].nunique() <= 3
    assert found.groupby("pid")["compiled"].max().le(3).all()


def test_strings_several_outputs_and_nulls(spark, tmp_path):
    import pyarrow

    nodes = [helper.make_node("Identity", ["name"], ["greeting"]),
             helper.make_node("Add", ["a", "a"], ["twice"])]
    path = tmp_path / "m.onnx"
    path.write_bytes(make_model(
        nodes, [("name", TensorProto.STRING, ["N"]), ("a", TensorProto.FLOAT, ["N", 1])],
        [("greeting", TensorProto.STRING, ["N"]), ("twice", TensorProto.FLOAT, ["N", 1])]
    ).SerializeToString())
    table = pyarrow.table({
        "name": pyarrow.array(["x", "y", "x", None]).dictionary_encode(), "a": [1.0, None, 3, 4]})
    frame = frame_of(spark, table, tmp_path)
    rule = {"name": "?", "a": -1}
    predictor = quern.Predictor(path, missing=rule)
    rows = sorted(map(tuple, predictor(frame).collect()), key=lambda row: row[3])
    assert rows == [("y", None, "y", -2), ("x", 1, "x", 2), ("x", 3, "x", 6), (None, 4, "?", 8)]
    made = frame.select(predictor.spark_udf()("name", "a").alias("s")).select("s.*")
    assert made.columns == ["greeting", "twice"]
    assert sorted(map(tuple, made.collect())) == [("?", 8), ("x", 2), ("x", 6), ("y", -2)]
    with pytest.raises(Exception, match="values missing, the first in row"):
        quern.Predictor(path, missing="refuse")(frame).collect()


def test_refusals(spark, path, table, tmp_path):
    frame = frame_of(spark, table, tmp_path)
    with pytest.raises(quern.InvalidInputError, match="there is no column 'a'"):
        quern.Predictor(path, columns=COLUMNS)(frame.drop("a"))
    with pytest.raises(quern.InvalidInputError, match="has a column 'id', as the output would be"):
        quern.Predictor(path, columns=COLUMNS, outputs={"y": "id"})(frame)
    assert quern.Predictor(two_ports()).input_columns == ["a", "b"]
