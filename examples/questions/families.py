#!/usr/bin/env python3
"""Trees, a linear model, an MLP and a CNN on the same data: what does each prediction cost?"""
import pathlib

from lab import nets, page, plot, timing, words

import numpy as np

METHOD = """
scikit-learn's 1,797 scanned digits of 8 × 8: a decision tree, a forest of 100 trees, a logistic regression and a network of 64 inputs, 64 hidden values and 10 outputs are
trained by scikit-learn on 1,437 of them, a convolutional network is that of [examples/digits](../../examples/digits), trained on the same ones. Each predicts the 360 others,
one at a time and all at once: by scikit-learn (`predict_proba`), and, written as ONNX by skl2onnx, by Quern interpreted and compiled and by ONNX Runtime.
*Accuracy* is that of Quern's answers. One thread; all take turns, 21 rounds.
"""
TREE, FOREST, LINEAR, MLP, CNN = ("decision tree", "forest of 100 trees", "logistic regression",
                                  "MLP 64-64-10", "CNN")
FAMILIES = (TREE, FOREST, LINEAR, MLP, CNN)
SKLEARN, INTERPRETED, COMPILED, RUNTIME = "scikit-learn", "Quern interpreted", "Quern compiled", "ONNX Runtime"
WAYS = (SKLEARN, INTERPRETED, COMPILED, RUNTIME)
DIGITS = pathlib.Path(__file__).resolve().parents[1] / "digits"


def held_out():
    """The test images [360, 64] from 0 to 1, and what they show."""
    return np.load(DIGITS / "images.npy").reshape(-1, 64), np.load(DIGITS / "labels.npy")


def training_data(test):
    """All of scikit-learn's digits that are not held out."""
    from sklearn.datasets import load_digits
    data, labels = load_digits(return_X_y=True)
    data = (data / 16).astype(np.float32)
    seen = {image.tobytes() for image in (16 * test).round().astype(np.uint8)}
    chosen = [(16 * image).round().astype(np.uint8).tobytes() not in seen for image in data]
    return data[chosen], labels[chosen]


