"""Replaces the constant weights of a light model by random ones.

    tests/oracle/randomize_weights.py IN.onnx OUT.onnx --seed S

The light models make their float weights with ConstantOfShape nodes, which makes the
numbers degenerate and lets a compiler cheat. Here every such node becomes an initializer,
by what the weight is used for: He-scaled normal for Conv and Gemm; a scale about 1, a
small bias and mean and a positive variance for BatchNormalization and for the Mul and Add
that follow it; a small bias otherwise. Integer constants (shapes) are kept.

With random weights a final Softmax saturates, so its input becomes a graph output as well.
"""
import argparse

import numpy as np
import onnx
from onnx import numpy_helper

# The role of an operand by its op and position; other positions are data.
ROLES = {
    "Conv": {1: "weight", 2: "bias"},
    "Gemm": {1: "weight", 2: "bias"},
    "BatchNormalization": {1: "scale", 2: "bias", 3: "bias", 4: "scale"},
    "Mul": {1: "scale"},
    "Add": {1: "bias"},
}
# A weight reaches its use through these unchanged.
PASS_THROUGH = {"Unsqueeze", "Reshape", "Identity"}


def roles(graph):
    """{tensor name: role}, followed back through the nodes that only reshape."""
    found = {}
    for node in reversed(graph.node):
        if node.op_type in PASS_THROUGH and node.output[0] in found:
            found[node.input[0]] = found[node.output[0]]
        for position, role in ROLES.get(node.op_type, {}).items():
            if position < len(node.input):
                found[node.input[position]] = role
    return found


def random_weight(rng, role, shape):
    if role == "weight":
        # Both Conv weights and the transposed Gemm weights have the outputs first.
        fan_in = np.prod(shape[1:])
        return rng.normal(0, np.sqrt(2 / fan_in), shape)
    if role == "scale":
        return rng.uniform(0.8, 1.2, shape)
    return rng.normal(0, 0.05, shape)


def randomize(model, seed):
    """Changes the model in place."""
    graph = model.graph
    rng = np.random.default_rng(seed)
    role_of = roles(graph)
    constants = {t.name: t for t in graph.initializer}
    kept = []
    for node in graph.node:
        value = next((numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"),
                     np.zeros(1, np.float32))
        if node.op_type != "ConstantOfShape" or value.dtype != np.float32:
            kept.append(node)
            continue
        shape = numpy_helper.to_array(constants[node.input[0]])
        weight = random_weight(rng, role_of.get(node.output[0]), shape).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    drop_unused_shapes(graph)
    add_logits_output(graph)
    # An initializer had to be listed as an input before IR version 4.
    model.ir_version = max(model.ir_version, 4)


def add_logits_output(graph):
    last = graph.node[-1]
    if last.op_type == "Softmax":
        logits = graph.output.add()
        logits.CopyFrom(graph.output[0])
        logits.name = last.input[0]


def drop_unused_shapes(graph):
    """Removes the shape operands of the nodes that are gone."""
    used = {name for node in graph.node for name in node.input}
    made = {name for node in graph.node for name in node.output}
    for field in (graph.initializer, graph.input):
        left = [v for v in field if v.name in used | made]
        del field[:]
        field.extend(left)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = onnx.load(args.input)
    randomize(model, args.seed)
    onnx.save(model, args.output)


if __name__ == "__main__":
    main()
