#!/usr/bin/env python3
"""Writes the models of tests/tflite/cases, with inputs and what LiteRT computes of them.

Needs TensorFlow (which converts Keras models) and ai-edge-litert (whose reference kernels are the
oracle); the tests themselves need neither. For each model NAME: NAME.tflite, and NAME.npz with the
arrays "in:INPUT" and "out:OUTPUT". Those of tests/tflite/refused have no arrays.

  python3 make_cases.py [NAME...]
"""
import os
import pathlib
import struct
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

import compare_ops
from drawn.model import options
from converting import answers, convert

FOLDER = pathlib.Path(__file__).parent / "cases"
REFUSED_FOLDER = FOLDER.parent / "refused"
L = tf.keras.layers


def mlp():
    return tf.keras.Sequential([L.Input((10,)), L.Dense(16, activation="tanh"), L.Dense(3)])


def cnn():
    return tf.keras.Sequential([
        L.Input((28, 28, 1)), L.Conv2D(8, 3, activation="relu"), L.MaxPool2D(),
        L.Conv2D(16, 3, padding="same", strides=2), L.BatchNormalization(), L.ReLU(6.0),
        L.DepthwiseConv2D(3, padding="same"), L.AveragePooling2D(2), L.Flatten(),
        L.Dense(10, activation="softmax")])


def unet():
    image = L.Input((16, 16, 3))
    first = L.Conv2D(4, 3, padding="same", activation="relu")(image)
    second = L.Conv2D(8, 3, padding="same", activation="relu")(L.MaxPool2D()(first))
    up = L.UpSampling2D(interpolation="bilinear")(second)
    up = L.Conv2DTranspose(4, 3, strides=2, padding="same")(L.Concatenate()([up, first]))
    return tf.keras.Model(image, L.Conv2D(2, 1)(up))


def conv1d():
    return tf.keras.Sequential([
        L.Input((50, 4)), L.Conv1D(8, 5, padding="same", activation="relu"),
        L.Conv1D(8, 3, dilation_rate=2, padding="same"), L.GlobalAveragePooling1D(), L.Dense(3)])


def attention():
    x = L.Input((16, 16))
    y = L.LayerNormalization()(L.MultiHeadAttention(2, 8)(x, x) + x)
    z = L.Dense(16)(L.Dense(32, activation="gelu")(y))
    return tf.keras.Model(x, L.Dense(4)(L.GlobalAveragePooling1D()(L.LayerNormalization()(y + z))))


def gru():
    """A loop, as all recurrent layers of Keras 3 are."""
    return tf.keras.Sequential([L.Input((7, 4), batch_size=1), L.GRU(5, return_sequences=True),
                                L.Dense(3)])


def lstm():
    """With steps that are left out: branches for each."""
    return tf.keras.Sequential([L.Input((7, 4), batch_size=1), L.Masking(0.25), L.LSTM(6)])


class Control(tf.Module):
    """Functions with branches and loops."""

    def __init__(self):
        super().__init__()
        self.count = tf.Variable(0.0)

    def branches(self, x):
        return tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * 2.0, lambda: tf.exp(x))

    def growing(self, x):
        """Carries more rows from step to step."""
        step = lambda i, y: (i + 1, tf.concat([y, tf.tanh(y[:1])], 0))
        shapes = tf.TensorShape([]), tf.TensorShape([None, 3])
        return tf.while_loop(lambda i, y: i < 4, step, (tf.constant(0), x), shapes)[1]

    def nested(self, x):
        def body(i, y):
            _, z = tf.while_loop(lambda j, z: j < i, lambda j, z: (j + 1, z + 1.0),
                                 (tf.constant(0), y))
            return i + 1, tf.cond(z[0, 0] > 3.0, lambda: z * 0.5, lambda: z)
        return tf.while_loop(lambda i, y: i < 5, body, (tf.constant(0), x))[1]

    def counting(self, x):
        """Refused: what a run counts is for the next."""
        self.count.assign_add(1.0)
        return x * self.count


KINDS = {gru: ("f32",), lstm: ("f32",), mlp: ("f32", "f16", "int8"), cnn: ("f32", "dynamic", "int8", "int16"),
         unet: ("f32", "int8"), conv1d: ("f32",), attention: ("f32",)}


def split():
    """Into two parts, of which the second is left out."""
    model = compare_ops.Model()
    x = np.arange(4, dtype=np.float32)
    model.op("SPLIT", [model.constant(0), model.input(x)], [model.tensor([2], np.float32)],
             options("SplitOptions", numSplits=2))
    model.ops[0].outputs = [*model.ops[0].outputs, -1]
    model.known = {"t2": x[:2]}
    return model


def doubled():
    """Bytes between which many results are in the middle."""
    model, draw = compare_ops.Model(), compare_ops.Draw(3)
    scales = draw.scales(np.int8)
    x = model.input(draw.value(np.int8, (1, 5, 4, 8)), **scales)
    model.op("RESIZE_BILINEAR", [x, model.constant([10, 8])],
             [model.tensor((1, 10, 8, 8), np.int8, **scales)],
             options("ResizeBilinearOptions", halfPixelCenters=True))
    return model


