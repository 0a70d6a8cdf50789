"""Columns of tables as the inputs and outputs of a model."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    from ._quern import Port


#===-----------------------------------------------------------------------===#
# Inputs
#===-----------------------------------------------------------------------===#


def numbers_of(column: Any, port: Port, where: str, missing: Any = None) -> Any:
    """A column as an array of an input's element type: a vector, or a tensor of rows when the
    column has lists. `where` names file and column in errors; `missing` is the Predictor's rule for
    this column."""
    if missing is not None:
        column = _filled(column, missing, where)
    array = _from_arrow(column, port, where) if _is_arrow(column) else _from_array(column, where)
    return _as_type(array, port, where)


def _is_arrow(column: Any) -> bool:
    return type(column).__module__.partition(".")[0] == "pyarrow"


def _filled(column: Any, missing: Any, where: str) -> Any:
    """The column with a value for what it lacks: nulls, in pandas NaN, too, in arrays of objects
    None. InvalidInputError where they are to be refused, or the value is none of the column's."""
    is_pandas = type(column).__module__.partition(".")[0] == "pandas"
    if not _is_arrow(column) and not is_pandas:
        column = np.asarray(column)
    if _is_arrow(column):
        absent = column.is_null() if column.null_count else None
        count = column.null_count
    else:
        absent = np.asarray(column.isna()) if is_pandas else np.array(
            [value is None for value in column], bool) if column.dtype == object else None
        count = 0 if absent is None else int(absent.sum())
    if not count:
        return column
    if isinstance(missing, str) and missing == "refuse":
        row = np.flatnonzero(np.asarray(absent))[0]
        raise InvalidInputError(f"{where} has {count} values missing, the first in row {row}; "
                                "missing=... says what stands for them")
    try:
        return _with_value(column, absent, missing)
    except (TypeError, ValueError, NotImplementedError) as error:  # Arrow's errors are such, too
        raise InvalidInputError(f"{where}: {missing!r} cannot stand for what is missing "
                                f"({error})") from error


def _with_value(column: Any, absent: Any, value: Any) -> Any:
    if _is_arrow(column):
        import pyarrow
        import pyarrow.compute

        if pyarrow.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return pyarrow.compute.fill_null(column, pyarrow.scalar(value, column.type))
    if hasattr(column, "fillna"):
        if hasattr(column, "cat"):
            column = column.astype(column.cat.categories.dtype)
        return column.fillna(value)
    column = column.copy()
    column[absent] = value
    return column


def _from_array(column: Any, where: str) -> Any:
    if type(column).__module__.partition(".")[0] == "pandas":
        array = _from_pandas(column)
    else:
        array = column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)
    if array.dtype != object or not len(array) or not isinstance(
            array[0], (list, tuple, np.ndarray)):
        return array
    try:
        return np.stack([np.asarray(row) for row in array])
    except ValueError as error:
        raise InvalidInputError(f"{where} has rows of different sizes ({error})") from error


def _from_pandas(series: Any) -> Any:
    """Numbers of pandas' own types, with NaN for what is missing."""
    import pandas

    if isinstance(series.dtype, np.dtype) or not pandas.api.types.is_numeric_dtype(series.dtype):
        return np.asarray(series)
    return series.to_numpy("f8", na_value=np.nan) if series.isna().any() else (
        series.to_numpy(series.dtype.numpy_dtype))


