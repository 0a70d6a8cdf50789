"""Predictor over Arrow: PyArrow, Polars, DuckDB, pandas; what it refuses."""
import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
import quern
from models import TensorProto, helper, make_model, mlp, two_ports

COLUMNS = list("abcdefghij")
ROWS = 100


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    return str(path)


@pytest.fixture
def columns():
    random = np.random.default_rng(0)
    return {name: random.normal(size=ROWS) for name in COLUMNS}


@pytest.fixture
def wanted(path, columns):
    matrix = np.stack([columns[name] for name in COLUMNS], axis=1).astype("f4")
    return quern.compile(path)(matrix)


@pytest.fixture
def predictor(path):
    return quern.Predictor(path, columns=COLUMNS)


def values(column):
    return np.array(column.to_pylist(), "f4")


def test_tables_and_batches_stay_what_they_are(predictor, columns, wanted):
    table = pa.table({"id": [str(i) for i in range(ROWS)], **columns})
    result = predictor(table)
    assert isinstance(result, pa.Table) and result.column_names == ["id", *COLUMNS, "y"]
    assert result.schema.field("y").type == pa.list_(pa.float32(), 2)
    np.testing.assert_array_equal(values(result.column("y")), wanted)
    parts = pa.Table.from_batches(table.to_batches(max_chunksize=30))
    np.testing.assert_array_equal(values(predictor(parts).column("y")), wanted)
    batch = predictor(table.to_batches()[0].slice(20, 30))
    assert isinstance(batch, pa.RecordBatch) and batch.num_rows == 30
    np.testing.assert_allclose(values(batch.column("y")), wanted[20:50], rtol=1e-4, atol=1e-5)


def test_readers_are_predicted_as_they_are_read(predictor, columns, wanted):
    read = []

    def batches():
        for begin in range(0, ROWS, 25):
            read.append(begin)
            yield table.slice(begin, 25).to_batches()[0]

    table = pa.table(columns)
    result = predictor(pa.RecordBatchReader.from_batches(table.schema, batches()))
    assert isinstance(result, pa.RecordBatchReader) and read == []
    assert result.schema.names == [*COLUMNS, "y"]
    assert result.schema.field("y") == predictor.output_schema.field("y")
    first = result.read_next_batch()
    assert first.num_rows == 25 and len(read) <= 2
    rest = result.read_all()
    np.testing.assert_allclose(np.concatenate([values(first.column("y")), values(rest.column("y"))]),
                               wanted, rtol=1e-4, atol=1e-5)


def test_empty_batches_have_the_types_of_others(predictor, columns, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.table(columns)
    empty = predictor(table.slice(0, 0))
    assert empty.num_rows == 0 and empty.schema == predictor(table).schema
    with parquet.ParquetWriter(tmp_path / "out.parquet", empty.schema) as writer:
        writer.write_table(empty)
        writer.write_table(predictor(table))
    assert parquet.read_table(tmp_path / "out.parquet").num_rows == ROWS
    assert predictor({name: np.empty(0) for name in COLUMNS})["y"].shape == (0, 2)


def test_libraries_take_empty_batches(path, columns, tmp_path):
    library = quern.aot(path, tmp_path / "mlp.so", dims={"N": [8, 16]}, target_cpu="host").path
    empty = quern.Predictor(library, columns=COLUMNS)(pa.table(columns).slice(0, 0))
    assert empty.schema.field("y").type == pa.list_(pa.float32(), 2)


def test_polars(predictor, columns, wanted):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"id": [str(i) for i in range(ROWS)], **columns})
    result = predictor(frame)
    assert isinstance(result, polars.DataFrame)
    assert result.columns == ["id", *COLUMNS, "y"]
    assert result.schema["y"] == polars.Array(polars.Float32, 2)
    np.testing.assert_array_equal(result["y"].to_numpy(), wanted)
    assert predictor(frame.head(0)).schema == result.schema
    with pytest.raises(quern.InvalidInputError, match="LazyFrame of Polars.*collect"):
        predictor(frame.lazy())


def test_duckdb(predictor, columns, wanted):
    duckdb = pytest.importorskip("duckdb")
    rows = pa.table({**columns, "row": np.arange(ROWS)})  # noqa: F841
    # What one connection is still computing, another one reads.
    with duckdb.connect() as connection, duckdb.connect() as other:
        relation = connection.sql("from rows order by row")
        # It had another name before DuckDB 1.4.
        reader = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
        for asked in (lambda: relation, lambda: reader(30)):
            found = predictor(asked())
            assert isinstance(found, pa.RecordBatchReader)
            np.testing.assert_allclose(values(found.read_all().column("y")), wanted, rtol=1e-4,
                                       atol=1e-5)
        predicted = predictor(connection.sql("from rows"))  # noqa: F841
        assert other.sql("select count(y[1]) from predicted").fetchall() == [(ROWS,)]