# Single ops, as compare_ops.py draws them: the name of the op and a seed.
OPS = {"lstm_peepholes": ("UNIDIRECTIONAL_SEQUENCE_LSTM", 500332),
       "lstm_norms": ("UNIDIRECTIONAL_SEQUENCE_LSTM", 500334),
       "bidirectional_lstm": ("BIDIRECTIONAL_SEQUENCE_LSTM", 500330),
       "bidirectional_rnn": ("BIDIRECTIONAL_SEQUENCE_RNN", 500319),
       "detection_fast": ("TFLite_Detection_PostProcess", 700023),
       "detection_by_class": ("TFLite_Detection_PostProcess", 700001),
       "detection_bytes": ("TFLite_Detection_PostProcess", 700037),
       "argmax_pool": ("MaxPoolingWithArgmax2D", 1),
       "max_unpooling": ("MaxUnpooling2D", 1),
       "transpose_conv_bias": ("Convolution2DTransposeBias", 1),
       "average_pool_int8": ("AVERAGE_POOL_2D", 800010),
       "doubled_int8": doubled,
       "sparse_blocks": ("DENSIFY", 7),
       "suppressed": ("NON_MAX_SUPPRESSION_V4", 900056),
       "suppressed_softly": ("NON_MAX_SUPPRESSION_V5", 900031),
       "suppressed_flat": ("NON_MAX_SUPPRESSION_V5", 900059),
       "rfft2d": ("RFFT2D", 900026),
       "complex_abs": ("COMPLEX_ABS", 900000),
       "split_left_out": split}


def convert_function(name):
    module = Control()
    shape = tf.TensorSpec([2, 3], tf.float32, name="x")
    function = tf.function(lambda x: {"y": getattr(module, name)(x)}).get_concrete_function(shape)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.experimental_enable_resource_variables = True
    return converter.convert()


