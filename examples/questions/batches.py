#!/usr/bin/env python3
"""What do batch size, threads, loading and preprocessing cost?"""
from lab import digits, nets, page, plot, timing, words

import numpy as np

METHOD = """
A network of 784 inputs, 128 hidden values and 10 outputs (ReLU) classifies images of 28 × 28. First the time of a prediction by batch size and threads: NumPy on one
thread, Quern and ONNX Runtime on one and on two threads, made anew for each turn, so that threads that wait for work disturb nobody. Then what is around a prediction of one image: decoding a PNG file (in Python
with zlib; with Pillow where it is installed), making float32 of its bytes, opening and compiling the model (kernels of an earlier process on disk, and without
them), and the prediction. All take turns, 21 rounds.
"""
BATCHES = (1, 4, 16, 64, 256, 1024)
NUMPY = "NumPy, 1 thread"
DECODE, PILLOW, CONVERT = "decode PNG, zlib", "decode PNG, Pillow", "bytes to float32"
WARM, COLD, PREDICT = "open and compile, kernels on disk", "open and compile, nothing on disk", "predict one image"


def way(system, threads):
    return f"{system}, {threads} thread{'s' * (threads > 1)}"


def batch_calls(net, proto, x, thread_counts):
    calls = {NUMPY: lambda: net.predict(x)}
    for threads in thread_counts:
        for system, make in (("Quern", nets.quern_call), ("ONNX Runtime", nets.onnxruntime_call)):
            there = system == "Quern" or nets.has("onnxruntime")
            calls[way(system, threads)] = there and timing.Fresh(
                lambda make=make, threads=threads: make(proto, x, threads))
    np.testing.assert_allclose(nets.quern_call(proto, x)(), net.predict(x), rtol=1e-3, atol=1e-3)
    return calls


def pillow_call(file):
    if not nets.has("PIL"):
        return None
    import io
    from PIL import Image
    return lambda: np.asarray(Image.open(io.BytesIO(file)))


def around_calls(proto, images):
    """What happens before a prediction of one image, and it."""
    import quern
    file, content = digits.png_of(images[0]), proto.SerializeToString()
    np.testing.assert_array_equal(digits.from_png(file), images[0])
    return {DECODE: lambda: digits.from_png(file), PILLOW: pillow_call(file),
            CONVERT: lambda: digits.as_inputs(images[:1]),
            WARM: lambda: quern.compile(content, threads=1, dims={"N": 1}),
            COLD: lambda: quern.compile(content, threads=1, dims={"N": 1}, kernel_cache=False),
            PREDICT: nets.quern_call(proto, digits.as_inputs(images[:1]))}


def measure(small):
    import os
    batches = (1, 16) if small else BATCHES
    net = nets.Mlp([784, 128, 10], np.random.default_rng(0))
    proto = net.onnx()
    images, _ = digits.digits(max(batches), 0)
    thread_counts = (1, 2) if len(os.sched_getaffinity(0)) > 1 else (1,)
    rows = []
    for batch in batches:
        calls = batch_calls(net, proto, digits.as_inputs(images[:batch]), thread_counts)
        timings = timing.in_turns({name: call for name, call in calls.items() if call}, small)
        for name in calls:
            cells = {"way": name, "batch": batch}
            rows.append({**cells, **timings[name].cells(), "sample": timings[name].ms / batch}
                        if name in timings else page.absent(**cells))
    calls = around_calls(proto, images)
    timings = timing.in_turns({name: call for name, call in calls.items() if call}, small)
    for name in calls:
        cells = {"way": name, "batch": 1}
        rows.append({**cells, **timings[name].cells(), "part": True} if name in timings else
                    page.absent(**cells, part=True))
    return rows


