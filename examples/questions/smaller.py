#!/usr/bin/env python3
"""What do pruning, distillation and quantization bring, measured, not promised?"""
import zlib

from lab import digits, nets, page, plot, timing, words

import numpy as np

METHOD = """
A network of 784 inputs, 128 hidden values and 10 outputs (ReLU) learns drawn digits with noise (6,000 images of 28 × 28; 2,000 others are the test set), then it
is made smaller: 90 % of the weights are set to 0 (the least ones; the others learn on for ten epochs); 90 % of the hidden values are taken out instead; a student
with 13 hidden values learns what the large one answers, and another one the labels alone; `quern quantize` makes numbers of 16, 8 and 4 bits of the weights, or 8 bits
of weights and activations (`force=True`: it refuses what is not faster); `precision="bf16"` keeps the model as it is and multiplies rounded numbers.

*Accuracy* is that on the test set, by Quern; *same* how often the answer is the dense network's. *File* is the ONNX file, *packed* the same compressed by zlib.
One thread; all take turns, 21 rounds, for one image and for 256.
"""
DENSE, PRUNED, NARROW = "dense", "90 % of weights 0", "90 % of hidden values out"
STUDENT, ALONE = "student 784-13-10, distilled", "student 784-13-10, labels alone"
FLOAT16, BF16, INT8 = "float16 weights", "bf16 products", "int8"
WEIGHTS8, WEIGHTS4 = "int8 weights", "int4 weights"
KINDS = (DENSE, PRUNED, NARROW, STUDENT, ALONE, FLOAT16, BF16, INT8, WEIGHTS8, WEIGHTS4)
HIDDEN, FEW = 128, 13
BATCHES = (1, 256)
TEMPERATURE = 2


def train(net, x, targets, epochs, rate=0.1, masks=None):
    """Batches of 50; `masks` are 0 where weights stay 0."""
    rng = np.random.default_rng(3)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for first in range(0, len(x), 50):
            chosen = order[first:first + 50]
            net.step(x[chosen], nets.cross_entropy(targets[chosen]), rate)
            if masks:
                net.weights = [weight * mask for weight, mask in zip(net.weights, masks)]
    return net


def copy_of(net):
    copy = nets.Mlp(net.sizes, np.random.default_rng(0))
    copy.weights, copy.biases = list(net.weights), list(net.biases)
    return copy


def pruned(net, x, targets, epochs):
    copy = copy_of(net)
    masks = [(np.abs(weight) >= np.quantile(np.abs(weight), 0.9)).astype(np.float32)
             for weight in copy.weights]
    copy.weights = [weight * mask for weight, mask in zip(copy.weights, masks)]
    return train(copy, x, targets, epochs, masks=masks)


def narrow(net, x, targets, epochs):
    """The hidden values that matter most to the outputs stay."""
    active = np.maximum(x @ net.weights[0] + net.biases[0], 0).std(0)
    kept = np.argsort(active * np.linalg.norm(net.weights[1], axis=1))[-FEW:]
    copy = nets.Mlp([784, FEW, 10], np.random.default_rng(0))
    copy.weights = [net.weights[0][:, kept], net.weights[1][kept]]
    copy.biases = [net.biases[0][kept], net.biases[1]]
    return train(copy, x, targets, epochs)


def models(small):
    """{kind: (ONNX, options of quern.compile)}, test images, labels."""
    import onnx
    import quern
    images, labels = digits.digits(400 if small else 6000, 0)
    x, targets = digits.as_inputs(images), digits.one_hot(labels)
    test, test_labels = digits.digits(100 if small else 2000, 1)
    epochs, more = (2, 1) if small else (40, 10)
    dense = train(nets.Mlp([784, HIDDEN, 10], np.random.default_rng(0)), x, targets, epochs)
    soft = nets.softmax(dense.predict(x) / np.float32(TEMPERATURE))
    few = [784, FEW, 10]
    networks = {DENSE: dense, PRUNED: pruned(dense, x, targets, more), NARROW: narrow(dense, x, targets, more),
                STUDENT: train(nets.Mlp(few, np.random.default_rng(5)), x, (soft + targets) / 2, epochs + more),
                ALONE: train(nets.Mlp(few, np.random.default_rng(5)), x, targets, epochs + more)}
    made = {kind: (net.onnx(), {}) for kind, net in networks.items()}
    made[BF16] = made[DENSE][0], {"precision": "bf16"}
    data = [x[first:first + 16] for first in range(0, 128, 16)]
    for kind, mode in ((FLOAT16, "float16"), (INT8, "static"), (WEIGHTS8, "weights-int8"), (WEIGHTS4, "weights-int4")):
        result = quern.quantize(made[DENSE][0], data=data, mode=mode, block_size=16, max_error=1.0,
                                seconds=0.05, threads=1, force=True)
        made[kind] = onnx.load_from_string(result.model), {}
    return {kind: made[kind] for kind in KINDS}, digits.as_inputs(test), test_labels


