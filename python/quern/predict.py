"""Predictions over tables: with PyArrow, Ray Data and Dask.

    predictor = quern.Predictor("model.onnx", columns=["a", "b"])
    table = predictor(table)                                     # a pyarrow.Table
    dataset.map_batches(quern.Predictor, fn_constructor_args=("model.onnx",),
                        fn_constructor_kwargs={"columns": ["a", "b"]}, concurrency=2)
    frame.map_partitions(predictor, meta=...)                    # a Dask dataframe

A Predictor travels as the bytes of its model; each process compiles it once, when it is used. Of
a library that quern.aot has written it travels as the path, and no process compiles anything.
"""
import os
import threading

import numpy as np

from .compiling import compile as compile_model
from .errors import InvalidInputError
from .sources import serialized

# One executable for all predictors of one model in a process, with its _batch_sizes.
_COMPILED = {}
_LOCK = threading.Lock()


class Predictor:
    """Runs a model on batches: dicts of arrays, PyArrow tables or batches, pandas dataframes.

    Inputs come from columns of their names; a model with one matrix as its input can be given
    `columns`, which become its columns. The result is the batch with a column for each output
    of the model, of these names or with names from `outputs` ({"probabilities": "p"}). A library
    runs a batch in parts of the sizes that it was compiled for, the largest first: one that
    lists 1 takes all batches.
    """

    def __init__(self, model, columns=None, outputs=None, threads=1, **options):
        self._source = os.fspath(model) if isinstance(model, (str, os.PathLike)) else (
            serialized(model))
        self._columns = None if columns is None else list(columns)
        self._names = dict(outputs or {})
        self._options = {"threads": threads, **options}
        self._key = (self._source, tuple(sorted((k, str(v)) for k, v in self._options.items())))

    def _compiled(self):
        with _LOCK:
            if self._key not in _COMPILED:
                compiled = compile_model(self._source, **self._options)
                _COMPILED[self._key] = compiled, _batch_sizes(compiled)
            return _COMPILED[self._key]

    def predict(self, columns):
        """From a dict of arrays to a dict of arrays."""
        compiled, batch_sizes = self._compiled()
        if self._columns is not None:
            if len(compiled.inputs) != 1:
                raise InvalidInputError("`columns` is for models with one input")
            port = compiled.inputs[0]
            matrix = np.stack([np.asarray(columns[name]).astype(port.dtype, copy=False)
                               for name in self._columns], axis=1)
            feed = [matrix]
        else:
            feed = [self._input(port, columns) for port in compiled.inputs]
        results = _run_in_parts(compiled, batch_sizes, feed)
        return {self._names.get(port.name, port.name): value
                for port, value in zip(compiled.outputs, results)}

    @staticmethod
    def _input(port, columns):
        try:
            array = np.asarray(columns[port.name])
        except KeyError:
            raise InvalidInputError(f"there is no column '{port.name}'") from None
        if array.dtype == object and len(array) and isinstance(array[0], (list, np.ndarray)):
            array = np.stack(array)
        # A column is a vector; models often want a matrix of one column.
        if port.shape is not None and array.ndim == 1 and len(port.shape) == 2:
            array = array[:, None]
        return array.astype(port.dtype, copy=False)

    def __call__(self, batch):
        if isinstance(batch, dict):
            return {**batch, **self.predict(batch)}
        if hasattr(batch, "column_names") or hasattr(batch, "schema"):
            return self._on_arrow(batch)
        made = self.predict({name: batch[name].to_numpy() for name in batch.columns})
        return batch.assign(**{name: _as_cells(value) for name, value in made.items()})

    def _on_arrow(self, table):
        import pyarrow

        columns = {name: table.column(name).to_numpy(zero_copy_only=False)
                   if isinstance(table, pyarrow.RecordBatch) else table.column(name).to_numpy()
                   for name in table.schema.names}
        for name, value in self.predict(columns).items():
            cells = _as_cells(value)
            column = pyarrow.array(cells if isinstance(cells, list) else cells.tolist()
                                   if cells.dtype == object else cells)
            table = table.append_column(name, column)
        return table


def _batch_sizes(compiled):
    """The numbers of rows that a library has code for, the largest first; empty when any will
    do, or inputs have no rows in common."""
    batches = [{dims[0] if dims else None for dims in plan} for plan in compiled.listed_input_dims]
    if any(len(sizes) != 1 or None in sizes for sizes in batches):
        return []
    return sorted({size for sizes in batches for size in sizes if size > 0}, reverse=True)


def _run_in_parts(compiled, sizes, feed):
    rows = len(feed[0]) if feed else 0
    if not sizes or rows in sizes or rows == 0:
        return compiled.run(None, feed)
    parts, begin = [], 0
    while begin < rows:
        # What no size is small enough for is the library's to refuse.
        size = next((size for size in sizes if size <= rows - begin), rows - begin)
        parts.append(compiled.run(None, [array[begin:begin + size] for array in feed]))
        begin += size
    return [np.concatenate(outputs) for outputs in zip(*parts)]


def _as_cells(value):
    """A column: a vector, or a list of rows."""
    if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == 1:
        return value[:, 0]
    return value if isinstance(value, np.ndarray) and value.ndim == 1 else list(value)