def on_batches(rows):
    said = []
    batches = sorted({row["batch"] for row in rows})
    for name in dict.fromkeys(row["way"] for row in rows if "sample" in row):
        first, last = (words.find(rows, way=name, batch=batch) for batch in (batches[0], batches[-1]))
        best = min((row for row in rows if row["way"] == name and "sample" in row), key=lambda row: row["sample"])
        said.append(f"{name}: a sample takes {words.duration(first['sample'])} alone and {words.duration(last['sample'])} in a "
                    f"batch of {last['batch']:,} ({words.times(first['sample'] / last['sample'])} as fast); the least time a sample at "
                    f"{best['batch']:,}.")
    return said


def answer(rows):
    """What costs most: of calls with one sample, of one thread, of opening."""
    batches = sorted({row["batch"] for row in rows if "sample" in row})
    one, many = (words.find(rows, way=way("Quern", 1), batch=batch) for batch in (batches[0], batches[-1]))
    predict, warm, decode = (words.find(rows, way=name, part=True) for name in (PREDICT, WARM, DECODE))
    text = (f"For Quern a sample takes {words.times(one['sample'] / many['sample'])} as long alone as in a batch of "
            f"{batches[-1]:,}; decoding an image takes {words.times(decode['ms'] / predict['ms'])}, opening the model "
            f"{words.times(warm['ms'] / predict['ms'])} the time of a prediction")
    two = words.find(rows, way=way("Quern", 2), batch=batches[-1])
    return text + (f"; a second thread makes that batch {many['ms'] / two['ms']:.2f} times as fast." if two else ".")


def on_threads(rows):
    said = []
    for system in ("Quern", "ONNX Runtime"):
        pays, not_yet = [], []
        for batch in sorted({row["batch"] for row in rows}):
            one, two = (words.find(rows, way=way(system, threads), batch=batch) for threads in (1, 2))
            if one and two:
                gain = f"{batch:,} ({one['ms'] / two['ms']:.2f} times as fast)"
                (pays if words.relation(two, one) == "faster" else not_yet).append(gain)
        if pays:
            said.append(f"{system}: a second thread pays at batches of {words.listed(pays)}" +
                        (f", not at {words.listed(not_yet)}." if not_yet else "."))
        elif not_yet:
            said.append(f"{system}: a second thread pays at none of the batches: {words.listed(not_yet)}.")
    return said


def on_parts(rows):
    row = {name: words.find(rows, way=name, part=True) for name in (DECODE, PILLOW, CONVERT, WARM, COLD)}
    predict = words.find(rows, way=PREDICT, part=True)
    before = {name: row[name]["ms"] / predict["ms"] for name in (DECODE, CONVERT)}
    said = [f"Decoding a PNG file takes {words.times(before[DECODE])} the time of the prediction, making float32 of it "
            f"{words.times(before[CONVERT])}: " +
            ("what comes before it takes longer than the prediction." if sum(before.values()) > 1 else
             "the prediction takes longer than what comes before it.")]
    if row[PILLOW]:
        said.append(f"Pillow {words.against(row[PILLOW], row[DECODE])} the decoder in Python.")
    said.append(f"Opening and compiling takes the time of {words.number(row[WARM]['ms'] / predict['ms'])} predictions with kernels "
                f"on disk, of {words.number(row[COLD]['ms'] / predict['ms'])} without: " +
                ("keep the compiled model, do not open it for each prediction." if row[WARM]["ms"] > predict["ms"]
                 else "it may as well be opened for each prediction."))
    return said


def conclude(rows):
    return [answer(rows), *on_batches(rows), *on_threads(rows), *on_parts(rows)]


def draw(rows):
    series = {}
    for row in rows:
        if "sample" in row:
            series.setdefault(row["way"], []).append(
                (row["batch"], f"{row['batch']:,}", 1e3 * row["sample"]))
    return plot.lines("MLP 784-128-10", series, "batch size", "µs per sample")


EXPERIMENT = page.Experiment(
    "batches", "What do batch size, threads, loading and preprocessing cost?", METHOD,
    [("what", "way"), ("batch", "batch"), *page.time_columns(),
     ("a sample", lambda row: words.duration(row["sample"]))],
    measure, conclude, draw, ("onnxruntime", "PIL"))

if __name__ == "__main__":
    page.main(EXPERIMENT)
