"""Makes what the README's commands take: a forest and a table to score, an image and its labels.

Needs scikit-learn, skl2onnx, pandas and Pillow; the commands need none of them.
"""
import argparse
import pathlib

import numpy as np
import pandas
from PIL import Image
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

DIGITS = pathlib.Path(__file__).resolve().parents[1] / "digits"


def make_table(folder, rows):
    """A forest on 13 measures of wines, and wines that it has not seen with the forest's own
    answers, as scikit-learn gives them."""
    wines = load_wine(as_frame=True)
    learn, held, classes, _ = train_test_split(wines.data, wines.target_names[wines.target],
                                               random_state=0)
    forest = RandomForestClassifier(100, random_state=0).fit(learn.to_numpy(), classes)
    model = to_onnx(forest, learn.to_numpy(np.float32)[:1],
                    options={RandomForestClassifier: {"zipmap": "columns"}})
    (folder / "forest.onnx").write_bytes(model.SerializeToString())
    if rows:
        held = held.sample(rows, replace=True, random_state=0)
    held = held.astype("f4")
    held.insert(0, "sample", [f"wine {i}" for i in range(len(held))])
    held["expected"] = forest.predict(held[wines.feature_names].to_numpy())
    held.to_csv(folder / "wines.csv", index=False)


def make_image(folder):
    """A digit that the network of examples/digits has not seen, and names for its classes."""
    image, digit = np.load(DIGITS / "images.npy")[0, 0], np.load(DIGITS / "labels.npy")[0]
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(folder / "digit.png")
    names = "zero one two three four five six seven eight nine".split()
    (folder / "labels.txt").write_text("\n".join(names) + "\n")
    print(f"digit.png shows a {names[digit]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, help="draw so many rows for the table")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    make_table(arguments.folder, arguments.rows)
    make_image(arguments.folder)


if __name__ == "__main__":
    main()
