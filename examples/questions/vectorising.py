#!/usr/bin/env python3
"""What do vectorising and compiling bring?"""

from lab import nets, page, plot, timing, words

import numpy as np

METHOD = """
A million products of float32 numbers, `a[i] * b[i]`; and a million results of `max(a[i] * b[i] + c, 0)`, which is three passes over memory where each
operation is done for itself, and one where they are compiled into one loop. By a loop in Python over lists, by NumPy (new arrays, and into arrays that are there),
by Quern's interpreter, by Quern's compiled code (new arrays; into arrays that are there) and by ONNX Runtime. One thread; all take turns, 21 rounds.
"""
TASKS = ("product", "product, sum, max")
LOOP, NUMPY, NUMPY_INTO = "Python loop", "NumPy", "NumPy, into an array"
INTERPRETED, COMPILED, COMPILED_INTO = "Quern interpreted", "Quern compiled", "Quern compiled, into an array"
RUNTIME = "ONNX Runtime"


def proto_of(task, size):
    nodes = [("Mul", ["x", "b"], "y" if task == TASKS[0] else "p", {})]
    if task != TASKS[0]:
        nodes += [("Add", ["p", "c"], "s", {}), ("Relu", ["s"], "y", {})]
    constants = {"b": np.linspace(-1, 1, size, dtype=np.float32), "c": np.float32(0.25)}
    if task == TASKS[0]:
        del constants["c"]
    return nets.model(nodes, constants, [size], [size])


def loop(task, a, b):
    if task == TASKS[0]:
        return lambda: [p * q for p, q in zip(a, b)]
    return lambda: [max(p * q + 0.25, 0.0) for p, q in zip(a, b)]


def numpy_calls(task, a, b):
    out, c = np.empty_like(a), np.float32(0.25)
    if task == TASKS[0]:
        return lambda: a * b, lambda: np.multiply(a, b, out=out)

    def into():
        np.multiply(a, b, out=out)
        np.add(out, c, out=out)
        np.maximum(out, 0, out=out)

    return lambda: np.maximum(a * b + c, 0), into


def quern_into(proto, a):
    import quern
    compiled, y = quern.compile(proto, threads=1), np.empty_like(a)
    compiled.run_into([a], [y])
    return lambda: compiled.run_into([a], [y])


def measure(small):
    size = 2000 if small else 1_000_000
    rows = []
    for task in TASKS:
        proto = proto_of(task, size)
        a = np.random.default_rng(0).normal(size=size).astype(np.float32)
        b = np.linspace(-1, 1, size, dtype=np.float32)
        plain, into = numpy_calls(task, a, b)
        calls = {LOOP: loop(task, a.tolist(), b.tolist()), NUMPY: plain, NUMPY_INTO: into,
                 INTERPRETED: nets.quern_call(proto, a, backend="interpreter"),
                 COMPILED: nets.quern_call(proto, a), COMPILED_INTO: quern_into(proto, a),
                 RUNTIME: nets.onnxruntime_call(proto, a)}
        np.testing.assert_allclose(calls[COMPILED](), plain(), rtol=1e-6, atol=1e-6)
        timings = timing.in_turns({name: call for name, call in calls.items() if call}, small)
        for name in calls:
            cells = {"task": task, "way": name}
            if name not in timings:
                rows.append(page.absent(**cells))
                continue
            rows.append({**cells, **timings[name].cells(), "per second": size / timings[name].ms / 1e3,
                         "ratio": timings[LOOP].ms / timings[name].ms})
    return rows


def conclude(rows):
    said = []
    for task in TASKS:
        row = {name: words.find(rows, task=task, way=name) for name in
               (LOOP, NUMPY, NUMPY_INTO, INTERPRETED, COMPILED, COMPILED_INTO, RUNTIME)}
        said.append(f"{task}: NumPy {words.against(row[NUMPY], row[LOOP])} the loop in Python; "
                    f"Quern compiled {words.against(row[COMPILED], row[NUMPY])} NumPy, and "
                    f"{words.against(row[COMPILED], row[INTERPRETED])} its interpreter.")
        said.append(f"{task}, into arrays that are there: NumPy {words.against(row[NUMPY_INTO], row[NUMPY])} "
                    f"NumPy with new ones; Quern compiled {words.against(row[COMPILED_INTO], row[NUMPY_INTO])} "
                    "NumPy into an array.")
        if row[RUNTIME]:
            said.append(f"{task}: Quern compiled {words.against(row[COMPILED], row[RUNTIME])} ONNX Runtime.")
    one, three = (words.find(rows, task=task, way=COMPILED_INTO) for task in TASKS)
    numpy_one, numpy_three = (words.find(rows, task=task, way=NUMPY_INTO) for task in TASKS)
    said.append(f"Three operations take {words.times(three['ms'] / one['ms'])} the time of one where they are "
                f"compiled into one loop, and {words.times(numpy_three['ms'] / numpy_one['ms'])} in NumPy.")
    vector = words.find(rows, task=TASKS[0], way=LOOP)["ms"] / numpy_one["ms"]
    fused = numpy_three["ms"] / three["ms"]
    more = ("Vectorising brings more than compiling" if vector > fused * (1 + words.NOISE) else
            "Compiling brings more than vectorising" if fused > vector * (1 + words.NOISE) else
            "Vectorising and compiling bring the same")
    said.insert(0, f"{more} here: {words.times(vector)} for a product from the loop to NumPy, "
                   f"{words.times(fused)} for the three operations from NumPy to compiled code, all into arrays that are there.")
    return said


def draw(rows):
    names = [LOOP, NUMPY, NUMPY_INTO, INTERPRETED, COMPILED, COMPILED_INTO, RUNTIME]
    return plot.bars("A million results", [
        (row["way"] + (" · 3 ops" if row["task"] == TASKS[1] else ""), row["ms"],
         words.duration(row["ms"]), names.index(row["way"])) for row in rows if "ms" in row])


EXPERIMENT = page.Experiment(
    "vectorising", "What do vectorising and compiling bring?", METHOD,
    [("what", "task"), ("by", "way"), *page.time_columns(),
     ("million results a second", lambda row: words.number(row["per second"])),
     ("times as fast as the loop", lambda row: words.number(row["ratio"]))],
    measure, conclude, draw, ("onnxruntime",))

if __name__ == "__main__":
    page.main(EXPERIMENT)