def test_pandas_rows_have_a_type(predictor, columns, wanted, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(columns)
    result = predictor(frame)
    np.testing.assert_array_equal(np.stack(result["y"].to_list()), wanted)
    assert predictor(frame.head(0)).dtypes.equals(result.dtypes)
    result.to_parquet(tmp_path / "out.parquet")
    nullable = frame.convert_dtypes()
    nullable.loc[3, "a"] = pandas.NA
    found = np.stack(predictor(nullable)["y"].to_list())
    np.testing.assert_allclose(found[4:], wanted[4:], rtol=1e-4, atol=1e-5)
    assert np.isnan(found[3]).all()


class _Untouchable(pa.ExtensionType):
    """Elements that nobody may look at."""

    def __init__(self):
        super().__init__(pa.int64(), "quern.test.untouchable")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls()

    def __arrow_ext_class__(self):
        class Array(pa.ExtensionArray):
            def to_numpy(self, *args, **options):
                raise AssertionError("looked at")
        return Array


def test_only_the_columns_of_the_model_are_looked_at(predictor, columns):
    unused = pa.ExtensionArray.from_storage(_Untouchable(), pa.array(range(ROWS)))
    table = pa.table({**columns, "unused": unused})
    assert predictor(table).num_rows == ROWS
    assert predictor(table.to_batches()[0]).num_rows == ROWS


def vectors():
    """y = x + 1 for rows of three numbers; n = the sum of two integers."""
    nodes = [helper.make_node("Add", ["x", "one"], ["y"]), helper.make_node("Add", ["i", "i"], ["n"])]
    return make_model(nodes, [("x", TensorProto.FLOAT, ["N", 3]), ("i", TensorProto.INT32, ["N"])],
                      [("y", TensorProto.FLOAT, ["N", 3]), ("n", TensorProto.INT32, ["N"])],
                      [("one", np.ones(1, "f4"))])


@pytest.mark.parametrize("kind", [pa.list_(pa.float64(), 3), pa.list_(pa.float32()),
                                  pa.large_list(pa.int64())])
def test_lists_are_rows(kind):
    rows = [[i, i + 1, i + 2] for i in range(5)]
    table = pa.table({"x": pa.array(rows, kind), "i": pa.array(range(5), pa.int64())}).slice(1)
    result = quern.Predictor(vectors())(table)
    assert values(result.column("y")).tolist() == (np.array(rows[1:]) + 1).tolist()
    assert result.schema.field("n").type == pa.int32()
    assert result.column("n").to_pylist() == [2, 4, 6, 8]
    uneven = pa.table({"x": [[1.0, 2, 3], [1.0]], "i": [1, 2]})
    with pytest.raises(quern.InvalidInputError, match="column 'x' has rows of different sizes"):
        quern.Predictor(vectors())(uneven)


def test_matrices_and_unknown_sizes():
    model = make_model([helper.make_node("Identity", ["x"], ["y"])],
                       [("x", TensorProto.FLOAT, ["N", "K"])], [("y", TensorProto.FLOAT, ["N", "K"])])
    predictor = quern.Predictor(model, outputs={"y": "copy"})
    result = predictor(pa.table({"x": [[1.0, 2], [3.0, 4]]}))
    assert result.schema.field("copy").type == pa.list_(pa.float32())
    assert result.column("copy").to_pylist() == [[1, 2], [3, 4]]


def test_encoded_and_decimal_columns():
    import decimal
    table = pa.table({"a": pa.array([1.0, 2, 1]).dictionary_encode(),
                      "b": pa.array([decimal.Decimal("1.5"), decimal.Decimal("2.5"), None])})
    result = quern.Predictor(two_ports())(table).column("sum").to_pylist()
    assert result[:2] == [2.5, 4.5] and np.isnan(result[2])


def test_errors_name_file_and_column(path, columns, tmp_path):
    predictor = quern.Predictor(path, columns=COLUMNS)
    with pytest.raises(quern.InvalidInputError, match=r"mlp\.onnx: there is no column 'c'; "
                                                      "the batch has a, b, d"):
        predictor(pa.table(columns).drop_columns(["c"]))
    texts = pa.table({**columns, "b": ["x"] * ROWS})
    with pytest.raises(quern.InvalidInputError, match=r"mlp\.onnx: column 'b' has strings; "
                                                      "the model takes float32"):
        predictor(texts)
    with pytest.raises(quern.InvalidInputError, match=r"mlp\.onnx: column 'b' has strings"):
        predictor({**columns, "b": np.array(["x"] * ROWS)})
    twice = pa.Table.from_arrays([pa.array([1.0])] * 11, names=[*COLUMNS, "b"])
    with pytest.raises(quern.InvalidInputError, match=r"mlp\.onnx: the batch has two columns 'b'"):
        predictor(twice)
    with pytest.raises(quern.InvalidInputError, match="column 'b' has 3 rows, column 'a' has 100"):
        predictor({**columns, "b": np.zeros(3)})
    with pytest.raises(quern.InvalidInputError, match=r"column 'i' has 1 nulls.*int32"):
        quern.Predictor(vectors())(pa.table({"x": [[1.0, 2, 3]] * 2, "i": [1, None]}))
    for wrong in ([1.5], [2**40]):
        with pytest.raises(quern.InvalidInputError, match="numbers that are no int32"):
            quern.Predictor(vectors())(pa.table({"x": [[1.0, 2, 3]], "i": wrong}))
    with pytest.raises(quern.InvalidInputError, match="cannot predict over a builtins.int"):
        predictor(3)


def test_errors_in_a_stream_are_errors_of_reading(path, columns):
    nulls = pa.table({"x": [[1.0, 2, 3]] * 2, "i": [1, None]})
    reader = quern.Predictor(vectors())(nulls.to_reader())
    with pytest.raises(quern.InvalidInputError, match="column 'i' has 1 nulls"):
        reader.read_all()


def test_what_is_wrong_with_a_predictor_shows_when_it_is_made(path, tmp_path):
    with pytest.raises(quern.FileError, match=r"none\.onnx: cannot open: No such file"):
        quern.Predictor(tmp_path / "none.onnx")
    with pytest.raises(quern.UsageError, match=r"mlp\.onnx: the model has no output 'zz'; it has y"):
        quern.Predictor(path, outputs={"zz": "p"})
    with pytest.raises(quern.UsageError, match="two outputs are named 'p'"):
        quern.Predictor(two_ports(), outputs={"sum": "p", "difference": "p"})
    with pytest.raises(quern.UsageError, match="`columns` name 'a' twice"):
        quern.Predictor(path, columns=["a", "a"])


@pytest.mark.parametrize("kind", ["dict", "table", "reader", "pandas", "polars"])
def test_a_column_is_never_replaced(path, columns, kind):
    batch = pa.table({**columns, "y": np.zeros(ROWS)})
    if kind in ("pandas", "polars"):
        pytest.importorskip(kind)
    batch = {"dict": lambda: {**columns, "y": np.zeros(ROWS)}, "table": lambda: batch,
             "reader": batch.to_reader, "pandas": lambda: batch.to_pandas(),
             "polars": lambda: __import__("polars").from_arrow(batch)}[kind]()
    with pytest.raises(quern.InvalidInputError, match=r"the batch has a column 'y', as the output "
                                                      r"would be; .*outputs=\{'y': \.\.\.\}"):
        quern.Predictor(path, columns=COLUMNS)(batch)


def test_column_transformers():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("skl2onnx")
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    random = np.random.default_rng(0)
    frame = pandas.DataFrame({"age": random.random(50) * 80, "note": ["x"] * 50,
                              "city": random.choice(list("ABC"), 50),
                              "level": random.integers(0, 3, 50)})
    pipeline = make_pipeline(
        ColumnTransformer([("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
                           ("kinds", OneHotEncoder(handle_unknown="ignore"), ["city", "level"])]),
        LogisticRegression()).fit(frame, frame.age > 40)
    wanted = pipeline.predict_proba(frame)
    for predictor in (quern.Predictor(pipeline), quern.Predictor(pipeline, example_inputs=frame[:1])):
        for batch in (frame, pa.Table.from_pandas(frame), pa.Table.from_pandas(frame).to_reader()):
            result = predictor(batch)
            result = result.read_all() if isinstance(result, pa.RecordBatchReader) else result
            found = (np.stack(result["probabilities"].to_list()) if isinstance(
                result, pandas.DataFrame) else values(result.column("probabilities")))
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_maps_of_probabilities():
    pytest.importorskip("skl2onnx")
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    x = np.random.default_rng(0).normal(size=(30, 2)).astype("f4")
    model = LogisticRegression().fit(x, np.where(x[:, 0] > 0, "yes", "no"))
    predictor = quern.Predictor(to_onnx(model, x[:1]), columns=["a", "b"])
    table = pa.table({"a": x[:, 0], "b": x[:, 1]})
    result = predictor(table)
    assert result.schema.field("output_probability").type == pa.map_(pa.string(), pa.float32())
    assert result.column("output_label").to_pylist() == model.predict(x).tolist()
    assert predictor(table.slice(0, 0)).schema == result.schema
