"""Writes a model of each op family at the size where its speed is looked at, with its inputs.

    bench/make_families.py FOLDER [NAME...]

NAME.onnx and NAME.in.npz of those whose names begin with a NAME, for bench/run --list families.
The forests need scikit-learn and skl2onnx, those of LightGBM lightgbm and onnxmltools, and are left
out with a word without them. LightGBM's own form of a model is NAME.lightgbm.txt.
"""
import functools
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def weight(*shape):
    return (rng.standard_normal(shape) * 0.1).astype(np.float32)


def one_node(op, feeds, constants=None, outputs=("y",), opset=18, **attributes):
    """A model of one node whose operands are `feeds`, then `constants`; None leaves one out."""
    constants = constants or {}
    operands = {**feeds, **constants}
    node = helper.make_node(op, [name if array is not None else "" for name, array in
                                 operands.items()], list(outputs), name=op.lower(), **attributes)
    graph = helper.make_graph(
        [node], op.lower(),
        [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype),
                                       array.shape) for name, array in feeds.items()],
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()
         if array is not None])
    for output in graph.output:
        output.ClearField("type")
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                             ir_version=8), feeds


def recurrent(op, gates, batch):
    hidden, steps = 128, 32
    return one_node(op, {"x": floats(steps, batch, hidden)},
                    {"w": weight(1, gates * hidden, hidden), "r": weight(1, gates * hidden, hidden),
                     "b": weight(1, 2 * gates * hidden)}, hidden_size=hidden,
                    outputs=("y", "y_h"))


def resize():
    return one_node("Resize", {"x": floats(1, 3, 257, 257)},
                    {"roi": None, "scales": None, "sizes": np.array([1, 3, 513, 513])},
                    mode="linear")


def attention():
    shape = (1, 12, 512, 64)
    return one_node("Attention", {"q": floats(*shape), "k": floats(*shape), "v": floats(*shape)},
                    opset=23)


def primitive_attention():
    """As exporters write it; softmax((q k^T) / 8) v."""
    shape = (1, 12, 512, 64)
    feeds = {"q": floats(*shape), "k": floats(*shape), "v": floats(*shape)}
    nodes = [helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
             helper.make_node("MatMul", ["q", "kt"], ["qk"]),
             helper.make_node("Mul", ["qk", "scale"], ["scores"]),
             helper.make_node("Softmax", ["scores"], ["weights"], axis=-1),
             helper.make_node("MatMul", ["weights", "v"], ["y"])]
    graph = helper.make_graph(
        nodes, "attention",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in feeds],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array(0.125, np.float32), "scale")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                             ir_version=8), feeds


def mlp(rows, *sizes):
    """Relu between layers."""
    names = [f"{part}{layer}" for layer in range(1, len(sizes)) for part in "wb"]
    shapes = [shape for pair in zip(sizes, sizes[1:]) for shape in (pair, pair[1:])]
    nodes, x = [], "x"
    for layer in range(1, len(sizes)):
        nodes.append(helper.make_node("Gemm", [x, f"w{layer}", f"b{layer}"], [f"h{layer}"]))
        x = f"h{layer}"
        if layer + 1 < len(sizes):
            nodes.append(helper.make_node("Relu", [x], [f"r{layer}"]))
            x = f"r{layer}"
    graph = helper.make_graph(
        nodes, "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, sizes[0]])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [rows, sizes[-1]])],
        [numpy_helper.from_array(weight(*shape), name) for name, shape in zip(names, shapes)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model, {"x": floats(rows, sizes[0])}


def filters(weights, groups):
    return one_node("Conv", {"x": floats(10, 3, 64, 64)}, {"w": weights}, kernel_shape=[3, 3],
                    pads=[1] * 4, group=groups)


def sobel():
    """Both gradients of each channel."""
    gradient = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float32)
    return filters(np.tile(np.stack([gradient, gradient.T])[:, None], (3, 1, 1, 1)), 3)


def indices(bound, *shape):
    return rng.integers(0, bound, shape)


def permutation(rows, columns):
    """Places along axis 0 that are written once each, as the order of duplicates is undefined."""
    return np.stack([rng.permutation(rows) for _ in range(columns)], 1)


def forest(kind, rows):
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
    x, features = floats(2000, 30), 30
    y = x[:, 0] * x[:, 1] + x[:, 2]
    if kind == "random":
        model = RandomForestClassifier(200, max_depth=10, random_state=0).fit(x, y > 0)
        options = {RandomForestClassifier: {"zipmap": False}}
    else:
        model = GradientBoostingRegressor(n_estimators=200, max_depth=4, random_state=0).fit(x, y)
        options = None
    return convert_sklearn(model, initial_types=[("x", FloatTensorType([None, features]))],
                           options=options, target_opset=17), {"x": floats(rows, features)}


@functools.cache
def lightgbm_forest(trees, depth):
    """The ONNX model, and LightGBM's own form of it."""
    import lightgbm
    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType
    x, features = floats(20000, 30), 30
    y = x[:, 0] * x[:, 1] + x[:, 2] + 0.1 * floats(len(x))
    model = lightgbm.LGBMRegressor(n_estimators=trees, max_depth=depth, num_leaves=min(2 ** depth, 512),
                                   min_child_samples=5, learning_rate=0.02, random_state=0,
                                   n_jobs=1, verbose=-1).fit(x, y)
    network = convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, features]))],
                               target_opset=15, zipmap=False)
    return network, model.booster_.model_to_string()


