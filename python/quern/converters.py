"""From torch modules and programs, and fitted estimators of scikit-learn, LightGBM and XGBoost, to ONNX.

Converting is left to the converters that users of these packages have: torch.onnx, skl2onnx and
onnxmltools. None is needed to import quern.
"""
from __future__ import annotations

import contextlib
import logging
import re
from typing import Any, Iterable, Iterator, Sequence

from .errors import QuernError, UnsupportedError, UsageError
from .frameworks import Exported, need
from .sources import bytes_of_message

log = logging.getLogger("quern")
# Colours and such, as for terminals.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|[\x00-\x08\x0b-\x1f\x7f]")


def plain(text: object) -> str:
    """In one line, without what is meant for terminals."""
    return " ".join(_ESCAPES.sub("", str(text)).split())


def root_cause(error: BaseException) -> str:
    """What an error of an exporter says about where it began."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = plain(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextlib.contextmanager
def errors_of(converter: str, what: str) -> Iterator[None]:
    """What a converter raises, as UnsupportedError; sources.serialized wraps the rest."""
    try:
        yield
    except (QuernError, MemoryError):
        raise
    except Exception as error:
        raise UnsupportedError(f"{converter} cannot convert {what}: {root_cause(error)}") from error


#===-----------------------------------------------------------------------===#
# torch
#===-----------------------------------------------------------------------===#


@contextlib.contextmanager
def _in_eval_mode(module: Any) -> Iterator[None]:
    """Each part of a module goes back to the mode that it was in."""
    trained = [part for part in module.modules() if part.training]
    if trained:
        log.warning("%s is in train mode; it is exported in eval mode, without dropout and with "
                    "the statistics of normalizations as they stand", type(module).__name__)
    module.eval()
    try:
        yield
    finally:
        for part in trained:
            part.training = True


def from_torch(module: Any, example_inputs: Any, options: dict[str, Any]) -> Exported:
    """A module in eval mode, which is left as it was; or a program of torch.export, with the sizes
    that it leaves open."""
    import torch

    is_program = not isinstance(module, torch.nn.Module)
    if example_inputs is None and not is_program:
        raise UsageError("a torch.nn.Module needs example inputs: quern.compile(module, (tensor,))")
    if isinstance(example_inputs, torch.Tensor) or not isinstance(example_inputs, Iterable):
        example_inputs = (example_inputs,)
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UnsupportedError(f"torch.onnx needs the package {error.name}: "
                               "pip install onnx onnxscript") from error
    name = type(module).__name__
    log.info("exporting %s with torch.onnx", name)
    mode = contextlib.nullcontext() if is_program else _in_eval_mode(module)
    arguments = () if is_program else (tuple(example_inputs),)
    with torch.no_grad(), mode, errors_of("torch.onnx", name):
        program: Any = torch.onnx.export(module, *arguments,
                                         **{"dynamo": True, "verbose": False, **options})
    message = program.model_proto
    names = keys_of(getattr(program, "exported_program", None))
    if names:
        name_outputs(message.graph, names)
    return Exported(bytes_of_message(message), bool(names))


def keys_of(program: Any) -> list[str]:
    """Those of the dict that a program of torch.export gives; none when it gives no dict of
    tensors."""
    made = getattr(getattr(program, "call_spec", None), "out_spec", None)
    if made is None or not issubclass(made.type or object, dict):
        return []
    keys = made.context[1] if isinstance(made.context, (list, tuple)) and len(
        made.context) == 2 and isinstance(made.context[1], list) else made.context
    return [str(key) for key in keys] if made.num_leaves == len(keys) else []


def name_outputs(graph: Any, names: Sequence[str]) -> None:
    """Gives the outputs of an ONNX graph these names; NAME_output where an input has it. A value
    in between that has one goes by another."""
    if len(names) != len(graph.output):
        return
    inputs = {port.name for port in graph.input}
    wanted = [f"{name}_output" if name in inputs else name for name in names]
    renamed = {name: f"{name}_inner" for name in wanted}
    for output, name in zip(graph.output, wanted):
        renamed[output.name] = name
    if len({output.name for output in graph.output}) != len(names) or any(
            output.name in inputs for output in graph.output):
        return
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for values in (graph.output, graph.value_info, graph.initializer):
        for value in values:
            value.name = renamed.get(value.name, value.name)


#===-----------------------------------------------------------------------===#
# scikit-learn, LightGBM, XGBoost
#===-----------------------------------------------------------------------===#


def _package_of(estimator: Any) -> str:
    return type(estimator).__module__.partition(".")[0]


def _parts_of(estimator: Any) -> list[Any]:
    """The estimator, and those that it is made of."""
    parts = [estimator]
    if hasattr(estimator, "get_params"):
        parts += estimator.get_params(deep=True).values()
    return parts


def _register_boosters(packages: set[str]) -> None:
    """Tells skl2onnx of the estimators of LightGBM and XGBoost."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (calculate_linear_classifier_output_shapes,
                                                  calculate_linear_regressor_output_shapes)

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"],
               "raw_scores": [True, False]}
    rows = []
    if "lightgbm" in packages:
        import lightgbm
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
        rows += [(lightgbm.LGBMClassifier, "LightGbm", convert_lightgbm),
                 (lightgbm.LGBMRegressor, "LightGbm", convert_lightgbm)]
    if "xgboost" in packages:
        import xgboost
        from sklearn.base import clone
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost

        def convert_unnamed(scope: Any, operator: Any, container: Any) -> None:
            """onnxmltools takes features by their numbers, and not by names of columns."""
            estimator = operator.raw_operator
            operator.raw_operator = clone(estimator)
            operator.raw_operator.load_model(estimator.get_booster().save_raw())
            operator.raw_operator.get_booster().feature_names = None
            convert_xgboost(scope, operator, container)

        rows += [(kind, "XGBoost", convert_unnamed) for kind in (
            xgboost.XGBClassifier, xgboost.XGBRFClassifier,
            xgboost.XGBRegressor, xgboost.XGBRFRegressor)]
    for kind, prefix, convert in rows:
        if issubclass(kind, _classifier_mixin()):
            update_registered_converter(kind, prefix + kind.__name__,
                                        calculate_linear_classifier_output_shapes, convert,
                                        options=options)
        else:
            update_registered_converter(kind, prefix + kind.__name__,
                                        calculate_linear_regressor_output_shapes, convert)


