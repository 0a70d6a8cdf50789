"""Models of TensorFlow Lite: converted ones against LiteRT's reference kernels, broken ones."""

import pathlib
import random
import unittest

import numpy as np

from cli import INVALID_MODEL, UNSUPPORTED, USAGE, CliTest

CASES = pathlib.Path(__file__).resolve().parents[1] / "tflite" / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.tflite"))
# Of the largest magnitude. LiteRT rounds what dense layers of int8 weights get to 8 bits first,
# which Quern does not; sums of int16 are rounded once more in between.
TOLERANCES = {"cnn_dynamic": 2e-2}
# Integers may be one step off where LiteRT multiplies with fixed-point numbers of 31 bits.
STEPS = {"cnn_int16": 8, "average_pool_int8": 0, "doubled_int8": 0}


class Tflite(CliTest):
    def run_case(self, name, *options):
        arrays = np.load(CASES / f"{name}.npz")
        np.savez(self.folder / "x.npz",
                 **{key[3:]: arrays[key] for key in arrays if key.startswith("in:")})
        self.quern("run", CASES / f"{name}.tflite", "--input", "x.npz", "-o", "y.npz", *options)
        found = np.load(self.folder / "y.npz")
        wanted = {key[4:]: arrays[key] for key in arrays if key.startswith("out:")}
        self.assertEqual(set(found), set(wanted))
        for key, value in wanted.items():
            self.assertEqual((found[key].dtype, found[key].shape), (value.dtype, value.shape))
            yield found[key], value

    def test_cases(self):
        self.assertGreater(len(NAMES), 10)
        for name in NAMES:
            for backend in ("native", "interpreter"):
                with self.subTest(name, backend=backend):
                    for found, wanted in self.run_case(name, f"--backend={backend}"):
                        wide = np.complex128 if wanted.dtype.kind == "c" else np.float64
                        difference = np.abs(found.astype(wide) - wanted)
                        if wanted.dtype.kind in "fc":
                            bound = TOLERANCES.get(name, 1e-5) * np.abs(wanted).max()
                        else:
                            bound = STEPS.get(name, 1)
                        self.assertLessEqual(difference.max(), bound)

    def test_backends_agree(self):
        self.quern("compare", CASES / "cnn_int8.tflite", "--duration=0s")
        self.quern("compare", CASES / "attention_f32.tflite", "--duration=0s")

    def test_any_batch(self):
        """The converter has left the batch open."""
        np.save(self.folder / "x.npy", np.ones((7, 10), np.float32))
        out, _ = self.quern("run", CASES / "mlp_f32.tflite", "--input", "x.npy", "-o", "y.npz")
        self.assertEqual([value.shape for value in np.load(self.folder / "y.npz").values()],
                         [(7, 3)])

    def test_inspect(self):
        out, _ = self.quern("inspect", CASES / "cnn_int8.tflite")
        self.assertIn("TensorFlow Lite, format version 3\n", out)
        self.assertRegex(out, r"CONV_2D +2\n")
        self.assertRegex(out, r"input +\S+ +int8 \?x28x28x1")

    def test_what_it_is_counts(self):
        """Not what it is called."""
        (self.folder / "m.onnx").write_bytes((CASES / "mlp_f32.tflite").read_bytes())
        self.quern("check", "m.onnx", "--shape", "keras_tensor=1x10")

    def test_only_onnx_is_rewritten(self):
        model = CASES / "mlp_f32.tflite"
        self.fails(USAGE, "explain", model, "--annotate=a.onnx",
                   says="is one of TensorFlow Lite")
        for verb in (("quantize", model, "-o", "q.onnx", "--data=random"),
                     ("compare", model, "--reduce", "-o", "r.onnx")):
            self.fails(INVALID_MODEL, *verb, says=["this is a TensorFlow Lite model",
                                                   "only ONNX models are rewritten"])

    def test_ahead_of_time(self):
        self.quern("compile", CASES / "cnn_int8.tflite", "--shape", "keras_tensor_29=1x28x28x1", "-o", "m.so")
        self.quern("run", "m.so", "--input", "random")

    def test_broken(self):
        content = (CASES / "cnn_f32.tflite").read_bytes()
        (self.folder / "cut.tflite").write_bytes(content[:300])
        self.fails(INVALID_MODEL, "run", "cut.tflite",
                   says="cut.tflite: not a TensorFlow Lite model: the file is truncated or damaged")
        (self.folder / "short.tflite").write_bytes(b"\x1c\0\0\0TFL3")
        self.fails(INVALID_MODEL, "run", "short.tflite", says="truncated or damaged")

    def test_refused(self):
        """By name, with what to do."""
        for name, code, says in (
                ("counting", UNSUPPORTED, ["node 'ASSIGN_VARIABLE#2' (ASSIGN_VARIABLE): a variable that keeps",
                                           "convert a model that has this state as an input"]),
                ("recursive", INVALID_MODEL, "(WHILE): subgraph 0 calls itself"),
                ("complex", UNSUPPORTED, "node 't1' (TANH): elements of type Complex64"),
                ("complex_input", UNSUPPORTED, "node 't1' (TANH): elements of type Complex64"),
                ("complex_cast", UNSUPPORTED, "node 't1' (CAST): elements of type Complex64"),
                ("real_parts", INVALID_MODEL, "node 't1' (REAL): input 0 must hold complex numbers"),
                ("abs_of_nothing", INVALID_MODEL,
                 "node 't1' (COMPLEX_ABS): input 0 is computed by no op before it"),
                ("transform", INVALID_MODEL,
                 "node 't2' (RFFT2D): two lengths of a tensor of rank 2 or more are wanted, found 1"),
                ("transform_empty", INVALID_MODEL, "lengths must be 1 or more, found 4 and 0"),
                ("left_out", INVALID_MODEL, "node 'TANH' (TANH): output 0 is left out"),
                ("left_out_input", INVALID_MODEL, "(CONCATENATION): input 1 is left out"),
                ("custom", UNSUPPORTED, "node 't1' (custom op 'MyOp'): this op is not supported")):
            self.fails(code, "run", CASES.parent / "refused" / f"{name}.tflite", says=says)

    def test_loop_that_grows(self):
        """By a row in each of 12,000 steps: memory that a step gives back serves those after it."""
        content = bytearray((CASES / "growing.tflite").read_bytes())
        steps = content.index(bytes.fromhex("0400000004000000") + b"\x10") + 4
        content[steps:steps + 4] = (12000).to_bytes(4, "little")
        (self.folder / "m.tflite").write_bytes(content)
        found = self.quern_json("bench", "m.tflite", "--duration=0s")
        self.assertLess(found["peak_rss_mb"], 500)

    def test_options_of_custom_ops(self):
        """Options that mean nothing are named."""
        for name, says in (
                ("detection_damaged", "(custom op 'TFLite_Detection_PostProcess'): its options are damaged"),
                ("detection_text", "option 'num_classes' is not a number"),
                ("detection_negative", "option 'max_detections' must be 0 or more, found -1"),
                ("detection_infinite", "option 'h_scale' must be a float32, found inf"),
                ("detection_overlap", "nms_iou_threshold must be above 0 and at most 1, found 1.5"),
                ("detection_classes", "2 scores of a box, num_classes is 3"),
                ("detection_many", "1048576 detections of 1048576 classes"),
                ("pool_short", "its options have 12 bytes, 24 are wanted"),
                ("pool_padding", "(custom op 'MaxPoolingWithArgmax2D'): padding 0"),
                ("pool_activation", "activation 9")):
            self.fails(INVALID_MODEL, "run", CASES.parent / "refused" / f"{name}.tflite", says=says)

    def test_sparse_weights(self):
        """Levels that do not fit the tensor, or each other."""
        for name, says in (
                ("levels", "there is not one level for each dimension and block"),
                ("order", "the order of levels names one that is not there"),
                ("twice", "the order of levels names one that is not there"),
                ("block", "a block does not fit its dimension"),
                ("size", "a level has not the size of its dimension"),
                ("index", "an index is out of range"),
                ("segment", "a segment lies outside of the indices"),
                ("segments", "there is not one segment for each position"),
                ("unlisted", "a level lists nothing"),
                ("often", "more positions than elements"),
                ("stored", "10 elements of 4 bytes are stored in 48")):
            self.fails(INVALID_MODEL, "run", CASES.parent / "refused" / f"sparse_{name}.tflite",
                       says=["tensor 't0': sparse weights: ", says])
        self.fails(UNSUPPORTED, "run", CASES.parent / "refused" / "sparse_type.tflite",
                   says="sparse weights of int4")

    def test_changed_bytes(self):
        """Whatever is in a file: an error or a result, never a signal."""
        draw = random.Random(11)
        for name in ("cnn_int8", "attention_f32", "sparse_blocks", "detection_fast", "detection_by_class"):
            content = (CASES / f"{name}.tflite").read_bytes()
            for _ in range(6):
                changed = bytearray(content)
                for _ in range(draw.choice((1, 4, 30))):
                    changed[draw.randrange(len(changed))] = draw.randrange(256)
                (self.folder / "m.tflite").write_bytes(changed)
                self.quern("check", "m.tflite", exits=tuple(range(11)))


if __name__ == "__main__":
    unittest.main()
