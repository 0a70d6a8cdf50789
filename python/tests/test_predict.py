"""Predictor over tables: dicts, pandas, PyArrow, Ray Data, Dask."""
import pickle

import numpy as np
import pytest

import quern
from models import mlp, two_ports

COLUMNS = list("abcdefghij")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    return str(path)


@pytest.fixture
def columns():
    random = np.random.default_rng(0)
    return {name: random.normal(size=100) for name in COLUMNS}


def wanted_for(path, columns):
    matrix = np.stack([columns[name] for name in COLUMNS], axis=1).astype("f4")
    return quern.compile(path)(matrix)


def test_columns(path, columns):
    predictor = quern.Predictor(path, columns=COLUMNS, outputs={"y": "prediction"})
    result = predictor(columns)
    assert list(result) == [*COLUMNS, "prediction"]
    np.testing.assert_array_equal(result["prediction"], wanted_for(path, columns))
    again = pickle.loads(pickle.dumps(predictor))
    np.testing.assert_array_equal(again(columns)["prediction"], result["prediction"])


def test_columns_by_name():
    predictor = quern.Predictor(two_ports())
    result = predictor({"a": np.array([3.0, 4]), "b": np.array([1, 2])})
    assert result["sum"].tolist() == [4, 6]
    with pytest.raises(quern.InvalidInputError, match="there is no column 'b'"):
        predictor({"a": np.array([3.0, 4])})
    with pytest.raises(quern.InvalidInputError, match="models with one input"):
        quern.Predictor(two_ports(), columns=["a", "b"])({"a": [1], "b": [1]})


def test_library(path, columns, tmp_path):
    library = quern.aot(path, tmp_path / "mlp.so", dims={"N": [1, 8, 32]}, target_cpu="host").path
    predictor = quern.Predictor(library, columns=COLUMNS)
    assert quern.load(library).listed_input_dims == [[[1, 10]], [[8, 10]], [[32, 10]]]
    for rows in (1, 8, 32, 100, 43):
        some = {name: values[:rows] for name, values in columns.items()}
        again = pickle.loads(pickle.dumps(predictor))
        np.testing.assert_allclose(again(some)["y"], wanted_for(path, some), rtol=1e-4, atol=1e-5)
    fixed = quern.aot(path, tmp_path / "fixed.so", dims={"N": 50}).path
    result = quern.Predictor(fixed, columns=COLUMNS)(columns)["y"]
    np.testing.assert_allclose(result, wanted_for(path, columns), rtol=1e-4, atol=1e-5)
    with pytest.raises(quern.InvalidInputError, match="wanted shape 50x10"):
        quern.Predictor(fixed, columns=COLUMNS)({name: v[:70] for name, v in columns.items()})
    assert quern.compile(path).listed_input_dims == []


def test_pandas(path, columns):
    pandas = pytest.importorskip("pandas")
    result = quern.Predictor(path, columns=COLUMNS)(pandas.DataFrame(columns))
    np.testing.assert_array_equal(np.stack(result["y"]), wanted_for(path, columns))


def test_parquet(path, columns, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), tmp_path / "in.parquet")
    predictor = quern.Predictor(path, columns=COLUMNS)
    file = parquet.ParquetFile(tmp_path / "in.parquet")
    results = [predictor(batch) for batch in file.iter_batches(batch_size=30)]
    found = np.concatenate([np.stack(r.column("y").to_pylist()) for r in results])
    np.testing.assert_array_equal(found.astype("f4"), wanted_for(path, columns))
    whole = predictor(parquet.read_table(tmp_path / "in.parquet"))
    assert whole.num_rows == 100 and whole.column_names[-1] == "y"


@pytest.mark.parametrize("compiled", [False, True])
def test_ray(path, columns, compiled, tmp_path):
    ray = pytest.importorskip("ray")
    model = path
    if compiled:
        model = quern.aot(path, tmp_path / "mlp.so", dims={"N": [1, 16]}, target_cpu="host").path
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    try:
        data = ray.data.from_items([{name: values[i] for name, values in columns.items()}
                                    for i in range(100)])
        result = data.map_batches(quern.Predictor, fn_constructor_args=(model,),
                                  fn_constructor_kwargs={"columns": COLUMNS}, batch_size=25,
                                  concurrency=2).to_pandas()
        tasks = data.map_batches(quern.Predictor(model, columns=COLUMNS), batch_format="pyarrow",
                                 batch_size=25).to_pandas()
        for found in (result, tasks):
            matrix = found[COLUMNS].to_numpy().astype("f4")
            np.testing.assert_allclose(np.stack(found["y"]), quern.compile(path)(matrix), rtol=1e-4,
                                       atol=1e-5)
    finally:
        ray.shutdown()


def test_dask(path, columns):
    dask = pytest.importorskip("dask")
    dataframe = pytest.importorskip("dask.dataframe")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(columns)
    predictor = quern.Predictor(path, columns=COLUMNS)
    parts = dataframe.from_pandas(frame, npartitions=4)
    with dask.config.set(scheduler="processes", num_workers=2):
        result = parts.map_partitions(predictor, meta=predictor(frame.iloc[:1])).compute()
    np.testing.assert_array_equal(np.stack(result["y"]), wanted_for(path, columns))
