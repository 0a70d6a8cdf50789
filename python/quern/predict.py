"""Predictions over tables: Arrow, Polars, DuckDB, pandas, Spark, Ray Data and Dask.

    predictor = quern.Predictor("model.onnx", columns=["a", "b"])
    table = predictor(table)                  # of PyArrow, Polars, pandas: another of its kind
    reader = predictor(duckdb.sql("..."))     # whatever gives an Arrow stream: a RecordBatchReader
    dataset.map_batches(predictor, batch_format="pyarrow")            # Ray Data, in tasks
    dataset.map_batches(quern.Predictor, fn_constructor_args=("model.onnx",),       # or in actors
                        fn_constructor_kwargs={"columns": ["a", "b"]}, concurrency=2)
    frame.map_partitions(predictor, meta=predictor(frame.head(1)))    # a Dask dataframe
    frame = predictor(spark.read.parquet("in.parquet"))               # another DataFrame of Spark
    frame.select("id", predictor.spark_udf()("a", "b").alias("y"))    # as a pandas UDF

A Predictor travels as its model's path or bytes; each process compiles it once, when it is used.
Of a library that quern.aot has written no process compiles anything.
"""
from __future__ import annotations

import inspect as signatures
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, Optional, Sequence

import numpy as np

from ._quern import inspect_bytes
from .columns import Output, array_of, numbers_of
from .compiling import compile as compile_model
from .errors import FileError, InvalidInputError, UsageError
from .report import inspect
from .sources import is_path, name_of, serialized

if TYPE_CHECKING:
    import pyarrow

    from ._quern import CompiledModel, Port

# One executable for all predictors of one model in a process, with its _batch_sizes.
_COMPILED: dict[Any, tuple[CompiledModel, list[int]]] = {}
_LOCK = threading.Lock()