def estimators(x, labels, small):
    """{family: fitted}."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.tree import DecisionTreeClassifier
    made = {TREE: DecisionTreeClassifier(random_state=0),
            FOREST: RandomForestClassifier(5 if small else 100, random_state=0),
            LINEAR: LogisticRegression(max_iter=500),
            MLP: MLPClassifier(hidden_layer_sizes=(64,), max_iter=20 if small else 300, random_state=0)}
    import warnings
    warnings.simplefilter("ignore")  # that training might go on
    return {family: estimator.fit(x, labels) for family, estimator in made.items()}


def onnx_of(estimator):
    """With two outputs, the label and the probabilities."""
    import skl2onnx
    return skl2onnx.to_onnx(estimator, np.zeros((1, 64), np.float32), target_opset=18,
                            options={id(estimator): {"zipmap": False}})


def answers(outputs):
    """Of whichever outputs a model has: labels, or probabilities alone."""
    return outputs[0] if isinstance(outputs, (list, tuple)) else np.argmax(outputs, 1)


def models(test, small):
    """{family: (ONNX or None, estimator or None)}."""
    import onnx
    made = {family: (None, None) for family in FAMILIES}
    if nets.has("sklearn"):
        for family, estimator in estimators(*training_data(test), small).items():
            made[family] = onnx_of(estimator) if nets.has("skl2onnx") else None, estimator
    made[CNN] = onnx.load(DIGITS / "digits.onnx"), None
    return made


def calls_of(family, proto, estimator, x):
    shaped = x.reshape(-1, 1, 8, 8) if family == CNN else x
    return {SKLEARN: estimator and (lambda: estimator.predict_proba(x)),
            INTERPRETED: proto and nets.quern_call(proto, shaped, backend="interpreter"),
            COMPILED: proto and nets.quern_call(proto, shaped),
            RUNTIME: proto and nets.onnxruntime_call(proto, shaped)}


def measure(small):
    test, labels = held_out()
    rows = []
    made = models(test, small)
    for batch in (1, len(test)):
        cases, accuracy = {}, {}
        for family, (proto, estimator) in made.items():
            for way, call in calls_of(family, proto, estimator, test[:batch]).items():
                if call or (family, way) != (CNN, SKLEARN):  # it has no such network
                    cases[family, way] = call
            if proto:
                every = calls_of(family, proto, estimator, test)
                accuracy[family] = float((answers(every[COMPILED]()) == labels).mean())
        timings = timing.in_turns({case: call for case, call in cases.items() if call}, small)
        for family, way in cases:
            cells = {"model": family, "way": way, "batch": batch}
            if (family, way) not in timings:
                rows.append(page.absent(**cells))
                continue
            measured = timings[family, way]
            rows.append({**cells, **measured.cells(), "sample": measured.ms / batch, "asked": len(test),
                         **({"accuracy": accuracy[family]} if family in accuracy else {})})
    return rows


def order(rows, way, batch):
    """The families by what a sample takes: a sentence, or nothing where it is one at most."""
    found = [row for row in rows if row["way"] == way and row["batch"] == batch and "ms" in row]
    if len(found) < 2:
        return []
    found.sort(key=lambda row: row["ms"])
    said = f"{way}, {'one image' if batch == 1 else f'{batch} images at once'}: {found[0]['model']} ({words.duration(found[0]['sample'])} an image)"
    for row, before in zip(found[1:], found):
        how = "the same" if words.relation(row, before) == "same" else words.duration(row["sample"])
        said += f", then {row['model']} ({how})"
    return [f"{said}; between the first and the last lie {words.times(found[-1]['ms'] / found[0]['ms'])}."]


def on_accuracy(rows):
    best = {row["model"]: row for row in rows if row["way"] == COMPILED and row["batch"] == 1 and "accuracy" in row}
    if len(best) < 2:
        return []
    ranked = sorted(best.values(), key=lambda row: -row["accuracy"])
    top, cheapest = ranked[0], min(best.values(), key=lambda row: row["ms"])
    said = "The most accurate is " + top["model"] + f" ({100 * top['accuracy']:.1f} %), the cheapest by Quern {cheapest['model']}"
    if cheapest is top:
        return [said + ": the same."]
    accurate, _ = words.points(cheapest["accuracy"], top["accuracy"], top["asked"])
    return [f"{said}, which is {accurate} and, for one image, {words.against(cheapest, top)} it."]


def on_systems(rows):
    """What compiling brings to each family."""
    said = []
    for family in FAMILIES:
        parts = []
        for batch in sorted({row["batch"] for row in rows}):
            row = {way: words.find(rows, model=family, way=way, batch=batch) for way in WAYS}
            if not row[COMPILED]:
                continue
            others = [f"{words.against(row[COMPILED], row[way])} {way}" for way in (SKLEARN, INTERPRETED, RUNTIME) if row[way]]
            parts.append(f"for {batch} image{'s' * (batch > 1)} Quern compiled {words.listed(others)}")
        if parts:
            said.append(f"{family}: {'; '.join(parts)}.")
    return said


def conclude(rows):
    batches = sorted({row["batch"] for row in rows})
    orders = [sentence for way in (COMPILED, SKLEARN) for batch in batches for sentence in order(rows, way, batch)]
    said = [*on_accuracy(rows), *orders, *on_systems(rows)]
    if not on_accuracy(rows):
        said.insert(0, "Without scikit-learn and skl2onnx there is only the CNN: nothing follows about the others.")
    return said


def draw(rows):
    return plot.bars("One image, then 360 at once: an image", [
        (f"{row['model']}, {row['way'].replace(' compiled', '')}" + (" · 360" if row["batch"] > 1 else ""), row["sample"],
         words.duration(row["sample"]), FAMILIES.index(row["model"])) for row in rows
        if "ms" in row and row["way"] in (SKLEARN, COMPILED)])


EXPERIMENT = page.Experiment(
    "families", "Trees, a linear model, an MLP and a CNN on the same data: what does each prediction cost?", METHOD,
    [("model", "model"), ("images", "batch"), ("by", "way"), *page.time_columns(),
     ("an image", lambda row: words.duration(row["sample"])),
     ("accuracy", lambda row: f"{100 * row['accuracy']:.1f} %")],
    measure, conclude, draw, ("onnxruntime", "sklearn", "skl2onnx"))

if __name__ == "__main__":
    page.main(EXPERIMENT)
