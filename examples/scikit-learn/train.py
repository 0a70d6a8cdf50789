"""Trains a pipeline on the digits and exports it; then compares the library made of it.

    python3 train.py pipeline.onnx
    python3 train.py pipeline.onnx --check pipeline.so
"""
import argparse
import ctypes

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def train():
    """The fitted pipeline, and the images that it has not seen."""
    images, digits = load_digits(return_X_y=True)
    known, unseen, answers, _ = train_test_split(images, digits, random_state=0)
    pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(50, random_state=0))
    return pipeline.fit(known, answers), np.ascontiguousarray(unseen, np.float32)


def export(pipeline, path):
    # Without zipmap probabilities are a tensor, as a C program wants them.
    model = to_onnx(pipeline, np.zeros((1, 64), np.float32), options={"zipmap": False})
    with open(path, "wb") as file:
        file.write(model.SerializeToString())


def predict(library, images):
    """Calls the compiled model for one image at a time, as the header says it."""
    code = ctypes.CDLL(library)
    pointers = lambda *arrays: (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
    label, probabilities = np.zeros(1, np.int64), np.zeros(10, np.float32)
    memory = np.zeros(1 << 20, np.uint8)
    start = -memory.ctypes.data % 64
    labels = []
    for image in images:
        if code.pipeline_run(pointers(image), pointers(label, probabilities),
                             ctypes.c_void_p(memory.ctypes.data + start)) != 0:
            raise SystemExit("pipeline_run failed")
        labels.append(label[0])
    return np.array(labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--check", metavar="LIBRARY")
    arguments = parser.parse_args()
    pipeline, unseen = train()
    if not arguments.check:
        return export(pipeline, arguments.model)
    same = np.sum(predict(arguments.check, unseen) == pipeline.predict(unseen))
    print(f"{same} of {len(unseen)} answers are scikit-learn's")


if __name__ == "__main__":
    main()