class Predictor:
    """Runs a model on batches: dicts of arrays, pandas and Polars dataframes, PyArrow tables and
    record batches, and whatever gives an Arrow stream, as readers and DuckDB's results.

    Inputs come from columns of their names; a model with one matrix as its input can be given
    `columns`, which become its columns. The result is the batch with a column for each output
    of the model, of these names or with names from `outputs` ({"probabilities": "p"}); of a
    stream it is a pyarrow.RecordBatchReader, which predicts as it is read. A library runs a
    batch in parts of the sizes that it was compiled for, the largest first: one that lists 1
    takes all batches.

    `missing` says what stands for values that a column lacks (nulls; NaN, too, in pandas): None
    for NaN where the model takes floating-point numbers, an error otherwise; "refuse" for an
    error; or a value, or one for each column by name.

    `model` is a path or what quern.compile converts; pipelines with a ColumnTransformer take
    their columns by name. Other options are those of quern.compile, and of the converter.
    """

    def __init__(self, model: Any, columns: Optional[Iterable[str]] = None,
                 outputs: Optional[Mapping[str, str]] = None, threads: int = 1,
                 example_inputs: Any = None, missing: Any = None, **options: Any) -> None:
        self._name = name_of(model)
        known = set(signatures.signature(compile_model).parameters)
        self._options: dict[str, Any] = {"threads": threads}
        self._options.update((k, options.pop(k)) for k in sorted(known.intersection(options)))
        if is_path(model):
            _check_file(os.fspath(model))
            # What is left is refused when the file is compiled: there is nothing to convert.
            self._options.update(options)
            self._source: Any = os.fspath(model)
        else:
            self._source = serialized(model, example_inputs, **options)
        self._columns = None if columns is None else list(columns)
        _refuse_twice(self._columns or [], UsageError, "`columns` name '{}' twice")
        self._missing = missing
        self._names = dict(outputs or {})
        self._check_outputs()
        self._ready: Optional[list[Output]] = None
        self._key = (self._source, tuple(sorted((k, str(v)) for k, v in self._options.items())))

    def _check_outputs(self) -> None:
        names = [port.name for port in _outputs_of(self._source)]
        for name in self._names:
            if name not in names:
                raise UsageError(f"{self._name}: the model has no output '{name}'; "
                                 f"it has {', '.join(names)}")
        _refuse_twice([self._names.get(name, name) for name in names], UsageError,
                      f"{self._name}: two outputs are named '{{}}'")

    def _compiled(self) -> tuple[CompiledModel, list[int]]:
        with _LOCK:
            if self._key not in _COMPILED:
                compiled = compile_model(self._source, **self._options)
                _COMPILED[self._key] = compiled, _batch_sizes(compiled)
            return _COMPILED[self._key]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ready": None}

    def _outputs(self) -> list[Output]:
        if self._ready is None:
            compiled, _ = self._compiled()
            self._ready = [Output(self._names.get(port.name, port.name), port, self._name)
                           for port in compiled.outputs]
        return self._ready

    @property
    def output_schema(self) -> pyarrow.Schema:
        """The names and types of the columns that come to a batch, known before there is one."""
        import pyarrow

        return pyarrow.schema([(output.name, output.arrow_type) for output in self._outputs()])

    @property
    def input_columns(self) -> list[str]:
        """The names of the columns that the model takes, in their order."""
        if self._columns is not None:
            return list(self._columns)
        return [port.name for port in self._compiled()[0].inputs]

    def spark_udf(self) -> Any:
        """A pandas UDF of Spark, to be called with `input_columns`: it gives the model's output,
        or a struct of its outputs."""
        from .spark import udf_of

        return udf_of(self)

    def predict(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """From a dict of arrays to a dict of arrays."""
        return self._predict(columns.__getitem__, list(columns))

    def _predict(self, column: Callable[[str], Any], names: Sequence[str]) -> dict[str, Any]:
        """`column` gives one of the columns with these names, as NumPy or Arrow have it."""
        compiled, batch_sizes = self._compiled()
        wanted = self._wanted(names)
        if self._columns is not None:
            feed = [self._matrix(compiled.inputs[0], column)]
        else:
            feed = [self._input(port, column(port.name)) for port in compiled.inputs]
        rows = self._rows_of(wanted, feed)
        outputs = self._outputs()
        results = ([output.empty() for output in outputs] if rows == 0 else
                   _run_in_parts(compiled, batch_sizes, feed))
        for output, value in zip(outputs, results):
            output.check(value, rows)
        return {output.name: value for output, value in zip(outputs, results)}

    def _wanted(self, names: Sequence[str]) -> list[str]:
        """The columns that the model takes, all of which the batch has, once."""
        compiled, _ = self._compiled()
        if self._columns is not None and len(compiled.inputs) != 1:
            raise InvalidInputError(f"{self._name}: `columns` is for models with one input")
        wanted = self._columns if self._columns is not None else [
            port.name for port in compiled.inputs]
        counts = Counter(names)
        for name in wanted:
            if not counts[name]:
                raise InvalidInputError(f"{self._name}: there is no column '{name}'; "
                                        f"the batch has {', '.join(map(str, names)) or 'none'}")
            if counts[name] > 1:
                raise InvalidInputError(f"{self._name}: the batch has two columns '{name}'")
        return wanted

    def _values(self, name: str, column: Any, port: Port) -> Any:
        missing = self._missing.get(name) if isinstance(self._missing, Mapping) else self._missing
        return numbers_of(column, port, f"{self._name}: column '{name}'", missing)

    def _matrix(self, port: Port, column: Callable[[str], Any]) -> Any:
        assert self._columns is not None
        matrix = None
        for i, name in enumerate(self._columns):
            values = self._values(name, column(name), port)
            if values.ndim != 1:
                raise InvalidInputError(f"{self._name}: column '{name}' has rows of "
                                        f"{values.shape[1:]} elements, not one number each")
            if matrix is None:
                matrix = np.empty((len(values), len(self._columns)), values.dtype)
            if len(values) != len(matrix):
                raise InvalidInputError(f"{self._name}: column '{name}' has {len(values)} rows, "
                                        f"column '{self._columns[0]}' has {len(matrix)}")
            matrix[:, i] = values
        return np.empty((0, 0), port.dtype) if matrix is None else matrix

    def _input(self, port: Port, values: Any) -> Any:
        array = self._values(port.name, values, port)
        # A column is a vector; models often want a matrix of one column.
        if port.shape is not None and array.ndim == 1 and len(port.shape) == 2:
            return array[:, None]
        return array

    def _rows_of(self, wanted: Sequence[str], feed: Sequence[Any]) -> int:
        for name, array in zip(wanted if self._columns is None else (), feed):
            if len(array) != len(feed[0]):
                raise InvalidInputError(f"{self._name}: column '{name}' has {len(array)} rows, "
                                        f"column '{wanted[0]}' has {len(feed[0])}")
        return len(feed[0]) if feed else 0

    def __call__(self, batch: Any) -> Any:
        if isinstance(batch, Mapping):
            self._refuse_names_of(batch)
            return {**batch, **self.predict(batch)}
        package = type(batch).__module__.partition(".")[0]
        if package == "pandas":
            return self._on_pandas(batch)
        if package == "polars":
            return self._on_polars(batch)
        if package == "pyspark":
            from .spark import on_spark

            self._refuse_names_of(batch.columns)
            self._wanted(batch.columns)
            return on_spark(self, batch)
        if hasattr(batch, "__arrow_c_stream__") or hasattr(batch, "__arrow_c_array__"):
            return self._on_arrow(batch)
        raise InvalidInputError(f"cannot predict over a {type(batch).__module__}."
                                f"{type(batch).__qualname__}; wanted a dict of arrays, a dataframe, "
                                "or what gives an Arrow stream")

    def _refuse_names_of(self, names: Iterable[str]) -> None:
        taken = set(names)
        for output in self._outputs():
            if output.name in taken:
                raise InvalidInputError(
                    f"{self._name}: the batch has a column '{output.name}', as the output would be; "
                    f"give it another name: outputs={{'{output.port.name}': ...}}")

    def _on_pandas(self, frame: Any) -> Any:
        self._refuse_names_of(frame.columns)
        made = self._predict(lambda name: frame[name], list(frame.columns))
        return frame.assign(**{output.name: output.for_pandas(made[output.name])
                               for output in self._outputs()})

    def _on_polars(self, frame: Any) -> Any:
        import polars
        if not isinstance(frame, polars.DataFrame):
            raise InvalidInputError(f"cannot predict over a {type(frame).__qualname__} of Polars; "
                                    "wanted a DataFrame: collect() gives one")
        self._refuse_names_of(frame.columns)
        made = self._columns_for(self._arrow_columns(frame.select(self._wanted(frame.columns))))
        return frame.hstack(polars.from_arrow(made))

    def _on_arrow(self, batch: Any) -> Any:
        import pyarrow

        if isinstance(batch, pyarrow.Table):
            return self._extended(batch)
        if isinstance(batch, pyarrow.RecordBatch) or not hasattr(batch, "__arrow_c_stream__"):
            return self._extended(pyarrow.record_batch(batch))
        reader = pyarrow.RecordBatchReader.from_stream(batch)
        self._refuse_names_of(reader.schema.names)
        self._wanted(reader.schema.names)
        schema = reader.schema
        for field in self.output_schema:
            schema = schema.append(field)
        return pyarrow.RecordBatchReader.from_batches(schema, self._stream(reader))

    def _stream(self, reader: Any) -> Iterator[Any]:
        for batch in reader:
            yield self._extended(batch)

    def _extended(self, table: Any) -> Any:
        """A pyarrow.Table or RecordBatch with the outputs, of which only those columns are looked
        at that the model takes."""
        self._refuse_names_of(table.schema.names)
        self._wanted(table.schema.names)
        made = self._columns_for(table)
        for field, column in zip(made.schema, made.columns):
            table = table.append_column(field, _whole(column))
        return table

    @staticmethod
    def _arrow_columns(frame: Any) -> Any:
        import pyarrow

        return pyarrow.table(frame)

    def _columns_for(self, table: Any) -> Any:
        """The outputs as a pyarrow.Table."""
        import pyarrow

        made = self._predict(lambda name: table.column(name), table.schema.names)
        arrays = [array_of(made[output.name], output.arrow_type) for output in self._outputs()]
        return pyarrow.Table.from_arrays(arrays, schema=self.output_schema)


def _outputs_of(source: Any) -> Sequence[Port]:
    """What a file or message says that it gives."""
    ports: Sequence[Port] = (inspect(source).outputs if is_path(source) else
                             inspect_bytes(source)["outputs"])
    return ports


def _whole(column: Any) -> Any:
    """The one chunk of a column that was made here."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _check_file(path: str) -> None:
    """FileError when it is no file that can be read: now, not in some worker later."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise FileError(f"{path}: cannot open: {error.strerror}") from error


def _refuse_twice(names: Sequence[str], kind: type, message: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise kind(message.format(name))


def _batch_sizes(compiled: CompiledModel) -> list[int]:
    """The numbers of rows that a library has code for, the largest first; empty when any will
    do, or inputs have no rows in common."""
    batches = [{dims[0] if dims else None for dims in plan} for plan in compiled.listed_input_dims]
    if any(len(sizes) != 1 or None in sizes for sizes in batches):
        return []
    return sorted({size for sizes in batches for size in sizes if size}, reverse=True)


def _run_in_parts(compiled: CompiledModel, sizes: Sequence[int], feed: Sequence[Any]) -> list[Any]:
    rows = len(feed[0]) if feed else 0
    if not sizes or rows in sizes:
        return compiled.run(None, feed)
    parts, begin = [], 0
    while begin < rows:
        # What no size is small enough for is the library's to refuse.
        size = next((size for size in sizes if size <= rows - begin), rows - begin)
        parts.append(compiled.run(None, [array[begin:begin + size] for array in feed]))
        begin += size
    return [np.concatenate(outputs) for outputs in zip(*parts)]
