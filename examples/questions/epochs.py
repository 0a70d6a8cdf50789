#!/usr/bin/env python3
"""Is a network slower after more epochs?"""
from lab import nets, page, plot, timing, words

import numpy as np

METHOD = """
A network of 10 inputs, 50 hidden values with ReLU and 2 outputs is trained for 1,000 epochs by gradient descent on 512 samples: with and without a multiplication
by 3 after the ReLU, with and without weight decay. It is written as ONNX after 0, 1, 10, 100 and 1,000 epochs, and predicts 1,000 samples at once by Quern's
compiled code. *Steps* are what a run consists of, in compiled code and in the interpreter.

Two more networks have so much weight decay that a weight without a gradient shrinks to 10⁻⁴¹ in 1,000 epochs, below 1.2 · 10⁻³⁸, where float32 goes on with *subnormal*
numbers of fewer digits, which some processors compute slowly: in one, half of the inputs are always 0 in training (not when it predicts), the other has nothing to
learn. They predict with subnormal numbers taken for 0 (`flush_denormals=True`, Quern's default) and kept, by NumPy, which keeps them, and by ONNX Runtime.
One thread; all take turns, 21 rounds, and models are opened anew for each turn: by where things happen to lie in memory the same model is some percent faster or slower.
"""
EPOCHS = (0, 1, 10, 100, 1000)
VARIANTS = (("plain", 1, 0.0), ("×3", 3, 0.0), ("weight decay", 1, 0.01), ("×3, weight decay", 3, 0.01))
TRAINED, HALF, WHOLE = "plain", "half of the inputs unused, strong decay", "nothing to learn, strong decay"
FLUSHED, KEPT, NUMPY, RUNTIME = "Quern", "Quern, subnormals kept", "NumPy", "ONNX Runtime"
RATE = 0.05
TINY = np.finfo(np.float32).tiny


def samples(rng, count):
    x = rng.uniform(-1, 1, (count, 10)).astype(np.float32)
    y = np.stack([np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2], np.abs(x[:, 3]) - x[:, 4]], 1)
    return x, y.astype(np.float32)


def trained(epochs, factor, decay, x, y):
    """The network after each of these numbers of epochs: {epochs: (ONNX, its facts, NumPy's call)}."""
    net = nets.Mlp([10, 50, 2], np.random.default_rng(1), factor)
    states = {}
    for epoch in range(max(epochs) + 1):
        if epoch in epochs:
            values = np.abs(np.concatenate([w.ravel() for w in net.weights]))
            facts = {"loss": float(np.mean((net.predict(x) - y) ** 2)),
                     "subnormal": int(((values > 0) & (values < TINY)).sum())}
            copy = nets.Mlp(net.sizes, np.random.default_rng(1), factor)
            copy.weights, copy.biases = list(net.weights), list(net.biases)
            states[epoch] = (net.onnx(), facts, copy.predict)
        net.step(x, nets.squares(y), RATE / factor ** 2, decay)
    return states


def step_facts(proto, x):
    compiled = nets.steps_of(proto, x)
    return {"steps": len(compiled), "multiplies": any("mul" in row["kernel"] for row in compiled),
            "interpreted steps": len(nets.steps_of(proto, x, backend="interpreter"))}


def add_decayed(cases, epochs, x, y, test):
    """The networks with subnormal weights, and an ordinary one beside them, in four ways."""
    last = max(epochs)
    # What shrinks a number to 10^-41 by then.
    decay = (1 - 10 ** (-41 / last)) / RATE
    half = np.where(np.arange(10) < 5, x, 0).astype(np.float32)
    networks = {TRAINED: trained([last], 1, 0.0, x, y)[last],
                HALF: trained([last], 1, decay, half, y)[last],
                WHOLE: trained([last], 1, decay, x, np.zeros_like(y))[last]}
    for name, (proto, facts, predict) in networks.items():
        ways = {KEPT: nets.quern_turns(proto, test, flush_denormals=False),
                NUMPY: lambda predict=predict: predict(test),
                RUNTIME: nets.onnxruntime_turns(proto, test)}
        if name != TRAINED:
            ways = {FLUSHED: nets.quern_turns(proto, test), **ways}
        for way, call in ways.items():
            cases.append(({"network": name, "epochs": last, "way": way, **facts}, call))


