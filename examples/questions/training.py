#!/usr/bin/env python3
"""How does one training step compare with one prediction?"""
import os

from lab import nets, page, plot, timing, words

import numpy as np

METHOD = """
A linear regression of 10 inputs, a network of 10 inputs, 16 hidden values and 1 output (ReLU), and a small convolutional network (8 filters of 3 × 3 on images of
16 × 16, ReLU, the mean of each channel, 2 outputs), each on the same batch of 32 samples: one step of gradient descent (forward, backward, new weights) in NumPy, one
prediction by the same NumPy code, by Quern interpreted and compiled, by ONNX Runtime; and where they are installed scikit-learn's `partial_fit` and `predict` (it has
no such convolutional network) and Keras's `train_on_batch` and `predict_on_batch` (on TensorFlow).
*Multiplications* are counted by hand: those of the forward pass, and for a step those of the gradients of weights and inputs, too. One thread; all take turns,
21 rounds.
"""
LINEAR, MLP, CNN = "linear regression", "MLP 10-16-1", "CNN"
STEP, NUMPY, INTERPRETED, COMPILED, RUNTIME = (
    "training step, NumPy", "prediction, NumPy", "prediction, Quern interpreted",
    "prediction, Quern compiled", "prediction, ONNX Runtime")
SKLEARN_STEP, SKLEARN = "training step, scikit-learn", "prediction, scikit-learn"
KERAS_STEP, KERAS = "training step, Keras", "prediction, Keras"
WAYS = (STEP, NUMPY, INTERPRETED, COMPILED, RUNTIME, SKLEARN_STEP, SKLEARN, KERAS_STEP, KERAS)
BATCH = 32
SIDE, CHANNELS = 16, 8


class Cnn:
    """Convolution without padding, ReLU, mean of each channel, one layer of two outputs."""

    def __init__(self, rng):
        self.filters = rng.normal(0, 0.3, (CHANNELS, 9)).astype(np.float32)
        self.weight = rng.normal(0, 0.3, (CHANNELS, 2)).astype(np.float32)

    def forward(self, x):
        windows = np.lib.stride_tricks.sliding_window_view(x[:, 0], (3, 3), axis=(1, 2))
        windows = windows.reshape(len(x), -1, 9)
        sums = windows @ self.filters.T
        means = np.maximum(sums, 0).mean(1)
        return windows, sums, means, means @ self.weight

    def predict(self, x):
        return self.forward(x)[-1]

    def step(self, x, gradient_of, rate):
        windows, sums, means, y = self.forward(x)
        gradient = gradient_of(y)
        back = (gradient @ self.weight.T)[:, None] * (sums > 0) / np.float32(sums.shape[1])
        self.weight = self.weight - np.float32(rate) * (means.T @ gradient)
        change = back.reshape(-1, CHANNELS).T @ windows.reshape(-1, 9)
        self.filters = self.filters - np.float32(rate) * change

    def onnx(self):
        nodes = [("Conv", ["x", "filters"], "c", {}), ("Relu", ["c"], "r", {}),
                 ("GlobalAveragePool", ["r"], "m", {}), ("Flatten", ["m"], "f", {}),
                 ("MatMul", ["f", "weight"], "y", {})]
        constants = {"filters": self.filters.reshape(CHANNELS, 1, 3, 3), "weight": self.weight}
        return nets.model(nodes, constants, ["N", 1, SIDE, SIDE], ["N", 2])


def multiplications(name):
    """(prediction, training step) for a sample. The gradient of the inputs of the first layer is
    not needed."""
    if name == LINEAR:
        return 10, 20
    if name == MLP:
        return 10 * 16 + 16, 2 * 10 * 16 + 3 * 16
    convolution = (SIDE - 2) ** 2 * 9 * CHANNELS
    return convolution + CHANNELS * 2, 2 * convolution + 3 * CHANNELS * 2


def scikit_learn(name, x, y):
    """(step, predict), or (None, None)."""
    if name == CNN or not nets.has("sklearn"):
        return None, None
    from sklearn.linear_model import SGDRegressor
    from sklearn.neural_network import MLPRegressor
    estimator = (SGDRegressor() if name == LINEAR else
                 MLPRegressor(hidden_layer_sizes=(16,), solver="sgd", batch_size=BATCH))
    target = y[:, 0]
    estimator.partial_fit(x, target)
    return lambda: estimator.partial_fit(x, target), lambda: estimator.predict(x)


def keras(name, x, y):
    """(step, predict), or (None, None)."""
    if not (nets.has("keras") and nets.has("tensorflow")):
        return None, None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras as library
    import tensorflow
    if name == LINEAR:  # the first of the three; later it cannot be changed
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    layers = library.layers
    if name == CNN:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        inner = [layers.Conv2D(CHANNELS, 3, activation="relu", use_bias=False),
                 layers.GlobalAveragePooling2D(), layers.Dense(2, use_bias=False)]
    else:
        inner = [layers.Dense(16, activation="relu")] * (name == MLP) + [layers.Dense(1)]
    network = library.Sequential([library.Input(x.shape[1:]), *inner])
    network.compile(optimizer=library.optimizers.SGD(1e-4), loss="mse")
    return lambda: network.train_on_batch(x, y), lambda: network.predict_on_batch(x)


