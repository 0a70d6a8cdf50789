"""Files of other kinds, given as models: what each is called, and what to do."""

import bz2
import gzip
import io
import pickle
import struct
import unittest
import zipfile

import numpy as np
from cli import INVALID_MODEL, IO, CliTest


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 9000)
    return file.getvalue()


def arrays(save, *values):
    file = io.BytesIO()
    save(file, *values)
    return file.getvalue()


def safetensors():
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return struct.pack("<Q", len(header)) + header + bytes(4)


# name: (bytes, what it is called, words of the advice)
FILES = {
    "m.pt": (zipped("m/data.pkl", "m/data/0"), "a PyTorch file", "torch.onnx.export(model, "),
    "m.pth": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file", "torch.onnx.export("),
    "s.pt": (zipped("s/data.pkl", "s/code/s.py", "s/constants.pkl"), "a TorchScript file",
             "torch.jit.load("),
    "m.pt2": (zipped("archive/models/model.json"), "a program of torch.export", "torch.export.load("),
    "m.keras": (zipped("metadata.json", "model.weights.h5"), "a Keras model",
                "from_keras_model("),
    "m.h5": (b"\x89HDF\r\n\x1a\n" + bytes(9), "an HDF5 file", "keras.saving.load_model("),
    "m.ort": (b"\x1c\0\0\0ORTM" + bytes(9), "a model in ONNX Runtime's own format", ".onnx file"),
    # Read as a model it has fields that nobody knows, and no graph.
    "saved_model.pb": (b"\x08\x01\x12\x02\x0a\0", "a TensorFlow SavedModel",
                       "from_saved_model("),
    "frozen.pb": (b"\x0a\x02\x0a\0", "a protobuf file of another kind", "--graphdef FILE"),
    "m.engine": (b"ftrt" + bytes(9), "a TensorRT engine", "framework"),
    "m.xml": (b'<?xml version="1.0"?>\n<net name="m" version="11">\n', "an OpenVINO model",
              "no program turns it into ONNX"),
    "m.bin": (b"\x01\x02\x03\xff" * 9, "the weights of an OpenVINO model", "framework"),
    "m.mlmodel": (b"\x08\x05\x12\x02\x0a\0\xb2\x1f\x02ab", "a Core ML model", "framework"),
    "m.pdmodel": (b"\x0a\x02\x0a\0", "a PaddlePaddle model", "paddle2onnx"),
    "m.txt": (b"tree\nversion=v4\nnum_class=1\n", "a LightGBM model", "convert_lightgbm"),
    "m.json": (b'{"learner":{"attributes":{}}}', "an XGBoost model", "convert_xgboost"),
    "m.cbm": (b"CBM1" + bytes(9), "a CatBoost model", "format=\"onnx\""),
    "m.pkl": (pickle.dumps({"a": 1}), "a Python pickle", "skl2onnx.to_onnx("),
    "m.joblib": (b"x\x9c" + bytes(9), "a Python pickle", "joblib.load("),
    "m.gguf": (b"GGUF\x03\0\0\0", "a GGUF file", "optimum-cli export onnx"),
    "m.safetensors": (safetensors(), "a safetensors file", "optimum-cli export onnx"),
    "m.onnx.data": (b"\xff" * 9, "a file of weights", ".onnx file beside it"),
    "m.onnx.gz": (gzip.compress(b"model"), "a gzip file", "gunzip"),
    "m.bz2": (bz2.compress(b"model"), "an archive", "unpack"),
    "m.zip": (zipped("m/model.onnx"), "a ZIP archive", "unpack"),
    "x.npy": (arrays(np.save, np.zeros(3)), "a NumPy array (.npy)", "--input NAME=FILE"),
    "x.npz": (arrays(np.savez, np.zeros(3)), "a NumPy archive (.npz)", "--input FILE"),
    "lfs.onnx": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
                 "a Git LFS pointer", "git lfs pull"),
    "page.onnx": (b"<!DOCTYPE html>\n<html></html>", "a web page", "/resolve/"),
    "m.mlir": (b"module {\n}\n", "MLIR", "quern-opt"),
    "m.mlirbc": (b"ML\xefR\x0d", "MLIR", "quern-opt"),
    "m.a": (b"!<arch>\n", "compiled code", "quern compile"),
}


class Foreign(CliTest):
    def test_files(self):
        for name, (content, what, advice) in FILES.items():
            (self.folder / name).write_bytes(content)
        for name, (content, what, advice) in FILES.items():
            with self.subTest(name):
                self.fails(INVALID_MODEL, "inspect", name,
                           says=[f"{name}: not an ONNX model: this is {what}", advice])
        for verb in ("run", "check", "bench", "compare"):
            self.fails(INVALID_MODEL, verb, "m.pt", says="this is a PyTorch file\n  ")
        self.fails(INVALID_MODEL, "compile", "m.pt", "-o", "m.so", says="this is a PyTorch file\n  ")

    def test_what_is_in_a_file_tells_not_its_name(self):
        """The kinds that people give instead of models; each with two lines of what to do."""
        for name in ("m.pt", "m.pth", "s.pt", "m.pt2", "m.keras", "m.h5", "saved_model.pb", "m.xml",
                     "m.mlmodel", "m.pkl", "m.joblib", "m.gguf", "m.safetensors"):
            content, what, advice = FILES[name]
            (self.folder / "model.tflite").write_bytes(content)
            with self.subTest(name):
                _, err = self.quern("inspect", "model.tflite", exits=INVALID_MODEL)
                self.assertIn(f"model.tflite: not an ONNX model: this is {what}", err)
                self.assertIn(advice, err)
                self.assertEqual(err.count("\n  "), 2, err)

    def test_models_by_any_name(self):
        """What is in a file counts before what it is called."""
        for name in ("m.pt", "m.pkl", "saved_model.pb", "m.engine"):
            (self.folder / name).write_bytes((self.folder / "gemm.onnx").read_bytes())
            self.quern("inspect", name)

    def test_nothing_is_guessed(self):
        for name, content in {"empty.pkl": b"", "a.pb": b"plain text\n", "b.onnx": b"{}\n",
                              "c": b"x^2 + y^2\n", "d": b"\x08\x01\x12", "e": b"\x08\x05\xff"}.items():
            (self.folder / name).write_bytes(content)
            _, err = self.quern("inspect", name, exits=INVALID_MODEL)
            self.assertNotIn("\n  ", err, name)

    def test_folders_and_addresses(self):
        for name, inside, says in (
                ("plain", "notes.txt", "this is a folder\n  give an ONNX model file"),
                ("models", "net.onnx", "this is a folder\n  give the model in it: net.onnx"),
                ("saved", "saved_model.pb", "this is a TensorFlow SavedModel\n  "),
                ("m.mlpackage", "Manifest.json", "this is a Core ML package\n  "),
                ("hub", "config.json", "this is a model of Hugging Face's libraries\n  ")):
            (self.folder / name).mkdir()
            (self.folder / name / inside).write_bytes(b"")
            if inside == "Manifest.json":
                (self.folder / name / "Data").mkdir()
            self.fails(IO, "inspect", name, says=[f"{name}: cannot open: ", says])
        self.fails(IO, "run", "https://example.org/m.onnx",
                   says="cannot open: this is a URL\n  download the file first: curl ")
        self.fails(IO, "run", "no/such.onnx", says="No such file or directory")


if __name__ == "__main__":
    unittest.main()