def measure(small):
    epochs = (0, 1, 100) if small else EPOCHS
    x, y = samples(np.random.default_rng(0), 64 if small else 512)
    test, _ = samples(np.random.default_rng(2), 1000)
    cases = []
    for name, factor, decay in VARIANTS:
        for epoch, (proto, facts, predict) in trained(epochs, factor, decay, x, y).items():
            np.testing.assert_allclose(nets.quern_call(proto, test)(), predict(test), rtol=1e-3, atol=1e-4)
            cases.append(({"network": name, "epochs": epoch, "way": FLUSHED, **facts,
                           **step_facts(proto, test)}, nets.quern_turns(proto, test)))
    add_decayed(cases, epochs, x, y, test)
    timings = timing.in_turns({i: call for i, (_, call) in enumerate(cases) if call}, small)
    return [{**cells, **timings[i].cells()} if i in timings else page.absent(**cells)
            for i, (cells, _) in enumerate(cases)]


def by_epoch(rows):
    """Whether the time depends on the epochs: a sentence for each variant, and the answer."""
    said, slower = [], []
    for name, _, _ in VARIANTS:
        mine = [row for row in rows if row["network"] == name and "steps" in row]
        first, last = mine[0], mine[-1]
        if words.relation(last, first) == "slower":
            slower.append(name)
        values = [row["ms"] for row in mine]
        said.append(f"{name}: after {last['epochs']:,} epochs it {words.against(last, first)} before the first; between its "
                    f"fastest and its slowest state are {100 * (max(values) / min(values) - 1):.0f} %.")
    answer = (f"Yes, here: slower after training than before: {words.listed(slower)}." if slower else
              "No: none of the four networks is slower after training than before.")
    return [answer, *said]


def on_factor(rows):
    """What the multiplication by 3 costs."""
    last = max(row["epochs"] for row in rows)
    plain, scaled = (words.find(rows, network=name, epochs=last, way=FLUSHED) for name in ("plain", "×3"))
    steps = (f"{scaled['interpreted steps']} steps instead of {plain['interpreted steps']} in the interpreter, "
             f"{scaled['steps']} instead of {plain['steps']} in compiled code")
    if scaled["steps"] > plain["steps"]:
        fate = "it keeps a step of its own"
    elif scaled["multiplies"]:
        fate = "it is computed within the step before, on registers"
    else:
        fate = "it is folded away"
    return (f"The ×3 takes {steps}: {fate}. With it the network {words.against(scaled, plain)} the one without, after "
            f"{last:,} epochs.")


def on_subnormals(rows):
    said, slow = [], []
    last = max(row["epochs"] for row in rows)
    counts = {name: words.find(rows, network=name, way=NUMPY)["subnormal"] for name in (HALF, WHOLE)}
    for way in (FLUSHED, KEPT, NUMPY, RUNTIME):
        usual = words.find(rows, network=TRAINED, epochs=last, way=way)
        if not usual:
            continue
        decayed = {f"“{name}” ({counts[name]} subnormal weights)":
                   words.find(rows, network=name, epochs=last, way=way) for name in counts}
        said.append(f"{way}: {words.beside(decayed, usual, 'an ordinary network')}.")
        if any(words.relation(row, usual) == "slower" for row in decayed.values()):
            slow.append(way)
    if not any(counts.values()):
        return ["No weight has become subnormal: nothing follows about subnormal numbers."]
    said.append(f"Subnormal numbers make a network slower on this processor by {words.listed(slow)}."
                if slow else "Subnormal numbers make no network slower on this processor.")
    return said


def conclude(rows):
    return [*by_epoch(rows), on_factor(rows), *on_subnormals(rows)]


def draw(rows):
    series = {}
    for row in rows:
        if "ms" in row and "steps" in row:
            series.setdefault(row["network"], []).append(
                (row["epochs"], f"{row['epochs']:,}", 1e3 * row["ms"]))
    return plot.lines("Prediction of 1,000 samples", series, "epochs trained", "µs", logarithmic_y=False)


def column(key, form="{}"):
    return lambda row: form.format(row[key])


EXPERIMENT = page.Experiment(
    "epochs", "Is a network slower after more epochs?", METHOD,
    [("network", "network"), ("epochs", "epochs"), ("by", "way"), *page.time_columns(),
     ("loss", column("loss", "{:.3g}")), ("subnormal weights", column("subnormal")),
     ("steps compiled", column("steps")), ("interpreted", column("interpreted steps"))],
    measure, conclude, draw, ("onnxruntime",))

if __name__ == "__main__":
    page.main(EXPERIMENT)
