"""What values can do wrong: an error that names the node, or a defined result, on both backends.

A row of FAULTS is a node whose inputs ask for what cannot be done, a row of TOO_MUCH one whose
inputs ask for more memory than there may be; a row of DEFINED is one that other programs crash
on, with the answer that is given. Inputs are those of a run, or constants, which folding sees.
"""

import unittest

import numpy as np
import onnx
from cli import INVALID_INPUT, INVALID_MODEL, LIMIT, CliTest, make_model, value
from onnx import TensorProto, helper, numpy_helper

BACKENDS = ("interpreter", "native")
MOST, LEAST = np.iinfo(np.int64).max, np.iinfo(np.int64).min


def ints(*values, dtype=np.int64):
    return np.array(values, dtype)


def floats(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def scalar(number, dtype=np.int64):
    return np.array(number, dtype)


# Op, attributes, inputs, and what the error says beside the node's name.
FAULTS = [
    # Indices.
    ("Gather", {}, [floats(3), ints(0, 3)], "out of range"),
    ("Gather", {}, [floats(3), ints(-4)], "out of range"),
    ("Gather", {}, [floats(3), ints(LEAST)], "out of range"),
    ("Gather", {"axis": 1}, [floats(2, 3), ints(2**31, dtype=np.int64)], "out of range"),
    ("Gather", {}, [floats(0, 2), ints(0)], "out of range"),
    ("GatherElements", {}, [floats(3), ints(0, 3)], "out of range"),
    ("GatherElements", {"axis": 1}, [floats(2, 3), ints(-4, 0).reshape(2, 1)], "out of range"),
    ("GatherND", {}, [floats(2, 2), ints(0, 2).reshape(1, 2)], "out of range"),
    ("GatherND", {}, [floats(2, 2), ints(-3).reshape(1, 1)], "out of range"),
    ("ScatterElements", {}, [floats(3), ints(3), floats(1)], "out of range"),
    ("ScatterElements", {"axis": 0}, [floats(3), ints(MOST), floats(1)], "out of range"),
    ("ScatterND", {}, [floats(3), ints(3).reshape(1, 1), floats(1)], "out of range"),
    ("ScatterND", {}, [floats(2, 2), ints(0, LEAST).reshape(1, 2), floats(1)], "out of range"),
    # Counts and shapes.
    ("TopK", {}, [floats(3), ints(4)], "4"),
    ("TopK", {}, [floats(3), ints(-1)], "-1"),
    ("TopK", {}, [floats(3), ints(MOST)], str(MOST)),
    ("Reshape", {}, [floats(2, 3), ints(4, 2)], "reshape"),
    ("Reshape", {}, [floats(2, 3), ints(-1, 4)], "reshape"),
    ("Reshape", {}, [floats(2, 3), ints(-1, -1)], "-1"),
    ("Reshape", {}, [floats(2, 3), ints(-2, 3)], "-2"),
    ("Reshape", {}, [floats(2, 3), ints(6, 1, 0)], "2"),
    ("Expand", {}, [floats(2, 3), ints(2, 4)], "broadcast"),
    ("Range", {}, [scalar(0), scalar(3), scalar(0)], "0"),
    ("Tile", {}, [floats(2), ints(-1)], "-1"),
    ("ConstantOfShape", {}, [ints(-1)], "-1"),
    ("Unsqueeze", {}, [floats(2), ints(5)], "5"),
    ("Slice", {}, [floats(3), ints(0), ints(1), ints(0), ints(0)], "0"),
    ("Pad", {}, [floats(3), ints(-2, -2)], "-"),
]

# The same of what asks for more memory than there may be.
TOO_MUCH = [
    ("Range", {}, [scalar(0), scalar(MOST), scalar(1)]),
    ("Range", {}, [scalar(LEAST), scalar(MOST), scalar(1)]),
    ("Range", {}, [scalar(0, np.float32), scalar(1e30, np.float32), scalar(1e-30, np.float32)]),
    ("Tile", {}, [floats(8), ints(2**40)]),
    ("Tile", {}, [floats(8), ints(MOST)]),
    ("Expand", {}, [floats(1), ints(2**40)]),
    ("Expand", {}, [floats(1, 1), ints(2**40, 2**40)]),
    ("ConstantOfShape", {}, [ints(2**40)]),
    ("ConstantOfShape", {}, [ints(2**40, 2**40)]),
    ("OneHot", {}, [ints(0, 1), ints(2**40), floats(2)]),
    ("OneHot", {}, [ints(0, 1), ints(MOST), floats(2)]),
    ("Resize", {}, [floats(1, 1, 2, 2), None, None, ints(1, 1, 2**20, 2**20)]),
    ("Resize", {}, [floats(1, 1, 2, 2), None, np.array([1, 1, 1e9, 1e9], np.float32)]),
    ("Pad", {}, [floats(3), ints(2**40, 2**40)]),
    ("Pad", {}, [floats(3), ints(MOST, MOST)]),
]

LOW8, LOW32 = ints(-128, dtype=np.int8), ints(-2**31, dtype=np.int32)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30], np.float32)
NP_TYPES = onnx.mapping.NP_TYPE_TO_TENSOR_TYPE


def saturated(dtype):
    """A cast of SPECIAL to these integers: NaN is 0, all else the nearest there is."""
    most, least = np.iinfo(dtype).max, np.iinfo(dtype).min
    return ("Cast", {"to": NP_TYPES[np.dtype(dtype)]}, [SPECIAL],
            np.array([0, most, least, most, least], dtype))


