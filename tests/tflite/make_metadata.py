#!/usr/bin/env python3
"""Writes tests/tools/images/metadata.tflite and metadata_int8.tflite: models that give the mean of
each channel of an image, with metadata on the image's numbers and with labels in an archive behind
the model, as TensorFlow Lite's tools write them.

Needs TensorFlow and flatc; the tests themselves need neither.
"""
import json
import os
import pathlib
import subprocess
import tempfile
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import flatbuffers
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "frontend/tflite/metadata.fbs"
FOLDER = ROOT / "tests/tools/images"
MEAN, DEVIATION = [10, 20, 30], [2, 4, 8]
FACTS = {"name": "means", "subgraphs": [{
    "inputs": [{"name": "image",
                "content": {"properties_type": "Image", "properties": {"color_space": "Rgb"}},
                "process_units": [{"options_type": "Normalization",
                                   "options": {"mean": MEAN, "std": DEVIATION}}]}],
    "outputs": [{"name": "means", "files": [{"name": "labels.txt", "kind": "AxisLabels"}]}]}]}


def described(folder):
    """The metadata as bytes."""
    (folder / "facts.json").write_text(json.dumps(FACTS))
    subprocess.run(["flatc", "--binary", "-o", folder, SCHEMA, folder / "facts.json"], check=True)
    return (folder / "facts.bin").read_bytes()


def with_metadata(model, metadata):
    tables = schema.ModelT.InitFromPackedBuf(model, 0)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(metadata, np.uint8)
    tables.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(tables.buffers) - 1
    tables.metadata = [*(tables.metadata or []), entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(tables.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def converted(quantized):
    network = tf.keras.Sequential([tf.keras.layers.Input((12, 16, 3), batch_size=1),
                                   tf.keras.layers.GlobalAveragePooling2D()])
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if quantized:
        rng = np.random.default_rng(0)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [((rng.integers(0, 256, (1, 12, 16, 3)) - MEAN) / DEVIATION).astype(np.float32)]
            for _ in range(50))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def main():
    with tempfile.TemporaryDirectory() as folder:
        metadata = described(pathlib.Path(folder))
    for name, quantized in (("metadata", False), ("metadata_int8", True)):
        path = FOLDER / f"{name}.tflite"
        path.write_bytes(with_metadata(converted(quantized), metadata))
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("labels.txt", "red\ngreen\nblue\n")


if __name__ == "__main__":
    main()
