"""Small networks: trained in a few lines of NumPy, written as ONNX."""
import importlib.util

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from . import timing

OPSET, IR_VERSION = 21, 10


def model(nodes, constants, input_shape, output_shape, element=TensorProto.FLOAT):
    """An onnx.ModelProto with one input x and one output y. `nodes`: (op, inputs, output,
    attributes); `constants`: {name: array}."""
    graph = helper.make_graph(
        [helper.make_node(op, inputs, [output], name=f"{op}_{output}", **attributes)
         for op, inputs, output, attributes in nodes], "experiment",
        [helper.make_tensor_value_info("x", element, input_shape)],
        [helper.make_tensor_value_info("y", element, output_shape)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                             ir_version=IR_VERSION)


class Mlp:
    """Layers of weights and biases with ReLU between them; the hidden values are multiplied by
    `factor`. Trained by gradient descent on a batch."""

    def __init__(self, sizes, rng, factor=1.0):
        self.sizes, self.factor = sizes, np.float32(factor)
        self.weights = [rng.normal(0, np.sqrt(2 / rows), (rows, columns)).astype(np.float32)
                        for rows, columns in zip(sizes, sizes[1:])]
        self.biases = [np.zeros(columns, np.float32) for columns in sizes[1:]]

    def forward(self, x):
        """What each layer gets, and the result."""
        inputs = []
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            inputs.append(x)
            x = x @ weight + bias
            if i + 1 < len(self.weights):
                x = np.maximum(x, 0)
                if self.factor != 1:
                    x = x * self.factor
        return inputs, x

    def predict(self, x):
        return self.forward(x)[1]

    def step(self, x, gradient_of, rate, decay=0.0):
        """One step on a batch; `gradient_of` the result gives the loss's gradient there."""
        inputs, y = self.forward(x)
        gradient = gradient_of(y).astype(np.float32)
        for i in reversed(range(len(self.weights))):
            weight = self.weights[i]
            change = inputs[i].T @ gradient
            bias_change = gradient.sum(0)
            if i:
                gradient = (gradient @ weight.T) * (inputs[i] > 0) * self.factor
            self.weights[i] = weight * np.float32(1 - rate * decay) - np.float32(rate) * change
            self.biases[i] = (self.biases[i] * np.float32(1 - rate * decay) -
                              np.float32(rate) * bias_change)

    def onnx(self):
        nodes, constants, value = [], {"factor": self.factor}, "x"
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            last = i + 1 == len(self.weights)
            constants.update({f"w{i}": weight, f"b{i}": bias})
            nodes.append(("Gemm", [value, f"w{i}", f"b{i}"], "y" if last else f"sum{i}", {}))
            if not last:
                nodes.append(("Relu", [f"sum{i}"], f"active{i}", {}))
                value = f"active{i}"
                if self.factor != 1:
                    nodes.append(("Mul", [value, "factor"], f"scaled{i}", {}))
                    value = f"scaled{i}"
        if self.factor == 1:
            del constants["factor"]
        return model(nodes, constants, ["N", self.sizes[0]], ["N", self.sizes[-1]])


def softmax(scores):
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def cross_entropy(targets):
    """Of softmax: the gradient at the scores; targets are probabilities, a row a sample."""
    return lambda scores: (softmax(scores) - targets) / np.float32(len(targets))


def squares(targets):
    """Of half the mean square: the gradient."""
    return lambda y: (y - targets) / np.float32(len(targets))


def has(module):
    return importlib.util.find_spec(module) is not None


def onnxruntime_call(proto, x, threads=1):
    """A call that predicts, or None where ONNX Runtime is not installed."""
    if not has("onnxruntime"):
        return None
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    feeds = {proto.graph.input[0].name: x}
    return lambda: session.run(None, feeds)


def quern_call(proto, x, threads=1, **options):
    """A call that predicts."""
    import quern
    compiled = quern.compile(proto, threads=threads, shapes={proto.graph.input[0].name: x.shape},
                             **options)
    compiled(x)
    return lambda: compiled(x)


def quern_turns(proto, x, **options):
    """As quern_call, but compiled anew for each turn: by where things happen to lie in memory the
    same model is some percent faster or slower, and that belongs to the spread."""
    return timing.Fresh(lambda: quern_call(proto, x, **options))


def onnxruntime_turns(proto, x):
    """As onnxruntime_call, but opened anew for each turn."""
    return timing.Fresh(lambda: onnxruntime_call(proto, x)) if has("onnxruntime") else None


def steps_of(proto, x, **options):
    """What a run consists of: the profile's rows."""
    import quern
    compiled = quern.compile(proto, threads=1, shapes={proto.graph.input[0].name: x.shape}, profile=True, **options)
    compiled(x)
    profile = compiled.profile
    return profile() if callable(profile) else profile
