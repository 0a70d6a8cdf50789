"""InferenceSession, as in the package onnxruntime.

A program that says `import quern as ort` instead of `import onnxruntime as ort` goes on.
"""
import json
import logging
import os
import threading
import time
import warnings

from . import sources
from ._quern import __version__, seed_random_ops
from .binding import IOBinding, OrtValue, value_of
from .errors import FileError, UnsupportedError, UsageError, refuses_types
from .options import ModelMetadata, NodeArg, RunOptions, SessionOptions

log = logging.getLogger("quern")
_PROVIDERS = ["CPUExecutionProvider"]
# Those of onnxruntime that are not here.
_OTHER_PROVIDERS = {f"{name}ExecutionProvider" for name in (
    "ACL", "ArmNN", "Azure", "CANN", "CoreML", "CUDA", "Dml", "Dnnl", "Js", "JS", "MIGraphX",
    "Nnapi", "NvTensorRTRTX", "OpenVINO", "QNN", "Rknpu", "ROCM", "SNPE", "Tensorrt",
    "Tvm", "VitisAI", "VSINPU", "WebGpu", "WebNN", "Xnnpack")}


def _check_providers(providers, level):
    """Warns of those that only onnxruntime has, in the name of the caller `level` calls above;
    UsageError for what is no provider at all."""
    names = [name[0] if isinstance(name, tuple) and name else name for name in providers or []]
    if not all(isinstance(name, str) for name in names):
        raise UsageError(f"providers are names, or tuples of a name and options, not {providers}")
    unknown = sorted(set(names).difference(_PROVIDERS, _OTHER_PROVIDERS))
    if unknown:
        raise UsageError(f"wanted a list with {_PROVIDERS[0]}, found {', '.join(names)}: there is "
                         f"no {unknown[0]}")
    others = [name for name in names if name not in _PROVIDERS]
    if others:
        warnings.warn(f"{', '.join(others)} cannot be had: Quern runs on the CPU",
                      stacklevel=level + 1)


def _check_unused(options):
    """The other arguments of onnxruntime's session, which mean nothing here."""
    unknown = set(options).difference(
        ("disabled_optimizers", "enable_fallback", "read_config_from_model"))
    if unknown:
        raise UsageError(f"unknown options: {', '.join(sorted(unknown))}")


def _prepared(source, options):
    """What is compiled, and the ports as the model has them."""
    settings = options._compile_options()
    if options.optimized_model_filepath:
        log.warning("%s is not written: the optimised graph is no ONNX model; quern.aot writes a "
                    "library, which InferenceSession takes", options.optimized_model_filepath)
    if sources.is_library(source):
        settings.pop("opt_level")
        if (settings.pop("precision"), settings.pop("max_error"), settings.pop("weights"),
                settings.pop("winograd")) != ("f32", None, "given", "auto"):
            raise UsageError(f"{os.fspath(source)} is compiled: its precision is given")
        compiled = sources.load(source, dims=options._dims, **settings)
        return compiled, compiled
    model = sources.load(source, dims=options._dims)
    return model.compile(**settings), model


def _cancellation_of(run_options):
    if not isinstance(run_options, RunOptions):
        raise UsageError(f"wanted quern.RunOptions, found {type(run_options).__name__}")
    return run_options._cancellation