# Op, attributes, inputs, the result.
DEFINED = [
    # What two's complement gives; by zero, zero.
    ("Div", {}, [LOW8, ints(-1, dtype=np.int8)], LOW8),
    ("Div", {}, [LOW32, ints(-1, dtype=np.int32)], LOW32),
    ("Div", {}, [ints(LEAST), ints(-1)], ints(LEAST)),
    ("Div", {}, [ints(7, -7, 0), ints(0, 0, 0)], ints(0, 0, 0)),
    ("Div", {}, [ints(7, dtype=np.uint8), ints(0, dtype=np.uint8)], ints(0, dtype=np.uint8)),
    ("Mod", {}, [LOW32, ints(-1, dtype=np.int32)], ints(0, dtype=np.int32)),
    ("Mod", {}, [ints(LEAST), ints(-1)], ints(0)),
    ("Mod", {"fmod": 1}, [ints(LEAST), ints(-1)], ints(0)),
    ("Mod", {}, [ints(7), ints(0)], ints(0)),
    ("Abs", {}, [ints(LEAST)], ints(LEAST)),
    ("Neg", {}, [LOW32], LOW32),
    # All bits are shifted out.
    ("BitShift", {"direction": "LEFT"}, [ints(1, 3, dtype=np.uint8), ints(8, 255, dtype=np.uint8)],
     ints(0, 0, dtype=np.uint8)),
    ("BitShift", {"direction": "RIGHT"}, [ints(255, dtype=np.uint32), ints(32, dtype=np.uint32)],
     ints(0, dtype=np.uint32)),
    ("BitShift", {"direction": "LEFT"}, [ints(1, dtype=np.uint64), ints(64, dtype=np.uint64)],
     ints(0, dtype=np.uint64)),
    # No classes, no elements.
    ("OneHot", {}, [ints(0, 1), ints(-1), floats(2)], np.zeros((2, 0), np.float32)),
    *map(saturated, (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64,
                     np.uint64)),
]


def endless_loop():
    """y = x + x + ..., without a trip count or an end."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Add", ["v", "x"], ["w"])],
        "body", [value("i", [], TensorProto.INT64), value("c", [], TensorProto.BOOL),
                 value("v", [2])], [value("d", [], TensorProto.BOOL), value("w", [2])])
    node = helper.make_node("Loop", ["", "", "x"], ["y"], "culprit", body=body)
    return make_model([node], [value("x", [2])], [value("y", [2])])


class Faults(CliTest):
    def node_model(self, row, known):
        """A model of the node, and the arguments with its inputs; all inputs but the first
        are constants if `known`."""
        op, attributes, inputs = row[:3]
        names = [f"x{i}" if array is not None else "" for i, array in enumerate(inputs)]
        outputs = ["y", "indices"] if op == "TopK" else ["y"]
        ports, weights, arguments = [], [], []
        for i, (name, array) in enumerate(zip(names, inputs)):
            if array is None:
                continue
            if known and i > 0:
                weights.append(numpy_helper.from_array(array, name))
                continue
            shape = [None] * array.ndim if known else array.shape
            ports.append(value(name, shape, NP_TYPES[array.dtype]))
            arguments += ["--input", f"{name}={self.save(f'{name}.npy', array).name}"]
        node = helper.make_node(op, names, outputs, "culprit", **attributes)
        results = [onnx.ValueInfoProto(name=name) for name in outputs]
        onnx.save(make_model([node], ports, results, weights), str(self.folder / "node.onnx"))
        return arguments

    def for_each_run(self, rows, check):
        """Calls check(row, known, arguments) for a run of each row in each way."""
        for row in rows:
            for known in (False, True) if len(row[2]) > 1 else (False,):
                arguments = self.node_model(row, known)
                for backend in BACKENDS:
                    with self.subTest(row=row, known=known, backend=backend):
                        check(row, known, ["run", "node.onnx", *arguments, "--threads=1",
                                           "--backend", backend])

    def test_faults(self):
        def check(row, known, run):
            # A tensor of a negative size is one that cannot be, for whoever allocates it.
            exits = (INVALID_INPUT, LIMIT) + ((INVALID_MODEL,) if known else ())
            self.fails(exits, *run, says=["'culprit'", row[3]])
        self.for_each_run(FAULTS, check)

    def test_too_much_memory(self):
        def check(_, known, run):
            # Some sizes are no numbers of bytes at all.
            exits = (LIMIT, INVALID_INPUT) + ((INVALID_MODEL,) if known else ())
            self.fails(exits, *run, says="'culprit'")
        self.for_each_run(TOO_MUCH, check)

    def test_defined_results(self):
        def check(row, _, run):
            self.quern(*run, "--output", "y=y.npy")
            found = np.load(self.folder / "y.npy")
            self.assertEqual(found.dtype, row[3].dtype)
            np.testing.assert_array_equal(found, row[3])
        self.for_each_run(DEFINED, check)

    def test_loops_without_end(self):
        onnx.save(endless_loop(), str(self.folder / "loop.onnx"))
        for backend in BACKENDS:
            self.fails(LIMIT, "run", "loop.onnx", "--input=zeros", "--threads=1", "--timeout=2s",
                       "--backend", backend, says=["'culprit'", "time limit of 2s exceeded"])


if __name__ == "__main__":
    unittest.main()
