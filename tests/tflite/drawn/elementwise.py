"""Ops that compute each element by itself."""
import numpy as np

from .model import ACTIVATIONS, REALS, TYPES, case, options, result


@case("ADD", "SUB", "MUL", "DIV")
def arithmetic(model, draw, name):
    dtype = draw.one(*(REALS if name != "DIV" else (np.float32,)), np.int32 if name != "DIV" else
                     np.float32)
    shape = draw.dims(draw.one(1, 2, 3, 4))
    other = [d if draw.one(0, 1) else 1 for d in shape][draw.one(0, 0, 1):]
    a = model.input(draw.value(dtype, shape), **draw.scales(dtype))
    b = draw.value(dtype, other, 0.5 if name == "DIV" else -3.0)
    b = model.input(b, **draw.scales(dtype)) if draw.one(0, 1) else model.constant(
        b, dtype, **draw.scales(dtype))
    kind = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"}
    model.op(name, [a, b], [result(model, draw, shape, dtype)],
             options(kind[name], fusedActivationFunction=draw.one(*ACTIVATIONS)))


@case("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD", "POW")
def binary(model, draw, name):
    dtype = draw.one(np.float32, np.int32) if name != "POW" else np.float32
    shape = draw.dims(draw.one(1, 2, 3, 4))
    low = 0.5 if name == "POW" else -3.0
    a = model.input(draw.value(dtype, shape, low))
    b = draw.value(dtype, shape, low)
    if name.startswith("FLOOR"):
        b = np.where(b == 0, b.dtype.type(2), b)
    kind = {"MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions",
            "SQUARED_DIFFERENCE": "SquaredDifferenceOptions", "FLOOR_DIV": "FloorDivOptions",
            "FLOOR_MOD": "FloorModOptions", "POW": "PowOptions"}[name]
    model.op(name, [a, model.input(b)], [result(model, draw, shape, dtype)], options(kind))


@case("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL")
def comparison(model, draw, name):
    dtype, shape = draw.one(np.float32, np.int32, np.int64), draw.dims(draw.one(1, 2, 4))
    a, b = (model.input(draw.value(dtype, shape)) for _ in range(2))
    kind = "".join(part.capitalize() for part in name.split("_")) + "Options"
    model.op(name, [a, b], [result(model, draw, shape, bool)], options(kind))


@case("LOGICAL_AND", "LOGICAL_OR")
def logical(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 4))
    a, b = (model.input(draw.value(bool, shape)) for _ in range(2))
    model.op(name, [a, b], [result(model, draw, shape, bool)])


@case("ABS", "NEG", "EXP", "SIN", "COS", "CEIL", "FLOOR", "ROUND", "SQUARE", "SQRT", "RSQRT",
      "LOG", "ELU", "HARD_SWISH", "GELU", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1",
      "LOGISTIC", "TANH", "LEAKY_RELU", "SIGN", "LOGICAL_NOT")
def unary(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 3, 4))
    quantizable = ("RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "LEAKY_RELU", "ABS",
                   "HARD_SWISH", "ELU")
    dtype = draw.one(np.float32, np.int8 if name in quantizable else np.float32)
    dtype = bool if name == "LOGICAL_NOT" else dtype
    positive = name in ("SQRT", "RSQRT", "LOG")
    x = model.input(draw.value(dtype, shape, 0.1 if positive else -3.0), **draw.scales(dtype))
    fixed = {"LOGISTIC": {"scale": 1 / 256, "zero": -128}, "TANH": {"scale": 1 / 128, "zero": 0}}
    scales = fixed.get(name, {}) if dtype == np.int8 else {}
    made = None
    if name == "LEAKY_RELU":
        made = options("LeakyReluOptions", alpha=float(draw.one(0.1, 0.3, 1.5)))
    if name == "GELU":
        made = options("GeluOptions", approximate=bool(draw.one(0, 1)))
    model.op(name, [x], [result(model, draw, shape, dtype, **scales)], made)


@case("PRELU")
def prelu(model, draw, name):
    shape = draw.dims(4)
    x, slope = model.input(draw.real(shape)), model.constant(draw.real([1, 1, shape[3]]),
                                                              np.float32)
    model.op(name, [x, slope], [result(model, draw, shape, np.float32)])


@case("SELECT", "SELECT_V2")
def select(model, draw, name):
    dtype, shape = draw.one(np.float32, np.int32), draw.dims(draw.one(1, 2, 3))
    test = shape if name == "SELECT_V2" or draw.one(0, 1) else shape[:1]
    inputs = [model.input(draw.value(bool, test)), model.input(draw.value(dtype, shape)),
              model.input(draw.value(dtype, shape))]
    model.op(name, inputs, [result(model, draw, shape, dtype)])


@case("CAST")
def cast(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 3))
    source, target = (draw.one(np.float32, np.int32, np.int64, bool) for _ in range(2))
    model.op(name, [model.input(draw.value(source, shape))], [model.tensor(shape, target)],
             options("CastOptions", inDataType=TYPES[np.dtype(source)],
                     outDataType=TYPES[np.dtype(target)]))


@case("QUANTIZE", "DEQUANTIZE")
def quantize(model, draw, name):
    shape = draw.dims(draw.one(1, 2, 4))
    target = draw.one(np.int8, np.uint8, np.int16)
    if name == "DEQUANTIZE":
        x = model.input(draw.value(target, shape), **draw.scales(target))
        return model.op(name, [x], [model.tensor(shape, np.float32)])
    source = draw.one(np.float32, np.int8)
    x = model.input(draw.value(source, shape), **draw.scales(source))
    model.op(name, [x], [result(model, draw, shape, np.int8 if source == np.int8 else target)])