def facts_of(proto, options, test, labels, wanted):
    """Accuracy, agreement and sizes."""
    found = nets.quern_call(proto, test, **options)().argmax(1)
    content = proto.SerializeToString()
    return {"accuracy": float((found == labels).mean()), "same": float((found == wanted).mean()),
            "asked": len(test), "file": len(content), "packed": len(zlib.compress(content, 9))}


def measure(small):
    made, test, labels = models(small)
    wanted = nets.quern_call(made[DENSE][0], test)().argmax(1)
    facts = {kind: facts_of(proto, options, test, labels, wanted) for kind, (proto, options) in made.items()}
    rows = []
    for batch in BATCHES:
        x = np.ascontiguousarray(np.resize(test, (batch, 784)))
        calls = {kind: nets.quern_call(proto, x, **options) for kind, (proto, options) in made.items()}
        # For bf16 products another system would have to be asked otherwise.
        peers = {kind: nets.onnxruntime_call(proto, x) for kind, (proto, options) in made.items() if not options}
        timings = timing.in_turns(
            {("Quern", kind): call for kind, call in calls.items()} |
            {("ONNX Runtime", kind): call for kind, call in peers.items() if call}, small)
        for kind in KINDS:
            peer = timings.get(("ONNX Runtime", kind))
            rows.append({"model": kind, "batch": batch, **facts[kind], **timings["Quern", kind].cells(),
                         **({"peer": peer.cells()} if peer else {})})
    return rows


def on_kind(rows, kind):
    row, dense = (words.find(rows, model=name, batch=1) for name in (kind, DENSE))
    many, dense_many = (words.find(rows, model=name, batch=BATCHES[1]) for name in (kind, DENSE))
    accurate, _ = words.points(row["accuracy"], dense["accuracy"], row["asked"])
    return (f"{kind}: {accurate}, {row['file'] / dense['file']:.2f} of the file ({row['packed'] / dense['packed']:.2f} packed); "
            f"for one image it {words.against(row, dense)} the dense network, for {BATCHES[1]} it "
            f"{words.against(many, dense_many)} the dense network.")


def on_speed(rows):
    """Which are faster, and which of these answer as well."""
    dense = words.find(rows, model=DENSE, batch=1)
    faster = [kind for kind in KINDS[1:] if any(
        words.relation(words.find(rows, model=kind, batch=batch),
                       words.find(rows, model=DENSE, batch=batch)) == "faster" for batch in BATCHES)]
    if not faster:
        return "None of them is faster than the dense network."
    good = [kind for kind in faster if not words.points(
        words.find(rows, model=kind, batch=1)["accuracy"], dense["accuracy"], dense["asked"])[1]]
    return (f"Faster than the dense network, for one image or for {BATCHES[1]}: {'; '.join(faster)}. Of these not less accurate: "
            f"{'; '.join(good) or 'none'}.")


def on_zeros(rows):
    pruned_rows, dense = ([words.find(rows, model=kind, batch=batch) for batch in BATCHES] for kind in (PRUNED, DENSE))
    saves = any(words.relation(row, other) == "faster" for row, other in zip(pruned_rows, dense))
    room = pruned_rows[0]["packed"] / dense[0]["packed"]
    return (f"Zeros in a matrix of full size save {'time' if saves else 'no time'}; the packed file has {room:.2f} of the bytes.")


def on_student(rows):
    student, alone = (words.find(rows, model=kind, batch=1) for kind in (STUDENT, ALONE))
    accurate, _ = words.points(student["accuracy"], alone["accuracy"], student["asked"])
    return f"Distillation: the student is {accurate}, beside one that learned from the labels alone."


def on_peer(rows):
    with_peer = [row for row in rows if "peer" in row]
    faster = [f"{row['model']} ({row['batch']})" for row in with_peer
              if words.relation(row, row["peer"]) == "slower"]
    if not with_peer:
        return []
    return [f"ONNX Runtime is faster than Quern with {words.listed(faster)}, not with the {len(with_peer) - len(faster)} others."
            if faster else "ONNX Runtime is faster than Quern with none of them."]


def conclude(rows):
    return [on_speed(rows), on_zeros(rows), on_student(rows), *[on_kind(rows, kind) for kind in KINDS[1:]],
            *on_peer(rows)]


def draw(rows):
    return plot.bars("One image, then 256", [
        (row["model"].replace("784-13-10, ", "") + (" · 256" if row["batch"] > 1 else ""), row["ms"],
         f"{words.duration(row['ms'])}, {100 * row['accuracy']:.1f} %", BATCHES.index(row["batch"]))
        for row in rows])


def percent(key):
    return lambda row: f"{100 * row[key]:.1f} %"


EXPERIMENT = page.Experiment(
    "smaller", "What do pruning, distillation and quantization bring, measured, not promised?", METHOD,
    [("model", "model"), ("images", "batch"), *page.time_columns(),
     ("ONNX Runtime", lambda row: words.duration(row["peer"]["ms"])), ("accuracy", percent("accuracy")),
     ("same", percent("same")), ("file", lambda row: f"{row['file'] / 1e3:.0f} kB"),
     ("packed", lambda row: f"{row['packed'] / 1e3:.0f} kB")],
    measure, conclude, draw, ("onnxruntime",))

if __name__ == "__main__":
    page.main(EXPERIMENT)
