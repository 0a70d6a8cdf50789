"""Trains three small networks with Keras and saves each in six ways.

  train.py FOLDER      writes FOLDER/NAME.keras, .h5, a SavedModel FOLDER/NAME, NAME.float.tflite,
                       NAME.dynamic.tflite and NAME.int8.tflite, NAME.onnx, and NAME.npz, the test set

mlp-10-16-1 learns a function of ten numbers; mlp-784-128-10 and cnn learn scikit-learn's digits, enlarged
to 28 x 28. Needs tensorflow and scikit-learn; for the .onnx files tf2onnx.
"""
import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf
from keras import layers

import quern

TEST = 360


def numbers():
    random = np.random.default_rng(0)
    x = random.normal(size=(4000, 10)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.5 * x[:, 3:4]
    return x, y.astype("float32")


def digits():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    large = tf.image.resize(images[order].reshape(-1, 8, 8, 1) / 16, (28, 28)).numpy()
    return large.astype("float32"), labels[order]


def networks():
    """Each with its data and how long it is trained."""
    x, y = numbers()
    images, labels = digits()
    flat = images.reshape(len(images), 784)
    yield "mlp-10-16-1", [layers.Input((10,)), layers.Dense(16, activation="relu"), layers.Dense(1)], x, y, 40
    yield ("mlp-784-128-10", [layers.Input((784,)), layers.Dense(128, activation="relu"),
                              layers.Dense(10, activation="softmax")], flat, labels, 20)
    yield ("cnn", [layers.Input((28, 28, 1)), layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(),
                   layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
                   layers.Dense(10, activation="softmax")], images, labels, 10)


def convert(net, x, kind):
    """By TensorFlow's converter; int8 takes and gives floats, and computes in integers."""
    converter = tf.lite.TFLiteConverter.from_keras_model(net)
    if kind != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "int8":
        converter.representative_dataset = lambda: ([row[None]] for row in x[:200])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter.convert()


def save(folder, name, net, x):
    net.save(folder / f"{name}.keras")
    net.save(folder / f"{name}.h5")
    net.export(folder / name, verbose=False)
    for kind in ("float", "dynamic", "int8"):
        (folder / f"{name}.{kind}.tflite").write_bytes(convert(net, x, kind))
    try:
        (folder / f"{name}.onnx").write_bytes(
            quern.sources.bytes_of(net, exporter="tf2onnx"))
    except quern.UnsupportedError as error:
        print(f"no {name}.onnx: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    for name, parts, x, y, epochs in networks():
        net = keras.Sequential(parts)
        net.compile("adam", "mse" if y.ndim == 2 else "sparse_categorical_crossentropy")
        net.fit(x[TEST:], y[TEST:], batch_size=32, epochs=epochs, verbose=0)
        save(folder, name, net, x[TEST:])
        np.savez(folder / f"{name}.npz", x=x[:TEST], y=y[:TEST])
        print(f"{name}: {net.count_params():,} parameters")


if __name__ == "__main__":
    main()
