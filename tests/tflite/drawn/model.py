"""Models of TensorFlow Lite made op by op, and the random choices that they are made of."""
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {np.dtype(kind): getattr(schema.TensorType, name) for kind, name in {
    "float32": "FLOAT32", "int32": "INT32", "uint8": "UINT8", "int64": "INT64", "bool": "BOOL",
    "int16": "INT16", "int8": "INT8", "complex64": "COMPLEX64"}.items()}
QUANTIZED = (np.int8, np.uint8, np.int16)


class Model:
    """A model that is being made."""

    def __init__(self):
        self.tensors, self.buffers, self.ops = [], [schema.BufferT()], []
        self.codes, self.inputs, self.outputs, self.feed = {}, [], [], {}
        # What the results must be, where LiteRT does not have an op.
        self.known = None
        # What changes results, of whoever they are, to those that LiteRT says something of.
        self.said = lambda results: None

    def tensor(self, shape, dtype, scale=None, zero=0, data=None, dimension=0):
        tensor = schema.TensorT()
        tensor.shape, tensor.type = list(shape), TYPES[np.dtype(dtype)]
        tensor.name = f"t{len(self.tensors)}"
        tensor.hasRank = True
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(s) for s in np.atleast_1d(scale)]
            tensor.quantization.zeroPoint = [int(zero)] * len(tensor.quantization.scale)
            tensor.quantization.quantizedDimension = dimension
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.ascontiguousarray(data, dtype).view(np.uint8).ravel()
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, data, dtype=np.int32, **scales):
        data = np.asarray(data, dtype)
        return self.tensor(data.shape, dtype, data=data, **scales)

    def input(self, data, **scales):
        data = np.asarray(data)
        number = self.tensor(data.shape, data.dtype, **scales)
        self.inputs.append(number)
        self.feed[f"t{number}"] = data
        return number

    def variable(self, shape):
        number = self.tensor(shape, np.float32)
        self.tensors[number].isVariable = True
        return number

    def op(self, name, inputs, outputs, options=None):
        """A name that is no builtin op's is a custom op's, whose options are bytes."""
        op = schema.OperatorT()
        op.opcodeIndex = self.codes.setdefault(name, len(self.codes))
        op.inputs, op.outputs = list(inputs), list(outputs)
        if isinstance(options, (bytes, bytearray)):
            op.customOptions = np.frombuffer(options, np.uint8)
        elif options is not None:
            kind = type(options).__name__[:-1]
            op.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            op.builtinOptions = options
        self.ops.append(op)
        self.outputs += outputs

    def content(self):
        model, graph = schema.ModelT(), schema.SubGraphT()
        model.version = 3
        model.operatorCodes = []
        for name in self.codes:
            code = schema.OperatorCodeT()
            number = getattr(schema.BuiltinOperator, name, schema.BuiltinOperator.CUSTOM)
            if number == schema.BuiltinOperator.CUSTOM:
                code.customCode = name
            code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
            code.version = 1
            model.operatorCodes.append(code)
        graph.tensors, graph.operators = self.tensors, self.ops
        graph.inputs, graph.outputs = self.inputs, self.outputs
        model.subgraphs, model.buffers = [graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def options(kind, **fields):
    made = getattr(schema, kind + "T")()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


class Draw:
    """Random choices, of which all of a case are made."""

    def __init__(self, seed):
        self.random = np.random.RandomState(seed)

    def one(self, *choices):
        return choices[self.random.randint(len(choices))]

    def dims(self, rank, most=5):
        return [int(d) for d in self.random.randint(1, most + 1, rank)]

    def real(self, shape, low=-3.0, high=3.0):
        return self.random.uniform(low, high, shape).astype(np.float32)

    def value(self, dtype, shape, low=-3.0, high=3.0):
        dtype = np.dtype(dtype)
        if dtype == np.float32:
            return self.real(shape, low, high)
        if dtype == bool:
            return self.random.rand(*shape) < 0.5
        if dtype.type in QUANTIZED:
            info = np.iinfo(dtype)
            return self.random.randint(info.min, info.max + 1, shape).astype(dtype)
        return self.random.randint(int(low), int(high) + 1, shape).astype(dtype)

    def scales(self, dtype, low=0.004, high=0.05):
        """Of int16 there is no zero point."""
        dtype = np.dtype(dtype).type
        if dtype not in QUANTIZED:
            return {}
        zero = 0 if dtype == np.int16 else int(self.random.randint(-20, 20)) + 128 * (
            dtype == np.uint8)
        scale = float(self.random.uniform(low, high)) / (256 if dtype == np.int16 else 1)
        return {"scale": scale, "zero": zero}


CASES = {}


def case(*names):
    def register(make):
        for name in names:
            CASES[name] = make
        return make
    return register


REALS = (np.float32, np.int8)
ACTIVATIONS = (0, 0, 1, 3)


def result(model, draw, shape, dtype, **scales):
    return model.tensor(shape, dtype, **(scales or draw.scales(dtype)))
