"""Keras models as .tflite files of several kinds, and what LiteRT computes of such files.

Needs TensorFlow, which converts, and ai-edge-litert, which is the oracle.
"""
import contextlib
import copy
import io
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

# What `convert` makes: float32; weights of float16; weights of 8 bits beside activations of float32;
# all of 8 bits; activations of 16 bits beside weights of 8.
KINDS = ("f32", "f16", "dynamic", "int8", "int16")
RESOLVERS = {"reference": OpResolverType.BUILTIN_REF,
             "optimized": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
             "xnnpack": OpResolverType.BUILTIN}
FLOAT32, INT8 = schema.TensorType.FLOAT32, schema.TensorType.INT8


def convert(model, kind, samples):
    """The file's bytes. `samples`: lists of arrays, one for each input, which the ranges of
    integers are taken from."""
    import tensorflow as tf
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind != "f32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "f16":
        converter.target_spec.supported_types = [tf.float16]
    if kind.startswith("int"):
        names = [port.name for port in model.inputs]
        converter.representative_dataset = lambda: (dict(zip(names, each)) for each in samples)
        ops = tf.lite.OpsSet
        converter.target_spec.supported_ops = [
            ops.TFLITE_BUILTINS_INT8 if kind == "int8" else
            ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
        if all(port.dtype == "float32" for port in model.inputs):
            converter.inference_input_type = getattr(tf, kind)
        converter.inference_output_type = getattr(tf, kind)
    with contextlib.redirect_stdout(io.StringIO()):  # it describes each
        return converter.convert()


def unpack(content):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))


def pack(model):
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def op_name(model, op):
    code = model.operatorCodes[op.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return next(name for name, value in vars(schema.BuiltinOperator).items() if value == number)


def widen(model, tensor):
    """Makes a constant of int8 one of the float32 that it stands for."""
    scaling = tensor.quantization
    numbers = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.int8).reshape(tensor.shape)
    along = np.ones(numbers.ndim, np.int64)
    if len(scaling.scale) > 1:
        along[scaling.quantizedDimension] = -1
    real = ((numbers - scaling.zeroPoint.reshape(along).astype(np.float32)) *
            scaling.scale.reshape(along)).astype(np.float32)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = np.frombuffer(real.tobytes(), np.uint8)
    tensor.buffer, tensor.type, tensor.quantization = len(model.buffers) - 1, FLOAT32, None


def without_hybrid_ops(content):
    """The same model with weights of float32 where they are 8 bits beside activations of float32:
    LiteRT's ops on such round the activations, too."""
    model = unpack(content)
    for graph in model.subgraphs:
        for op in graph.operators:
            if op_name(model, op) == "DEQUANTIZE" or graph.tensors[op.outputs[0]].type != FLOAT32:
                continue
            for tensor in (graph.tensors[i] for i in op.inputs if i >= 0):
                if tensor.type == INT8 and model.buffers[tensor.buffer].data is not None:
                    widen(model, tensor)
    return pack(model)


def with_ops_apart(content, inputs, kernels="reference"):
    """A model in which each op of the first subgraph reads inputs of its own, those inputs, and what
    LiteRT's kernels give: (bytes, {name: array}, {name: array}). What differs in its results
    is an op's doing, and not that of ops before."""
    interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True,
                              experimental_op_resolver_type=RESOLVERS[kernels])
    names = names_of(interpreter)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], inputs[names[detail["index"]]])
    interpreter.invoke()
    model = unpack(content)
    model.signatureDefs = []
    graph = model.subgraphs[0]
    read, made = {}, {}
    for op in graph.operators:
        for i in op.inputs:
            if i >= 0 and model.buffers[graph.tensors[i].buffer].data is None:
                read[i] = f"read {i}"
        for i in op.outputs:
            made[i] = f"made {i}"
            graph.tensors.append(copy.copy(graph.tensors[i]))
            graph.tensors[-1].name = made[i]
        end = len(graph.tensors)
        op.outputs = list(range(end - len(op.outputs), end))
    for i, name in read.items():
        graph.tensors[i].name = name
    graph.inputs = list(read)
    graph.outputs = [place for op in graph.operators for place in op.outputs]
    return (pack(model), {name: interpreter.get_tensor(i) for i, name in read.items()},
            {name: interpreter.get_tensor(i) for i, name in made.items()})


def names_of(interpreter):
    """The names that Quern has for inputs and outputs, by the tensors' numbers: the signature's, else
    the tensors'."""
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    names = {detail["index"]: detail["name"] for detail in details}
    if interpreter.get_signature_list():
        runner = interpreter.get_signature_runner()
        details = [*runner.get_input_details().items(), *runner.get_output_details().items()]
        names.update({detail["index"]: name for name, detail in details})
    return names


def answers(content, draw, kernels="reference"):
    """(inputs, outputs) by name; `draw(name, shape, dtype)` gives an input."""
    interpreter = Interpreter(model_content=content,
                              experimental_op_resolver_type=RESOLVERS[kernels])
    names = names_of(interpreter)
    interpreter.allocate_tensors()
    inputs = {}
    for detail in interpreter.get_input_details():
        name = names[detail["index"]]
        inputs[name] = draw(name, tuple(int(size) for size in detail["shape"]), detail["dtype"])
        interpreter.set_tensor(detail["index"], inputs[name])
    interpreter.invoke()
    return inputs, {names[detail["index"]]: interpreter.get_tensor(detail["index"])
                    for detail in interpreter.get_output_details()}