def _classifier_mixin() -> Any:
    from sklearn.base import ClassifierMixin
    return ClassifierMixin


def _opsets_for_boosters() -> dict[str, int]:
    """The newest that onnxmltools writes."""
    from onnxmltools.convert.common.onnx_ex import get_maximum_opset_supported
    return {"": int(get_maximum_opset_supported()), "ai.onnx.ml": 3}


def _from_booster(booster: Any, options: dict[str, Any]) -> bytes:
    """A Booster as these packages have it beside their estimators."""
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    is_lightgbm = _package_of(booster) == "lightgbm"
    features = booster.num_feature() if is_lightgbm else booster.num_features()
    convert = onnxmltools.convert_lightgbm if is_lightgbm else onnxmltools.convert_xgboost
    if not is_lightgbm:  # whose converter takes features by their numbers
        booster = booster.copy()
        booster.feature_names = None
    settings = {"initial_types": [("X", FloatTensorType([None, features]))], **options}
    if is_lightgbm:
        settings.setdefault("zipmap", False)
    with errors_of("onnxmltools", f"{_package_of(booster)}.Booster"):
        return bytes_of_message(convert(booster, **settings))


def from_estimator(estimator: Any, example_inputs: Any, options: dict[str, Any]) -> bytes:
    """With one input X of all features, or with an input for each column where columns of several
    types go different ways (a ColumnTransformer), or `example_inputs` has them."""
    name = f"{_package_of(estimator)}.{type(estimator).__name__}"
    boosters = {_package_of(part) for part in _parts_of(estimator)} & {"lightgbm", "xgboost"}
    if boosters:
        need("onnxmltools", name)
    if type(estimator).__name__ == "Booster":
        return _from_booster(estimator, options)
    need("skl2onnx", name)
    from skl2onnx import to_onnx

    options = dict(options)
    if boosters:
        _register_boosters(boosters)
        options.setdefault("target_opset", _opsets_for_boosters())
    example_inputs = _as_converters_want(estimator, example_inputs, bool(boosters))
    if example_inputs is None and "initial_types" not in options:
        options["initial_types"] = _inputs_of(estimator)
    if hasattr(estimator, "predict_proba"):  # arrays instead of a list of dicts
        options.setdefault("options", {id(estimator): {"zipmap": False}})
    log.info("converting %s with skl2onnx", name)
    with errors_of("skl2onnx", name):
        message = to_onnx(estimator, example_inputs, **options)
    _drop_unused_inputs(message.graph)
    return bytes_of_message(message)


