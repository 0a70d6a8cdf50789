"""Images as inputs, and the classes with the largest scores."""

import pathlib
import struct
import unittest
import zlib

import numpy as np
import onnx
from cli import INVALID_INPUT, IO, LIMIT, UNSUPPORTED, USAGE, CliTest, make_model, value
from onnx import TensorProto, helper

IMAGES = pathlib.Path(__file__).resolve().parent / "images"
# 16 x 12 pixels of colors that change evenly; ramp.jpg, ramp.webp and ramp.png show them.
Y, X = np.mgrid[0:12, 0:16]
RAMP = np.stack([X * 16, Y * 20, 255 - X * 8 - Y * 8], -1).astype(np.uint8)


def png(pixels):
    """A PNG file of [height, width, 3] or [height, width] bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def taps(size, wanted, shape=lambda t: np.maximum(0, 1 - np.abs(t)), reach=1):
    """A matrix that resizes an axis as Pillow does: weights widen as the axis shrinks."""
    ratio = size / wanted
    widening = max(ratio, 1)
    middle = (np.arange(wanted) + 0.5) * ratio - 0.5
    distance = (middle[:, None] - np.arange(size)) / widening
    weights = np.where(np.abs(distance) < reach, shape(distance), 0)
    return weights / weights.sum(1, keepdims=True)


def resized(pixels, height, width, **filters):
    def whole(numbers):
        return np.clip(np.floor(numbers + 0.5), 0, 255)
    pixels = whole(np.einsum("ox,yxc->yoc", taps(pixels.shape[1], width, **filters), pixels))
    return whole(np.einsum("oy,yxc->oxc", taps(pixels.shape[0], height, **filters), pixels))


def cubic(t, a=-0.5):
    t = np.abs(t)
    return np.where(t <= 1, ((a + 2) * t - (a + 3)) * t * t + 1, ((a * t - 5 * a) * t + 8 * a) * t - 4 * a)


class Images(CliTest):
    def setUp(self):
        super().setUp()
        (self.folder / "ramp.png").write_bytes(png(RAMP))

    def model(self, shape, dtype=TensorProto.FLOAT, **metadata):
        model = make_model([helper.make_node("Identity", ["image"], ["y"])],
                           [value("image", shape, dtype)], [value("y", shape, dtype)])
        helper.set_model_props(model, {f"Image.{key}": text for key, text in metadata.items()})
        onnx.save(model, str(self.folder / "m.onnx"))

    def see(self, *options, path="ramp.png"):
        """What the model sees of an image."""
        _, self.said = self.quern("run", "m.onnx", "--input", f"image={path}", "-o", "y.npy", "-v",
                                  "--backend=interpreter", *options)
        return np.load(self.folder / "y.npy")

    def see_all(self, shapes, *options):
        """What inputs of these shapes, uint8, see of an image, each."""
        names = [f"i{n}" for n in range(len(shapes))]
        onnx.save(make_model([helper.make_node("Identity", [name], [f"{name}_seen"]) for name in names],
                             [value(name, shape, TensorProto.UINT8) for name, shape in zip(names, shapes)],
                             [value(f"{name}_seen", shape, TensorProto.UINT8)
                              for name, shape in zip(names, shapes)]), str(self.folder / "m.onnx"))
        self.quern("run", "m.onnx", *(f"--input={name}=ramp.png" for name in names), "-o", "y.npz",
                   "--backend=interpreter", *options)
        seen = np.load(self.folder / "y.npz")
        return [seen[f"{name}_seen"] for name in names]

    def refuses(self, code, says, *options, path="ramp.png"):
        self.fails(code, "run", "m.onnx", "--input", f"image={path}", *options, says=says)


class Numbers(Images):
    def test_layouts_and_types(self):
        planes = RAMP.transpose(2, 0, 1)
        self.model([1, 3, 12, 16])
        np.testing.assert_allclose(self.see(), [planes / np.float32(255)], rtol=1e-6)
        self.assertIn("note: input 'image' takes pixels from 0 to 1, as nothing says what it wants",
                      self.said)
        self.assertIn("'ramp.png': 16x12 pixels as float32 1x3x12x16: stretched, RGB, pixel * 0.003922",
                      self.said)
        luma = RAMP @ [0.299, 0.587, 0.114]
        for found in self.see_all([["N", "height", "width", 3], [12, 16, 3]]):
            np.testing.assert_array_equal(found.reshape(RAMP.shape), RAMP)
        for found in self.see_all([[12, 16], [1, 1, 12, 16], [12, 16, 1]]):
            self.assertLess(np.abs(found.reshape(12, 16) - luma).max(), 0.51)
        self.model([12, 16, 3], TensorProto.INT8)
        np.testing.assert_array_equal(self.see(), RAMP.astype(int) - 128)
        self.assertNotIn("as nothing says", self.said)
        self.model([3, 12, 16], TensorProto.FLOAT16)
        np.testing.assert_allclose(self.see(), planes / 255, atol=1e-3)

    def test_mean_and_std(self):
        self.model([1, 3, 12, 16])
        mean, std = np.float64([0.485, 0.456, 0.406]), np.float64([0.229, 0.224, 0.225])
        wanted = ((RAMP / 255 - mean) / std).transpose(2, 0, 1)
        found = self.see("--image-mean=0.485,0.456,0.406", "--image-std=0.229,0.224,0.225")
        np.testing.assert_allclose(found, [wanted], rtol=1e-5, atol=1e-6)
        self.assertNotIn("as nothing says", self.said)
        found = self.see("--image-scale=1", "--image-mean=127.5", "--image-std=127.5",
                         "--image-colors=bgr")
        np.testing.assert_allclose(found, [RAMP.transpose(2, 0, 1)[::-1] / 127.5 - 1], atol=1e-6)

    def test_presets(self):
        self.model([1, 3, 12, 16])
        planes = RAMP.transpose(2, 0, 1).astype(float)
        np.testing.assert_allclose(self.see("--image-preset=tf"), [planes / 127.5 - 1], atol=1e-6)
        found = self.see("--image-preset=caffe")
        np.testing.assert_allclose(
            found, [planes[::-1] - np.reshape([103.939, 116.779, 123.68], (3, 1, 1))], rtol=1e-5)
        # Options come before it.
        found = self.see("--image-preset=caffe", "--image-colors=rgb", "--image-scale=1")
        np.testing.assert_allclose(found, [planes], atol=1e-6)
        self.model([1, 3, 14, 14])
        self.see("--image-preset=torch")
        self.assertIn("cropped, RGB, (pixel * 0.003922 - 0.485,0.456,0.406) / 0.229,0.224,0.225",
                      self.said)

    def test_metadata(self):
        planes = RAMP.transpose(2, 0, 1).astype(float)
        for pixels, wanted in (("NominalRange_0_255", planes), ("Normalized_0_1", planes / 255),
                               ("Normalized_1_1", planes / 127.5 - 1),
                               ("NominalRange_16_235", planes * 219 / 255 + 16)):
            self.model([1, 3, 12, 16], NominalPixelRange=pixels, ColorSpaceGamma="SRGB")
            np.testing.assert_allclose(self.see(), [wanted], rtol=1e-5, atol=1e-6)
            self.assertNotIn("as nothing says", self.said)
        self.model([1, 3, 12, 16], NominalPixelRange="NominalRange_0_255",
                   BitmapPixelFormat="Bgr8")
        np.testing.assert_allclose(self.see(), [planes[::-1]])
        np.testing.assert_allclose(self.see("--image-scale=1/255"), [planes[::-1] / 255], rtol=1e-6)
        self.model([1, 3, 12, 16], ColorSpaceGamma="Linear")
        self.refuses(UNSUPPORTED,
                     "the model's metadata ask for images with Image.ColorSpaceGamma Linear")

    def test_formats(self):
        self.model([1, 12, 16, 3], TensorProto.UINT8)
        for name, tolerance in (("ramp.png", 0), ("ramp.jpg", 5), ("ramp.webp", 25)):
            # What a file holds counts, not its name.
            (self.folder / "picture.dat").write_bytes((IMAGES / name).read_bytes())
            found = self.see(path="picture.dat")
            self.assertLessEqual(np.abs(found[0].astype(int) - RAMP).max(), tolerance, name)

    def test_every_verb(self):
        self.model([1, 3, 12, 16])
        self.quern("compare", "--duration=0s", "m.onnx", "--input=ramp.png", "--image-preset=tf")
        self.quern("compile", "m.onnx", "-o", "m.so")
        self.quern("run", "m.so", "--input=ramp.png", "-o", "so.npy")
        np.testing.assert_array_equal(np.load(self.folder / "so.npy"), self.see())


class Sizes(Images):
    def test_stretch(self):
        sizes = (6, 8), (5, 7), (24, 40), (30, 9), (12, 5), (2, 2)
        shapes = [[1, *size, 3] for size in sizes]
        for options, filters in (((), {}), (["--image-filter=bicubic"], {"shape": cubic, "reach": 2})):
            for found, size in zip(self.see_all(shapes, *options), sizes):
                self.assertLessEqual(np.abs(found[0] - resized(RAMP, *size, **filters)).max(), 1,
                                     (size, options))
        for found, (height, width) in zip(self.see_all(shapes, "--image-filter=nearest"), sizes):
            rows = np.floor((np.arange(height) + 0.5) * 12 / height).astype(int)
            columns = np.floor((np.arange(width) + 0.5) * 16 / width).astype(int)
            np.testing.assert_array_equal(found[0], RAMP[rows][:, columns])

    def test_crop(self):
        self.model([1, 6, 6, 3], TensorProto.UINT8)
        wanted = resized(RAMP, 6, 8)[:, 1:7]
        self.assertLessEqual(np.abs(self.see("--image-fit=crop")[0] - wanted).max(), 1)
        wanted = resized(RAMP, 12, 16)[3:9, 5:11]
        np.testing.assert_array_equal(self.see("--image-fit=crop", "--image-crop=0.5")[0], wanted)

    def test_pad(self):
        self.model([1, 8, 8, 3], TensorProto.UINT8)
        found = self.see("--image-fit=pad")[0]
        np.testing.assert_array_equal(found[[0, 7]], 0)
        self.assertLessEqual(np.abs(found[1:7] - resized(RAMP, 6, 8)).max(), 1)

    def test_open_sizes(self):
        self.model([1, 3, "height", "width"], TensorProto.UINT8)
        self.assertEqual(self.see().shape, (1, 3, 12, 16))
        self.assertEqual(self.see("--image-size=7x9").shape, (1, 3, 7, 9))
        self.model([1, "a", "b", "c"], TensorProto.UINT8)
        self.refuses(INVALID_INPUT, "could be the first or the last dimension; the layout says which")
        self.assertEqual(self.see("--image-layout=nhwc").shape, (1, 12, 16, 3))
        self.assertEqual(self.see("--image-layout=nchw", "--image-colors=gray").shape, (1, 1, 12, 16))

    def test_what_does_not_fit(self):
        self.model([2, 3, 12, 16])
        self.refuses(INVALID_INPUT, "'ramp.png' for input 'image': it takes 2 images at once")
        self.model([1, 4, 12, 16])
        self.refuses(INVALID_INPUT, "has no dimension of 1 or 3 channels")
        self.model([1, 3, 12, 16])
        self.refuses(INVALID_INPUT, "the model takes images of height 12, asked is 6", "--image-size=6x16")
        self.refuses(INVALID_INPUT, "the model takes 3 channels, asked is gray", "--image-colors=gray")
        self.refuses(INVALID_INPUT, "whose channels cannot lie as the layout says", "--image-layout=nhwc")
        self.refuses(INVALID_INPUT, "2 numbers of mean or deviation for 3 channels", "--image-mean=1,2")
        self.refuses(INVALID_INPUT, "a deviation of 0", "--image-std=0")
        self.model([16])
        self.refuses(INVALID_INPUT, "an image has 2 to 4 dimensions")
        self.model([1, 3, 12, 16], TensorProto.STRING)
        self.refuses(INVALID_INPUT, "which is no image")

    def test_wrong_options(self):
        self.model([1, 3, 12, 16])
        for option, says in {"--image-size=7": "wanted HEIGHTxWIDTH", "--image-size=0x4": "wanted HEIGHTxWIDTH",
                             "--image-scale=big": "wanted a number, as in 1/255",
                             "--image-mean=1,,2": "wanted numbers, as in 0.485,0.456,0.406",
                             "--image-std=1/0": "wanted numbers", "--image-crop=2": "wanted a part of 1"}.items():
            self.refuses(USAGE, [option.replace("=", " "), says], option)
        self.quern("run", "m.onnx", "--image-preset=vgg", exits=USAGE)


class Hostile(Images):
    def test_truncated(self):
        self.model([1, 12, 16, 3], TensorProto.UINT8)
        for name in ("ramp.png", "ramp.jpg", "ramp.webp"):
            whole = (IMAGES / name).read_bytes()
            (self.folder / "cut").write_bytes(whole[:len(whole) - 20])
            self.refuses(INVALID_INPUT, ["'cut' for input 'image'", "image is broken"], path="cut")

    def test_too_many_pixels(self):
        """A few bytes that ask for gigabytes."""
        self.model([1, 12, 16, 3], TensorProto.UINT8)
        bomb = bytearray(png(RAMP))
        bomb[16:24] = struct.pack(">II", 40000, 40000)
        bomb[29:33] = struct.pack(">I", zlib.crc32(bytes(bomb[12:29])))
        (self.folder / "bomb.png").write_bytes(bomb)
        self.refuses(LIMIT, "an image of 40000x40000 pixels; more than 134217728 are not decoded",
                     path="bomb.png")

    def test_no_image(self):
        self.model([1, 12, 16, 3], TensorProto.UINT8)
        (self.folder / "x.jpg").write_text("hello")
        self.refuses(USAGE, ["an input file is a .npy, .npz or ONNX .pb file, a table", "or an image"], path="x.jpg")
        self.refuses(IO, "No such file", path="no.jpg")


class Top(Images):
    def setUp(self):
        super().setUp()
        nodes = [helper.make_node("Identity", ["x"], ["scores"])]
        onnx.save(make_model(nodes, [value("x", ["N", 4])], [value("scores", ["N", 4])]),
                  str(self.folder / "m.onnx"))
        self.scores = np.float32([[0.5, 3, np.nan, 3], [4, 1, 2, 3]])
        self.save("x.npy", self.scores)
        (self.folder / "labels.txt").write_text("\ufeffcat\r\ndog\r\nred fox\r\nhen\x1b[31m\r\n")

    def top(self, *options, exits=0):
        return self.quern("run", "m.onnx", "--input=x.npy", *options, exits=exits)

    def test_classes(self):
        out, _ = self.top("--top=2")
        self.assertEqual([line.split() for line in out.splitlines()[-5:]],
                         [["row", "class", "score"], ["0", "1", "3"], ["0", "3", "3"],
                          ["1", "0", "4"], ["1", "3", "3"]])

    def test_labels(self):
        out, _ = self.top("--labels=labels.txt")
        lines = [line.split() for line in out.splitlines()[-8:]]
        self.assertEqual(lines[:4], [["0", "dog", "1", "3"], ["0", "hen\\x1B[31m", "3", "3"],
                                     ["0", "cat", "0", "0.5"], ["0", "red", "fox", "2", "nan"]])
        report = self.quern_json("run", "m.onnx", "--input=x.npy", "--labels=labels.txt", "--top=3",
                                 "--softmax")
        first, second = report["outputs"][0]["top"]
        chances = np.exp([4, 3, 2]) / np.exp([4, 1, 2, 3]).sum()
        self.assertEqual([each["label"] for each in second], ["cat", "hen\x1b[31m", "red fox"])
        self.assertEqual([each["class"] for each in second], [0, 3, 2])
        np.testing.assert_allclose([each["score"] for each in second], chances, rtol=1e-6)
        self.assertIsNone(first[0]["score"])

    def test_labels_that_do_not_fit(self):
        (self.folder / "labels.txt").write_text("cat\ndog")
        self.fails(INVALID_INPUT, "run", "m.onnx", "--input=x.npy", "--labels=labels.txt",
                   says="'labels.txt' has 2 labels, but output 'scores' has 4 classes")
        self.fails(IO, "run", "m.onnx", "--input=x.npy", "--labels=no.txt", says="no.txt")
        self.fails(USAGE, "run", "m.onnx", "--input=x.npy", "--labels=labels.txt",
                   "-o", "labels.txt", says="labels.txt")

    def test_no_scores(self):
        onnx.save(make_model([helper.make_node("Identity", ["x"], ["y"])], [value("x", [])],
                             [value("y", [])]), str(self.folder / "m.onnx"))
        self.fails(USAGE, "run", "m.onnx", "--input=zeros", "--top=1", says="no output has scores")

    def test_tflite(self):
        """Numbers, colors and labels come from the model's own file (tests/tflite/make_metadata.py)."""
        out, said = self.quern("run", IMAGES / "metadata.tflite", "--input=ramp.png", "--top=3", "-v")
        self.assertIn("(pixel - 10,20,30) / 2,4,8", said)
        means = ((RAMP.reshape(-1, 3) - [10, 20, 30]) / [2, 4, 8]).mean(0)
        wanted = sorted(zip(-means, ("red", "green", "blue")))
        rows = [line.split() for line in out.splitlines()[-3:]]
        self.assertEqual([row[0] for row in rows], [label for _, label in wanted])
        np.testing.assert_allclose([float(row[2]) for row in rows], [-mean for mean, _ in wanted],
                                   rtol=1e-3)
        out, _ = self.quern("run", IMAGES / "metadata.tflite", "--input=ramp.png", "--image-scale=1",
                            "--top=1")
        self.assertIn("blue", out.splitlines()[-1])
        quantized, _ = self.quern("run", IMAGES / "metadata_int8.tflite", "--input=ramp.png",
                                  "--top=3", "-v")
        self.assertEqual([line.split()[0] for line in quantized.splitlines()[-3:]],
                         [row[0] for row in rows])


if __name__ == "__main__":
    unittest.main()