def experiments():
    """(name, network, inputs, targets)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, 10)).astype(np.float32)
    y = (x[:, :1] - 0.5 * x[:, 1:2]).astype(np.float32)
    images = rng.normal(size=(BATCH, 1, SIDE, SIDE)).astype(np.float32)
    classes = rng.normal(size=(BATCH, 2)).astype(np.float32)
    return [(LINEAR, nets.Mlp([10, 1], rng), x, y), (MLP, nets.Mlp([10, 16, 1], rng), x, y),
            (CNN, Cnn(rng), images, classes)]


def calls_of(name, network, x, y):
    proto, gradient = network.onnx(), nets.squares(y)
    calls = {STEP: lambda: network.step(x, gradient, 1e-4), NUMPY: lambda: network.predict(x),
             INTERPRETED: nets.quern_call(proto, x, backend="interpreter"),
             COMPILED: nets.quern_call(proto, x), RUNTIME: nets.onnxruntime_call(proto, x)}
    np.testing.assert_allclose(calls[COMPILED](), network.predict(x), rtol=1e-3, atol=1e-4)
    calls[SKLEARN_STEP], calls[SKLEARN] = scikit_learn(name, x, y)
    # After Quern: the wheel's libprotobuf does not bear that of TensorFlow before it.
    calls[KERAS_STEP], calls[KERAS] = keras(name, x, y)
    return calls


def measure(small):
    rows = []
    for name, network, x, y in experiments():
        calls = calls_of(name, network, x, y)
        timings = timing.in_turns({way: call for way, call in calls.items() if call}, small)
        forward, step = multiplications(name)
        for way in WAYS:
            cells = {"model": name, "way": way}
            if way in timings:
                rows.append({**cells, **timings[way].cells(),
                             "multiplications": BATCH * (step if "step" in way else forward),
                             "ratio": timings[way].ms / timings[NUMPY].ms})
            elif name != CNN or way not in (SKLEARN_STEP, SKLEARN):  # it has no such network
                rows.append(page.absent(**cells))
    return rows


def conclude(rows):
    said = []
    for name in (LINEAR, MLP, CNN):
        row = {way: words.find(rows, model=name, way=way) for way in WAYS}
        counted = row[STEP]["multiplications"] / row[NUMPY]["multiplications"]
        ratio = row[STEP]["ms"] / row[NUMPY]["ms"]
        how = ("as many times the time as it has multiplications" if abs(ratio - counted) <= 0.25 * counted
               else "more than its multiplications tell" if ratio > counted else
               "less than its multiplications tell")
        said.append(f"{name}: in NumPy a training step {words.against(row[STEP], row[NUMPY])} a prediction; it has "
                    f"{counted:.2f} times the multiplications, so it takes {how}.")
        said.append(f"{name}: a training step in NumPy {words.against(row[STEP], row[COMPILED])} a prediction by Quern "
                    f"compiled, which {words.against(row[COMPILED], row[NUMPY])} one by NumPy and "
                    f"{words.against(row[COMPILED], row[INTERPRETED])} its interpreter.")
        for system, step, predict in (("scikit-learn", SKLEARN_STEP, SKLEARN), ("Keras", KERAS_STEP, KERAS)):
            if row[predict]:
                said.append(f"{name}: in {system} a training step {words.against(row[step], row[predict])} a prediction.")
    slower = all(words.relation(words.find(rows, model=name, way=STEP), words.find(rows, model=name, way=NUMPY)) == "slower"
                 for name in (LINEAR, MLP, CNN))
    ratios = [words.find(rows, model=name, way=STEP)["ms"] / words.find(rows, model=name, way=NUMPY)["ms"]
              for name in (LINEAR, MLP, CNN)]
    span = f"{min(ratios):.2f} to {max(ratios):.2f} times the time by the same NumPy code"
    answer = (f"A training step takes longer than a prediction of the same batch with each of the three: {span}." if slower
              else f"A training step does not always take longer than a prediction of the same batch: {span}.")
    return [answer, *said]


def draw(rows):
    return plot.bars(f"A batch of {BATCH}", [
        (f"{row['model']}: {row['way']}".replace("linear regression", "linear").replace("MLP 10-16-1", "MLP"),
         row["ms"], words.duration(row["ms"]), (LINEAR, MLP, CNN).index(row["model"]))
        for row in rows if "ms" in row])


EXPERIMENT = page.Experiment(
    "training", "How does one training step compare with one prediction?", METHOD,
    [("model", "model"), ("what", "way"), *page.time_columns(),
     ("of a prediction by NumPy", lambda row: f"{row['ratio']:.2f}"),
     ("multiplications", lambda row: f"{row['multiplications']:,}")],
    measure, conclude, draw, ("onnxruntime", "sklearn", "keras"))

if __name__ == "__main__":
    page.main(EXPERIMENT)
