"""Predictors over DataFrames of Spark, by PySpark.

Spark starts processes of Python for its tasks and keeps them; each compiles a predictor's model
once, or loads the artefact that the first one has left in the cache folder.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator

from .columns import array_of
from .errors import UnsupportedError

if TYPE_CHECKING:
    from .predict import Predictor


def on_spark(predictor: Predictor, frame: Any) -> Any:
    """The DataFrame with a column for each output: batches come and go as Arrow has them."""
    from pyspark.sql.pandas.types import from_arrow_type

    schema = _copy_of(frame.schema)
    for field in _schema_of(predictor):
        schema.add(field.name, from_arrow_type(field.type))

    def extended(batches: Iterator[Any]) -> Iterator[Any]:
        fields = _schema_of(predictor)
        for batch in batches:
            made = predictor._predict(batch.column, batch.schema.names)
            arrays = [_spark_array(made[field.name], output.arrow_type, field.type)
                      for field, output in zip(fields, predictor._outputs())]
            yield type(batch).from_arrays([*batch.columns, *arrays],
                                          names=[*batch.schema.names, *fields.names])

    return frame.mapInArrow(extended, schema)


def udf_of(predictor: Predictor) -> Any:
    """A pandas UDF from the model's columns to its output, or to a struct of its outputs."""
    import pandas
    from pyspark.sql.functions import pandas_udf
    from pyspark.sql.pandas.types import from_arrow_type
    from pyspark.sql.types import StructType

    names = predictor.input_columns
    fields = _schema_of(predictor)
    struct = StructType()
    for field in fields:
        struct.add(field.name, from_arrow_type(field.type))
    is_one = len(fields) == 1

    def predict(parts: Any) -> Any:
        for series in parts:
            given = dict(zip(names, series if isinstance(series, tuple) else (series,)))
            made = predictor._predict(given.__getitem__, names)
            columns = {field.name: _spark_array(made[field.name], output.arrow_type,
                                                field.type).to_pandas()
                       for field, output in zip(fields, predictor._outputs())}
            yield columns[fields[0].name] if is_one else pandas.DataFrame(columns)

    # PySpark reads the kind of a function from these; one column comes as it is, not as a tuple.
    given: Any = tuple[pandas.Series, ...] if len(names) > 1 else pandas.Series
    iterator: Any = Iterator
    predict.__annotations__ = {
        "parts": iterator[given], "return": iterator[pandas.Series if is_one else pandas.DataFrame]}
    return pandas_udf(predict, struct[0].dataType if is_one else struct)


def _copy_of(schema: Any) -> Any:
    from pyspark.sql.types import StructType

    return StructType(list(schema.fields))


def _schema_of(predictor: Predictor) -> Any:
    """The outputs in types that Spark has."""
    import pyarrow

    return pyarrow.schema([(field.name, _spark_type(field.type))
                           for field in predictor.output_schema])


def _spark_type(kind: Any) -> Any:
    """The type of Arrow for what Spark has in place of another: lists of any size, integers with
    a sign."""
    import pyarrow
    from pyarrow import types

    if types.is_fixed_size_list(kind) or types.is_list(kind):
        return pyarrow.list_(_spark_type(kind.value_type))
    if types.is_map(kind):
        return pyarrow.map_(kind.key_type, _spark_type(kind.item_type))
    if types.is_uint64(kind):
        raise UnsupportedError("Spark has no type for outputs of uint64")
    wider = {"uint8": pyarrow.int16(), "uint16": pyarrow.int32(), "uint32": pyarrow.int64(),
             "halffloat": pyarrow.float32()}
    return wider.get(str(kind), kind)


def _spark_array(value: Any, kind: Any, wanted: Any) -> Any:
    made = array_of(value, kind)
    return made if made.type == wanted else made.cast(wanted)
