#!/usr/bin/env python3
"""Is a random or hand-made network slower than a trained one?"""
from lab import nets, page, plot, timing, words

import numpy as np

METHOD = """
One convolution, eight filters of 3 × 3 over three channels with padding, then ReLU, on ten images of 3 × 64 × 64. Only the numbers in the filters differ: Sobel's
(edges in eight directions, a third of the numbers is 0), random ones, ones that were trained to find blurred edges, and nothing but 0.
By NumPy (windows, one matrix product), by Quern interpreted and compiled, and by ONNX Runtime. One thread; all take turns, 21 rounds, and models are opened anew for each
turn: by where things happen to lie in memory the same model is some percent faster or slower.
"""
SOBEL, RANDOM, TRAINED, ZEROS = "Sobel", "random", "trained", "all 0"
KINDS = (SOBEL, RANDOM, TRAINED, ZEROS)
NUMPY, INTERPRETED, COMPILED, RUNTIME = "NumPy", "Quern interpreted", "Quern compiled", "ONNX Runtime"
WAYS = (NUMPY, INTERPRETED, COMPILED, RUNTIME)


def windows(x):
    """[N, C, H, W] -> [N * H * W, C * 9]."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return views.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * 9)


def convolve(x, filters):
    n, _, h, w = x.shape
    y = np.maximum(windows(x) @ filters.reshape(len(filters), -1).T, 0)
    return y.reshape(n, h, w, -1).transpose(0, 3, 1, 2)


def sobel():
    """Eight directions; the ring of weights around the middle turns by one place each."""
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    values = [-1, -2, -1, 0, 1, 2, 1, 0]
    filters = np.zeros((8, 3, 3, 3), np.float32)
    for turn in range(8):
        for place, (row, column) in enumerate(ring):
            filters[turn, :, row, column] = values[(place - turn) % 8]
    return filters


def train(start, x, steps):
    """Gradient descent towards the edges of a blurred image."""
    rows = windows(x)
    blurred = rows.reshape(*x[:, 0].shape, 3, 9).mean(-1).transpose(0, 3, 1, 2)
    wanted = convolve(blurred, sobel()).transpose(0, 2, 3, 1).reshape(len(rows), -1)
    weights = start.reshape(8, -1).T.copy()
    for _ in range(steps):
        sums = rows @ weights
        gradient = rows.T @ ((np.maximum(sums, 0) - wanted) * (sums > 0)) / len(rows)
        weights -= np.float32(0.3) * gradient
    return np.ascontiguousarray(weights.T).reshape(start.shape)


def filter_sets(x, small):
    random = np.random.default_rng(1).normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32)
    return {SOBEL: sobel(), RANDOM: random, TRAINED: train(random, x, 3 if small else 200),
            ZEROS: np.zeros_like(random)}


def proto_of(filters, shape):
    return nets.model([("Conv", ["x", "w"], "c", {"pads": [1, 1, 1, 1]}), ("Relu", ["c"], "y", {})],
                      {"w": filters}, list(shape), [shape[0], len(filters), *shape[2:]])


def measure(small):
    size = 16 if small else 64
    x = np.random.default_rng(0).normal(size=(10, 3, size, size)).astype(np.float32)
    cases = []
    for kind, filters in filter_sets(x, small).items():
        proto = proto_of(filters, x.shape)
        calls = {NUMPY: lambda filters=filters: convolve(x, filters),
                 INTERPRETED: nets.quern_turns(proto, x, backend="interpreter"),
                 COMPILED: nets.quern_turns(proto, x), RUNTIME: nets.onnxruntime_turns(proto, x)}
        np.testing.assert_allclose(nets.quern_call(proto, x)(), calls[NUMPY](), rtol=1e-3, atol=1e-4)
        share = float((filters == 0).mean())
        cases += [({"filters": kind, "way": way, "zeros": share}, calls[way]) for way in WAYS]
    timings = timing.in_turns({i: call for i, (_, call) in enumerate(cases) if call}, small)
    return [{**cells, **timings[i].cells()} if i in timings else page.absent(**cells)
            for i, (cells, _) in enumerate(cases)]


def conclude(rows):
    differing, said = [], []
    for way in WAYS:
        trained = words.find(rows, filters=TRAINED, way=way)
        if not trained:
            continue
        others = {kind: words.find(rows, filters=kind, way=way) for kind in (RANDOM, SOBEL, ZEROS)}
        said.append(f"{way}: {words.beside(others, trained, 'trained filters')}.")
        differing += [f"{kind} filters are {words.relation(row, trained)} by {way}"
                      for kind, row in others.items()
                      if kind != ZEROS and words.relation(row, trained) != "same"]
    answer = (f"It depends: {words.listed(differing)} than trained ones." if differing else
              "No: random and hand-made filters take the time of trained ones in each of the systems.")
    compiled, numpy, interpreted = (words.find(rows, filters=TRAINED, way=way)
                                    for way in (COMPILED, NUMPY, INTERPRETED))
    said.append(f"With the same trained filters, Quern compiled {words.against(compiled, numpy)} NumPy, and "
                f"{words.against(compiled, interpreted)} its interpreter.")
    return [answer, *said]


def draw(rows):
    return plot.bars("Ten images of 3 × 64 × 64", [
        (f"{row['way']}, {row['filters']}", row["ms"], words.duration(row["ms"]),
         KINDS.index(row["filters"])) for way in WAYS for row in rows
        if row["way"] == way and "ms" in row])


EXPERIMENT = page.Experiment(
    "filters", "Is a random or hand-made network slower than a trained one?", METHOD,
    [("filters", "filters"), ("by", "way"), *page.time_columns(),
     ("numbers that are 0", lambda row: f"{100 * row['zeros']:.0f} %")],
    measure, conclude, draw, ("onnxruntime",))

if __name__ == "__main__":
    page.main(EXPERIMENT)