ROWS, COLUMNS = 16384, 1024  # 64 MB
FAMILIES = {
    **{f"{op.lower()}_batch{batch}": (recurrent, op, gates, batch)
       for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)) for batch in (1, 2, 32)},
    "tiny_mlp_10_50_2": (mlp, 1, 10, 50, 2),
    "tiny_mlp_10_16_1_rows100": (mlp, 100, 10, 16, 1),
    "tiny_mlp_784_128_10": (mlp, 1, 784, 128, 10),
    "tiny_regression_rows100": (mlp, 100, 10, 1),
    "tiny_conv_3x3": (lambda: filters(weight(8, 3, 3, 3), 1),),
    "tiny_sobel": (sobel,),
    "tiny_products_million": (lambda: one_node(
        "Mul", {"x": floats(1000, 1000), "z": floats(1000, 1000)}),),
    "resize_513": (resize,),
    "attention_512": (attention,),
    "attention_512_primitives": (primitive_attention,),
    "layer_norm_64mb": (lambda: one_node(
        "LayerNormalization", {"x": floats(ROWS, COLUMNS)},
        {"scale": weight(COLUMNS), "bias": weight(COLUMNS)}),),
    "softmax_64mb": (lambda: one_node("Softmax", {"x": floats(ROWS, COLUMNS)}, axis=-1),),
    "topk_10_of_1000": (lambda: one_node(
        "TopK", {"x": floats(1000, 1000)}, {"k": np.array([10])}, outputs=("values", "places")),),
    "topk_1000_of_100000": (lambda: one_node(
        "TopK", {"x": floats(4, 100000)}, {"k": np.array([1000])}, outputs=("values", "places")),),
    "gather_rows_64mb": (lambda: one_node(
        "Gather", {"x": floats(ROWS, COLUMNS), "i": indices(ROWS, ROWS)}, axis=0),),
    "gather_columns_64mb": (lambda: one_node(
        "Gather", {"x": floats(ROWS, COLUMNS), "i": indices(COLUMNS, COLUMNS)}, axis=1),),
    "gather_elements_64mb": (lambda: one_node(
        "GatherElements", {"x": floats(ROWS, COLUMNS), "i": indices(ROWS, ROWS, COLUMNS)},
        axis=0),),
    "gather_nd_64mb": (lambda: one_node(
        "GatherND", {"x": floats(ROWS, COLUMNS), "i": indices(ROWS, ROWS, 1)}),),
    "scatter_elements_64mb": (lambda: one_node(
        "ScatterElements", {"x": floats(ROWS, COLUMNS), "i": permutation(ROWS, COLUMNS),
                            "u": floats(ROWS, COLUMNS)}, axis=0),),
    "scatter_nd_64mb": (lambda: one_node(
        "ScatterND", {"x": floats(ROWS, COLUMNS), "i": permutation(ROWS, 1),
                      "u": floats(ROWS, COLUMNS)}),),
    "cumsum_64mb": (lambda: one_node(
        "CumSum", {"x": floats(ROWS, COLUMNS)}, {"axis": np.array(1)}),),
    **{f"{kind}_forest_{rows}": (forest, kind, rows)
       for kind in ("random", "boosted") for rows in (1, 10000)},
    **{f"lightgbm_{trees}x{depth}_rows{rows}": (
        lambda trees, depth, rows: (lightgbm_forest(trees, depth)[0], {"x": floats(rows, 30)},
                                    lightgbm_forest(trees, depth)[1]), trees, depth, rows)
       for trees, depth in ((100, 6), (100, 12), (1000, 6), (1000, 12))
       for rows in (1, 100, 10000)},
}


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    wanted = tuple(sys.argv[2:]) or ("",)
    unknown = [start for start in wanted if not any(name.startswith(start) for name in FAMILIES)]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(FAMILIES)}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, (make, *arguments) in FAMILIES.items():
        if not name.startswith(wanted):
            continue
        try:
            model, feeds, *source = make(*arguments)
        except ImportError as missing:
            print(f"{name}: skipped: {missing}")
            continue
        onnx.save(model, folder / f"{name}.onnx")
        np.savez(folder / f"{name}.in.npz", **feeds)
        for text in source:
            (folder / f"{name}.lightgbm.txt").write_text(text)
        print(f"{name}: {sum(array.nbytes for array in feeds.values()) / 2**20:.1f} MiB of inputs")


if __name__ == "__main__":
    main()