def recursive():
    """A loop whose body is itself."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(convert_function("growing")))
    for op in model.subgraphs[0].operators:
        if isinstance(op.builtinOptions, schema.WhileOptionsT):
            op.builtinOptions.bodySubgraphIndex = 0
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def custom(name, options, shapes, results):
    """One custom op, of inputs of these shapes."""
    model = compare_ops.Model()
    inputs = [model.input(np.zeros(shape, np.float32)) for shape in shapes]
    model.op(name, inputs, [model.tensor(shape, np.float32) for shape in results], options)
    return model.content()


def changed(change, name="TANH"):
    """An op of one tensor; tensors and op are changed."""
    model = compare_ops.Model()
    model.op(name, [model.input(np.zeros(3, np.float32))], [model.tensor([3], np.float32)])
    change(model)
    return model.content()


def transform(lengths):
    model = compare_ops.Model()
    model.op("RFFT2D", [model.input(np.zeros((3, 4), np.float32)), model.constant(lengths)],
             [model.tensor([4, 3], np.complex64)])
    return model.content()


def detection(**changes):
    options = {"max_detections": 3, "max_classes_per_detection": 1, "num_classes": 2,
               "nms_iou_threshold": 0.5, "nms_score_threshold": 0.0, "y_scale": 1.0, "x_scale": 1.0,
               "h_scale": 1.0, "w_scale": 1.0} | changes
    return custom("TFLite_Detection_PostProcess", flexbuffers.Dumps(options),
                  [(1, 2, 4), (1, 2, 2), (2, 4)], [(1, 3, 4), (1, 3), (1, 3), (1,)])


def argmax_pool(*fields):
    return custom("MaxPoolingWithArgmax2D", struct.pack(f"<{len(fields)}i", *fields),
                  [(1, 4, 4, 1)], [(1, 2, 2, 1)] * 2)


def sparse_damaged(change):
    """Sparse weights [6, 4] in blocks of two rows: the second level lists positions. `change` gets
    the tensor, what says how it is stored, and that level."""
    model = compare_ops.one_op("DENSIFY", 10)
    tensor = next(tensor for tensor in model.tensors if tensor.sparsity)
    change(tensor, tensor.sparsity, tensor.sparsity.dimMetadata[1])
    return model.content()


def put(array, place, value):
    array[place] = value


def list_often(_, tree, level):
    level.arraySegments.values = [0, 13, 13, 13, 13]
    level.arrayIndices.values = [0] * 13


SPARSE = {
    "levels": lambda _, tree, level: tree.dimMetadata.pop(),
    "order": lambda _, tree, level: put(tree.traversalOrder, 0, 9),
    "twice": lambda _, tree, level: put(tree.traversalOrder, 1, tree.traversalOrder[0]),
    "block": lambda _, tree, level: put(tree.blockMap, 0, 7),
    "size": lambda _, tree, level: setattr(tree.dimMetadata[0], "denseSize", 3),
    "index": lambda _, tree, level: put(level.arrayIndices.values, 0, 200),
    "segment": lambda _, tree, level: put(level.arraySegments.values, -1, 250),
    "segments": lambda _, tree, level: setattr(level.arraySegments, "values",
                                               level.arraySegments.values[:-1]),
    "unlisted": lambda _, tree, level: setattr(level, "arrayIndicesType", 0),
    "often": list_often,
    "stored": lambda _, tree, level: put(level.arraySegments.values, -1, 5),
    "type": lambda tensor, tree, level: setattr(tensor, "type", schema.TensorType.INT4)}
REFUSED = {**{f"sparse_{name}": lambda change=change: sparse_damaged(change)
              for name, change in SPARSE.items()},
           "complex": lambda: changed(lambda model: setattr(
               model.tensors[1], "type", schema.TensorType.COMPLEX64)),
           "complex_input": lambda: changed(lambda model: setattr(
               model.tensors[0], "type", schema.TensorType.COMPLEX64)),
           "complex_cast": lambda: changed(lambda model: setattr(
               model.tensors[0], "type", schema.TensorType.COMPLEX64), "CAST"),
           "real_parts": lambda: changed(lambda model: None, "REAL"),
           "abs_of_nothing": lambda: changed(
               lambda model: setattr(model.ops[0], "inputs", [1]), "COMPLEX_ABS"),
           "transform": lambda: transform([4]),
           "transform_empty": lambda: transform([4, 0]),
           "left_out": lambda: changed(lambda model: setattr(model.ops[0], "outputs", [-1])),
           "left_out_input": lambda: changed(
               lambda model: setattr(model.ops[0], "inputs", [0, -1]), "CONCATENATION"),
           "custom": lambda: custom("MyOp", b"options", [(1, 2)], [(1, 2)]),
           "detection_damaged": lambda: custom(
               "TFLite_Detection_PostProcess", b"max_detections",
               [(1, 2, 4), (1, 2, 2), (2, 4)], [(1, 3, 4), (1, 3), (1, 3), (1,)]),
           "detection_text": lambda: detection(num_classes="two"),
           "detection_negative": lambda: detection(max_detections=-1),
           "detection_infinite": lambda: detection(h_scale=float("inf")),
           "detection_overlap": lambda: detection(nms_iou_threshold=1.5),
           "detection_classes": lambda: detection(num_classes=3),
           "detection_many": lambda: detection(max_detections=1 << 20,
                                               max_classes_per_detection=1 << 20),
           "pool_short": lambda: argmax_pool(1, 2, 2),
           "pool_padding": lambda: argmax_pool(0, 2, 2, 2, 2, 0),
           "pool_activation": lambda: argmax_pool(1, 2, 2, 2, 2, 9),
           "counting": lambda: convert_function("counting"), "recursive": recursive}


def samples_of(model):
    random = np.random.RandomState(3)
    return [[random.rand(1, *model.input_shape[1:]).astype(np.float32)] for _ in range(8)]


def run(content):
    random = np.random.RandomState(5)

    def draw(name, shape, dtype):
        value = random.rand(*shape)
        return (value * 255 - 128 if np.issubdtype(dtype, np.integer) else value).astype(dtype)
    inputs, outputs = answers(content, draw)
    return {**{f"in:{name}": value for name, value in inputs.items()},
            **{f"out:{name}": value for name, value in outputs.items()}}


def main(wanted):
    FOLDER.mkdir(exist_ok=True)
    for make, kinds in KINDS.items():
        for kind in kinds:
            name = f"{make.__name__}_{kind}"
            if wanted and name not in wanted:
                continue
            tf.keras.utils.set_random_seed(1)
            model = make()
            content = convert(model, kind, samples_of(model))
            (FOLDER / f"{name}.tflite").write_bytes(content)
            np.savez_compressed(FOLDER / f"{name}.npz", **run(content))
            print(name, len(content), flush=True)


    for name in ("branches", "growing", "nested"):
        if not wanted or name in wanted:
            content = convert_function(name)
            (FOLDER / f"{name}.tflite").write_bytes(content)
            np.savez_compressed(FOLDER / f"{name}.npz", **run(content))
            print(name, len(content), flush=True)
    for name, make in REFUSED.items():
        if not wanted or name in wanted:
            REFUSED_FOLDER.mkdir(exist_ok=True)
            (REFUSED_FOLDER / f"{name}.tflite").write_bytes(make())
    for name, made in OPS.items():
        if not wanted or name in wanted:
            model = made() if callable(made) else compare_ops.one_op(*made)
            arrays = {"in:" + key: value for key, value in model.feed.items()}
            results = compare_ops.expected(model)
            model.said(results)
            arrays |= {"out:" + key: value for key, value in results.items()}
            (FOLDER / f"{name}.tflite").write_bytes(model.content())
            np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
            print(name, len(model.content()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