class InferenceSession:
    """A model ready to run. Any number of threads may call `run` at once."""

    @refuses_types
    def __init__(self, path_or_bytes, sess_options=None, providers=None, provider_options=None,
                 **unused):
        _check_providers(providers, 3)  # beside this one the decorator
        _check_unused(unused)
        options = sess_options or SessionOptions()
        if not isinstance(options, SessionOptions):
            raise UsageError(f"wanted quern.SessionOptions, found {type(options).__name__}")
        self._options = options
        self._source = path_or_bytes
        self._began = time.perf_counter_ns()
        self._compiled, ports = _prepared(path_or_bytes, options)
        self._inputs = ports.inputs
        self._outputs = ports.outputs
        self._run = self._compiled.run

    def run(self, output_names, input_feed, run_options=None):
        """The outputs of these names, or all, as a list."""
        if run_options is None:
            return self._run(output_names or None, input_feed)
        return self._run(output_names or None, input_feed, None,
                         _cancellation_of(run_options))

    def warm_up(self, dims=None, *, shapes=None, timeout=None):
        """Compiles now what the first run on inputs of these sizes would: see
        quern.CompiledModel.warm_up. Not in onnxruntime."""
        self._compiled.warm_up(dims or {}, shapes=shapes or {}, timeout=timeout)

    def run_async(self, output_names, input_feed, callback, user_data, run_options=None):
        """Runs in another thread, which then calls `callback(outputs, user_data, error)`: the
        outputs and an empty string, or none and what went wrong."""
        def run():
            outputs, error = [], ""
            try:
                outputs = self.run(output_names, input_feed, run_options)
            except Exception as raised:
                error = str(raised)
            callback(outputs, user_data, error)

        threading.Thread(target=run, name="quern.run_async").start()

    def run_with_ort_values(self, output_names, input_dict_ort_values, run_options=None):
        feed = {name: value_of(value) for name, value in input_dict_ort_values.items()}
        return [OrtValue(value) for value in self.run(output_names, feed, run_options)]

    def io_binding(self):
        return IOBinding(self)

    def run_with_iobinding(self, iobinding, run_options=None):
        # In here, not in a method of the binding: a call less is a tenth of a small model's run.
        if run_options is None:
            iobinding._results = iobinding._into(iobinding._inputs, iobinding._targets)
        else:
            iobinding._results = iobinding._into(iobinding._inputs, iobinding._targets,
                                                 _cancellation_of(run_options))

    def get_inputs(self):
        return [NodeArg(port) for port in self._inputs]

    def get_outputs(self):
        return [NodeArg(port) for port in self._outputs]

    def get_overridable_initializers(self):
        return []

    def get_modelmeta(self):
        if sources.is_library(self._source):
            raise UnsupportedError("a compiled model does not say what the model said of itself")
        is_path = isinstance(self._source, (str, os.PathLike))
        return ModelMetadata(self._source if is_path else sources.serialized(self._source))

    def get_session_options(self):
        return self._options

    def get_providers(self):
        return list(_PROVIDERS)

    def get_provider_options(self):
        return {name: {} for name in _PROVIDERS}

    def set_providers(self, providers=None, provider_options=None):
        """There is one provider; of others a warning says that they are not used."""
        _check_providers(providers, 2)

    def disable_fallback(self):
        """There is nothing to fall back to."""

    def enable_fallback(self):
        """There is nothing to fall back to."""

    def get_profiling_start_time_ns(self):
        return self._began if self._options.enable_profiling else 0

    def end_profiling(self):
        """Writes the profile as a trace for chrome://tracing or Perfetto; gives its name, or an
        empty string without `enable_profiling`."""
        if not self._options.enable_profiling:
            return ""
        events, at = [], 0.0
        for row in self._compiled.profile():
            duration = row["ms"] * row["runs"] * 1e3
            if row["depth"] == 0:
                events.append({"name": row["nodes"], "cat": "Node", "ph": "X", "pid": os.getpid(),
                               "tid": 0, "ts": at, "dur": duration,
                               "args": {"kernel": row["kernel"], "runs": row["runs"]}})
                at += duration
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        name = f"{self._options.profile_file_prefix}{stamp}.json"
        try:
            with open(name, "w", encoding="utf-8") as file:
                json.dump(events, file)
        except OSError as error:
            raise FileError(f"cannot write {name}: {error.strerror}") from error
        return name


def get_available_providers():
    return list(_PROVIDERS)


get_all_providers = get_available_providers


def get_device():
    return "CPU"


def get_version_string():
    return __version__


def get_build_info():
    return f"quern {__version__}"


def set_default_logger_severity(severity):
    """Messages go to Python's logger "quern": 0 and 1 show all of them, 2 warnings, ..."""
    if severity not in range(5):
        raise UsageError(f"a severity is 0 to 4, not {severity}")
    levels = [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]
    log.setLevel(levels[severity])


def set_default_logger_verbosity(level):
    """There is one verbosity."""


def enable_telemetry_events():
    """Nothing is ever sent."""


def disable_telemetry_events():
    """Nothing is ever sent."""


@refuses_types
def set_seed(seed):
    """From here on random ops without a seed draw the same numbers as after the last such call."""
    seed_random_ops(seed)