def _as_converters_want(estimator: Any, examples: Any, has_boosters: bool) -> Any:
    """Estimators take a dataframe as one array, and skl2onnx makes an input of each of its columns,
    which only a ColumnTransformer can take apart. Trees of onnxmltools compute in float32 but call
    their results what their inputs are: of float64, which NumPy has by default, comes no model."""
    import numpy as np

    if hasattr(examples, "columns"):
        are_numbers = all(getattr(kind, "kind", "O") in "biuf" for kind in examples.dtypes)
        if are_numbers and _chooser_of(estimator) is None:
            examples = np.asarray(examples)
        elif has_boosters:
            wide = [name for name, kind in examples.dtypes.items() if kind == np.float64]
            return examples.astype(dict.fromkeys(wide, "float32"))
    is_wide = getattr(examples, "dtype", None) == np.float64
    return examples.astype(np.float32) if has_boosters and is_wide else examples


def _drop_unused_inputs(graph: Any) -> None:
    """Columns that a ColumnTransformer drops need not be given."""
    used = {name for node in graph.node for name in node.input}
    used.update(output.name for output in graph.output)
    kept = [port for port in graph.input if port.name in used]
    if kept:
        del graph.input[:]
        graph.input.extend(kept)


def _chooser_of(estimator: Any) -> Any:
    """Its ColumnTransformer, or None."""
    return next((part for part in _parts_of(estimator)
                 if type(part).__name__ == "ColumnTransformer"), None)


def _inputs_of(estimator: Any) -> list[tuple[str, Any]]:
    """The inputs of a fitted estimator, as skl2onnx names them."""
    from skl2onnx.common.data_types import FloatTensorType

    features = getattr(estimator, "n_features_in_", None)
    if features is None:
        raise UsageError(f"{type(estimator).__name__} is not fitted; give a fitted estimator, "
                         "or example inputs")
    names = getattr(estimator, "feature_names_in_", None)
    chooser = _chooser_of(estimator)
    if names is None or chooser is None:
        return [("X", FloatTensorType([None, features]))]
    kinds = _column_kinds(_fitted(estimator, chooser), list(names))
    return [(str(name), kinds.get(name, FloatTensorType)([None, 1])) for name in names]


def _fitted(estimator: Any, chooser: Any) -> Any:
    """Pipelines have their parts fitted in place."""
    if not hasattr(chooser, "transformers_"):
        raise UsageError(f"the {type(chooser).__name__} in {type(estimator).__name__} is not fitted")
    return chooser


def _column_kinds(chooser: Any, names: list[str]) -> dict[str, Any]:
    """The types of columns that are no floating-point numbers, as encoders and imputers of the
    columns have learnt them."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    kinds = {}
    for _, transformer, columns in chooser.transformers_:
        if isinstance(columns, (str, int)):
            columns = [columns]
        chosen = [names[c] if isinstance(c, int) else c
                  for c in (names[columns] if isinstance(columns, slice) else list(columns))]
        for i, name in enumerate(chosen):
            learnt = _learnt_of(transformer, i)
            if learnt in "OUST":
                kinds[name] = StringTensorType
            elif learnt in "iu":
                kinds[name] = Int64TensorType
    return kinds


def _learnt_of(transformer: Any, column: int) -> str:
    """NumPy's kind of what a transformer knows of its column; "f" when it knows nothing."""
    import numpy as np

    for part in _parts_of(transformer):
        known = getattr(part, "categories_", None)
        if known is not None and column < len(known):
            return np.asarray(known[column]).dtype.kind
        known = getattr(part, "statistics_", None)
        if known is not None and np.asarray(known).dtype.kind == "O":
            return "O" if isinstance(known[column], str) else "f"
    return "f"
