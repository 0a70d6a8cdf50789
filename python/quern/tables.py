"""quern run from a table of Parquet to another: what the package adds to the command.

Rows are read, run and written some thousand at once; the file appears complete or not at all.
Needs PyArrow. Tables of text are the command's own: --input FILE.csv.
"""
from __future__ import annotations

import argparse
import os
import sys
import tempfile
from typing import Any, Optional, Sequence, Union

from .errors import FileError, QuernError, UnsupportedError, UsageError

ROWS_AT_ONCE = 16384


def takes(arguments: Sequence[str]) -> bool:
    """Whether the arguments of the command ask for this."""
    return arguments[:1] == ["run"] and any(
        argument.endswith(".parquet") for argument in arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("quern run", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("MODEL")
    parser.add_argument("--input", required=True, metavar="IN.parquet")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.parquet")
    parser.add_argument("--columns", metavar="COLUMNS", help="the columns of the model's only input: "
                        "a,b,c (default: all, if the model takes a matrix; else by name)")
    parser.add_argument("--missing", metavar="VALUE", help="what stands for nulls: nan or a number "
                        "(default: they are refused)")
    parser.add_argument("--keep", metavar="COLUMNS", default="all",
                        help="the columns that stay: a,b, all (default) or none")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("-q", "--quiet", action="store_true")
    return parser


def main(arguments: Sequence[str]) -> int:
    """The exit code of the command."""
    options = _parser().parse_args(arguments[1:])
    try:
        rows = run(options.MODEL, options.input, options.output,
                   columns=options.columns.split(",") if options.columns else None,
                   missing=_missing_of(options.missing), keep=options.keep, threads=options.threads)
    except QuernError as error:
        print(f"quern: error: {error}", file=sys.stderr)
        return error.code
    if not options.quiet:
        print(f"quern: note: wrote {rows} rows to {options.output}", file=sys.stderr)
    return 0


def _missing_of(text: Optional[str]) -> Union[None, str, float]:
    if text is None:
        return "refuse"
    try:
        return None if text == "nan" else float(text)
    except ValueError:
        raise UsageError(f"--missing {text}: wanted nan or a number") from None


def run(model: str, source: str, target: str, *, columns: Optional[Sequence[str]] = None,
        missing: Any = "refuse", keep: str = "all", threads: int = 0) -> int:
    """Writes the table with the outputs of the model as columns; how many rows there were."""
    for path in (source, target):
        if not path.endswith(".parquet"):
            raise UsageError(f"'{path}': from a table of Parquet to another is what is done here; "
                             "quern run takes tables of text alone")
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UnsupportedError("tables of Parquet need PyArrow: pip install pyarrow") from None
    from .predict import Predictor

    if os.path.exists(target) and os.path.samefile(source, target):
        raise UsageError(f"'{target}' is the input")
    try:
        with parquet.ParquetFile(source) as file:
            names = list(file.schema_arrow.names)
            _check_kept(keep, names, source)
            predictor = Predictor(model, columns=_columns_for(model, names, columns),
                                  missing=missing, threads=threads)
            kept = names if keep == "all" else [] if keep == "none" else keep.split(",")
            return _write(predictor, file, kept, target)
    except (OSError, pyarrow.ArrowException) as error:
        raise FileError(f"'{source}': {error}") from error


def _check_kept(keep: str, names: Sequence[str], source: str) -> None:
    for name in keep.split(",") if keep not in ("all", "none") else ():
        if name not in names:
            raise UsageError(f"--keep: '{source}' has no column '{name}'; it has {', '.join(names)}")


def _columns_for(model: str, names: Sequence[str],
                 columns: Optional[Sequence[str]]) -> Optional[Sequence[str]]:
    """Those asked for; all of them for a model that takes one matrix."""
    from .report import inspect

    ports = inspect(model).inputs
    is_matrix = len(ports) == 1 and ports[0].shape and len(ports[0].shape) == 2 and (
        ports[0].shape[1] != 1)
    return names if columns is None and is_matrix else columns


def _write(predictor: Any, file: Any, kept: Sequence[str], target: str) -> int:
    """Under another name until all is there."""
    import pyarrow
    from pyarrow import parquet

    folder, name = os.path.split(os.path.abspath(target))
    try:
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    except OSError as error:
        raise FileError(f"cannot write '{target}': {error.strerror}") from error
    os.close(descriptor)
    rows = 0
    try:
        fields = [file.schema_arrow.field(column) for column in kept]
        schema = pyarrow.schema([*fields, *predictor.output_schema])
        with parquet.ParquetWriter(temporary, schema) as writer:
            for batch in file.iter_batches(ROWS_AT_ONCE):
                writer.write_batch(predictor(batch).select(schema.names))
                rows += batch.num_rows
        os.chmod(temporary, _permissions_of(target))
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return rows


def _permissions_of(target: str) -> int:
    """Those of the file that is replaced, else what a new one has."""
    if os.path.exists(target):
        return os.stat(target).st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
