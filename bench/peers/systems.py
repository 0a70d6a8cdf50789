"""The systems that bench/run compares: each loads a model, and runs it again and again.

A system is a class with `version()`, which raises ImportError where it is not installed, and
`__init__(model, feeds, threads)`, `run()` and `outputs()`: arrays by the names of the model's
outputs. Everything that can be done before the first run is done by `__init__`; results go to
memory that was there before where the system allows it. `serves(model)` tells whether it is meant
for such models at all, by default whether it reads such files (`formats`), `avx2` the environment in which it uses no more of a CPU than AVX2, or None
where nothing tells it so.
"""
import hashlib
import importlib
import importlib.metadata
import pathlib
import sys

import numpy as np


def plain(value):
    """An array without objects: strings as NumPy has them."""
    array = np.asarray(value)
    return array.astype(str) if array.dtype.kind in "OS" else array


def arrays_of(outputs):
    """Outputs as such arrays, a sequence of maps as two: of its keys and of its values."""
    made = {}
    for name, value in outputs.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            made[f"{name} keys"] = plain([list(each) for each in value])
            value = [list(each.values()) for each in value]
        made[name] = plain(value)
    return made


class System:
    avx2 = None
    formats = (".onnx",)

    @classmethod
    def serves(cls, model):
        return pathlib.Path(model).suffix in cls.formats


class OnnxRuntime(System):
    """CPU provider, all optimisations, results bound where their sizes are known."""

    package = "onnxruntime"

    @classmethod
    def version(cls):
        return importlib.import_module(cls.package).__version__

    def __init__(self, model, feeds, threads):
        onnxruntime = importlib.import_module(self.package)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Weights are listed as inputs in old models; without this warning by warning.
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model), options,
                                                    providers=["CPUExecutionProvider"])
        wanted = {value.name for value in self.session.get_inputs()}
        self.feeds = {name: array for name, array in feeds.items() if name in wanted}
        self.binding = None

    def run(self):
        if self.binding:
            self.session.run_with_iobinding(self.binding)
        else:
            self.results = self.session.run(None, self.feeds)
            self.bind()

    def bind(self):
        """Later runs write where the first run's results are."""
        if any(getattr(array, "dtype", object) == object for array in self.results):
            return
        self.binding = self.session.io_binding()
        for name, array in self.feeds.items():
            self.binding.bind_cpu_input(name, array)
        for value, array in zip(self.session.get_outputs(), self.results):
            self.binding.bind_output(value.name, "cpu", 0, array.dtype, array.shape,
                                     array.ctypes.data)

    def outputs(self):
        return {value.name: array
                for value, array in zip(self.session.get_outputs(), self.results)}


class OpenVino(System):
    """Its latency mode, in the precision that it chooses by itself: bfloat16 where units are."""

    hints = {}
    avx2 = {"ONEDNN_MAX_CPU_ISA": "AVX2"}

    @staticmethod
    def version():
        import openvino
        return openvino.__version__.split("-")[0]

    def __init__(self, model, feeds, threads):
        import openvino
        core = openvino.Core()
        network = core.read_model(str(model))
        # Sizes that a run brings cost it a lot: it is told them.
        network.reshape({port.any_name: list(feeds[port.any_name].shape)
                         for port in network.inputs})
        compiled = core.compile_model(network, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            **self.hints})
        # Its own names, of ops, stand beside the model's.
        self.names = [port.get_names() for port in compiled.outputs]
        self.request = compiled.create_infer_request()
        for port in compiled.inputs:
            self.request.set_tensor(port, openvino.Tensor(feeds[port.any_name],
                                                          shared_memory=True))

    def run(self):
        self.request.start_async()
        self.request.wait()

    def outputs(self):
        return {name: tensor.data.copy()
                for names, tensor in zip(self.names, self.request.output_tensors)
                for name in names}


class OpenVinoFloat32(OpenVino):
    hints = {"INFERENCE_PRECISION_HINT": "f32"}


class QuernPython(OnnxRuntime):
    """The package, with the same calls: what a call from Python costs in the peers' figures, too."""

    package = "quern"
    formats = (".onnx", ".tflite")


class LiteRt(System):
    """TensorFlow Lite's own runtime, with XNNPACK as it comes; inputs by the signature's names, as
    Quern has them, else the tensors'."""

    formats = (".tflite",)

    @staticmethod
    def version():
        importlib.import_module("ai_edge_litert")
        return importlib.metadata.version("ai-edge-litert")

    def __init__(self, model, feeds, threads):
        from ai_edge_litert.interpreter import Interpreter
        sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests/tflite"))
        from converting import names_of
        self.interpreter = Interpreter(model_path=str(model), num_threads=threads)
        self.names = names_of(self.interpreter)
        for detail in self.interpreter.get_input_details():
            self.interpreter.resize_tensor_input(detail["index"],
                                                 feeds[self.names[detail["index"]]].shape)
        self.interpreter.allocate_tensors()
        for detail in self.interpreter.get_input_details():
            self.interpreter.set_tensor(detail["index"], feeds[self.names[detail["index"]]])

    def run(self):
        self.interpreter.invoke()

    def outputs(self):
        return {self.names[detail["index"]]: self.interpreter.get_tensor(detail["index"])
                for detail in self.interpreter.get_output_details()}


class Lleaves(System):
    """Compiles LightGBM's forests; it reads the file NAME.lightgbm.txt beside NAME.onnx."""

    @staticmethod
    def source_of(model):
        return pathlib.Path(model).with_suffix(".lightgbm.txt")

    @staticmethod
    def version():
        importlib.import_module("lleaves")
        return importlib.metadata.version("lleaves")

    @classmethod
    def serves(cls, model):
        return cls.source_of(model).exists()

    def __init__(self, model, feeds, threads):
        import lleaves
        import onnx
        self.threads = threads
        self.output = onnx.load(str(model)).graph.output[0].name
        self.forest = lleaves.Model(model_file=str(self.source_of(model)))
        # Kept beside the model: 100 trees of 512 leaves take it five minutes.
        text = self.source_of(model).read_bytes()
        self.forest.compile(cache=pathlib.Path(model).with_name(
            hashlib.sha256(text).hexdigest()[:16] + ".lleaves"))
        (rows,) = feeds.values()
        self.rows = rows.astype("float64")

    def run(self):
        self.result = self.forest.predict(self.rows, n_jobs=self.threads)

    def outputs(self):
        return {self.output: self.result.reshape(len(self.rows), -1)}


SYSTEMS = {"onnxruntime": OnnxRuntime, "openvino-f32": OpenVinoFloat32, "openvino": OpenVino,
           "quern-python": QuernPython, "lleaves": Lleaves, "litert": LiteRt}