def _from_arrow(column: Any, port: Port, where: str) -> Any:
    import pyarrow
    from pyarrow import types

    if isinstance(column, pyarrow.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(column, pyarrow.ChunkedArray):  # several that are too large for one
        return np.concatenate([_from_arrow(chunk, port, where) for chunk in column.chunks])
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if isinstance(column, pyarrow.ExtensionArray):
        column = column.storage
    if column.null_count and (np.dtype(port.dtype).kind != "f" or types.is_nested(column.type)):
        raise InvalidInputError(f"{where} has {column.null_count} nulls, for which "
                                f"{port.element_type} has no value")
    if types.is_decimal(column.type):
        column = column.cast(pyarrow.float64())
    if types.is_fixed_size_list(column.type) or types.is_list(column.type) or (
            types.is_large_list(column.type)):
        return _rows_of_lists(column, port, where)
    return column.to_numpy(zero_copy_only=False)


def _rows_of_lists(column: Any, port: Port, where: str) -> Any:
    import pyarrow.compute

    if pyarrow.types.is_fixed_size_list(column.type):
        size = column.type.list_size
    else:
        sizes = pyarrow.compute.unique(pyarrow.compute.list_value_length(column))
        if len(sizes) > 1:
            raise InvalidInputError(f"{where} has rows of different sizes")
        size = sizes[0].as_py() if len(sizes) else 0
    elements = _from_arrow(column.flatten(), port, where)
    return elements.reshape(len(column), size, *elements.shape[1:])


def _as_type(array: Any, port: Port, where: str) -> Any:
    """Numbers become numbers, texts stay texts."""
    wanted = np.dtype(port.dtype)
    if wanted == object:
        if array.dtype.kind not in "OUST" or any(not isinstance(text, (str, bytes))
                                                 for text in array.ravel()[:1]):
            raise InvalidInputError(f"{where} has {array.dtype.name}; the model takes strings")
        return array.astype(object)
    if array.dtype == object and all(isinstance(number, (int, float, np.number, type(None)))
                                     for number in array.ravel()):
        array = array.astype("f8")
    if array.dtype.kind not in "biufc" and array.dtype != wanted:
        kind = "strings" if array.dtype.kind in "OUST" else array.dtype.name
        raise InvalidInputError(f"{where} has {kind}; the model takes {port.element_type}")
    if array.dtype != wanted and wanted.kind in "iu" and array.size and array.dtype.kind in "iuf":
        bounds = np.iinfo(wanted)
        if not (np.isfinite(array).all() and (array == np.trunc(array)).all() and
                bounds.min <= array.min() and array.max() <= bounds.max):
            raise InvalidInputError(f"{where} has numbers that are no {port.element_type}")
    return array.astype(wanted, copy=False)


#===-----------------------------------------------------------------------===#
# Outputs
#===-----------------------------------------------------------------------===#


class Output:
    """An output of a model as a column: its type is that of the model's port, whatever a batch
    holds. Of a matrix with one column that is a number, of others a list of a row's elements."""

    def __init__(self, name: str, port: Port, model: str) -> None:
        self.name, self.port = name, port
        self._where = f"{model}: output '{port.name}'"

    @property
    def _row(self) -> Any:
        """The sizes of a row; None stands for sizes that are not known."""
        if self.port.kind != "tensor" or self.port.shape is None or not self.port.shape:
            raise UnsupportedError(f"{self._where} ({self.port.type}) has no rows that the type of "
                                   "a column could be known of")
        sizes = [size if isinstance(size, int) else None for size in self.port.shape[1:]]
        return [] if sizes == [1] else sizes

    @property
    def arrow_type(self) -> Any:
        import pyarrow

        if self.port.kind == "sequence":
            return self._type_of_maps()
        kind = np.dtype(self.port.dtype)
        if kind.kind == "c":
            raise UnsupportedError(f"{self._where}: Arrow has no complex numbers")
        made = pyarrow.string() if kind == object else (
            pyarrow.float32() if kind.kind == "V" or kind.name == "bfloat16" else
            pyarrow.from_numpy_dtype(kind))
        for size in reversed(self._row):
            made = pyarrow.list_(made) if size is None else pyarrow.list_(made, size)
        return made

    def _type_of_maps(self) -> Any:
        """Of what ZipMap makes: a dict for each row, from classes to probabilities."""
        import pyarrow

        for key, made in (("int64", pyarrow.int64()), ("string", pyarrow.string())):
            if self.port.type == f"seq(map({key},tensor(float)))":
                return pyarrow.map_(made, pyarrow.float32())
        raise UnsupportedError(f"{self._where} ({self.port.type}) cannot become a column")

    def empty(self) -> Any:
        if self.port.kind == "sequence":
            return []
        row = self.port.shape[1:] if self.port.shape else ()
        return np.empty((0, *(size if isinstance(size, int) else 0 for size in row)),
                        self.port.dtype)

    def check(self, value: Any, rows: int) -> None:
        found = len(value) if not isinstance(value, np.ndarray) or value.ndim else None
        if found != rows:
            has = "one value" if found is None else f"{found} rows"
            raise UnsupportedError(f"{self._where} has {has} for a batch of {rows} rows")

    def for_pandas(self, value: Any) -> Any:
        """Numbers as NumPy has them; rows of several, whose type is to be known to whoever writes
        the dataframe, as Arrow has them."""
        if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == 1:
            value = value[:, 0]
        if isinstance(value, np.ndarray) and value.ndim == 1:
            return value
        try:
            import pandas
            import pyarrow  # noqa: F401
        except ImportError:
            return list(value)
        return pandas.arrays.ArrowExtensionArray(array_of(value, self.arrow_type))


def array_of(value: Any, kind: Any) -> Any:
    """An output as an array of an Arrow type, on its memory where that can be."""
    import pyarrow

    if not isinstance(value, np.ndarray):
        return pyarrow.array([list(row.items()) for row in value], kind)
    if not pyarrow.types.is_nested(kind):
        flat = value.reshape(len(value)) if value.size else value.reshape(-1)
        if pyarrow.types.is_floating(kind) and flat.dtype.kind == "V":
            flat = flat.astype("f4")
        return pyarrow.array(flat, kind)
    rows, size = value.shape[0], value.shape[1]
    elements = array_of(value.reshape(rows * size, *value.shape[2:]), kind.value_type)
    if pyarrow.types.is_fixed_size_list(kind):
        return pyarrow.FixedSizeListArray.from_arrays(elements, type=kind)
    offsets = np.arange(rows + 1, dtype="i8") * size
    return pyarrow.ListArray.from_arrays(pyarrow.array(offsets, pyarrow.int32()), elements, type=kind)
