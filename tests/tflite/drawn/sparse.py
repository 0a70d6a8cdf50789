"""Constants of which most elements are left out."""
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .model import case, options

VECTORS = (("Int32Vector", np.int32), ("Uint16Vector", np.uint16), ("Uint8Vector", np.uint8))


def indices(level, field, numbers, kind, dtype):
    vector = options(kind, values=np.array(numbers, dtype))
    setattr(level, field, vector)
    setattr(level, field + "Type", getattr(schema.SparseIndexVector, kind))


def sparse_level(draw, nodes, is_dense):
    """A level that chooses along the first dimension of each array of `nodes`, and what is below."""
    size = nodes[0].shape[0]
    level = options("DimensionMetadata", format=int(not is_dense), denseSize=size)
    if is_dense:
        return level, [node[i] for node in nodes for i in range(size)]
    segments, chosen, below = [0], [], []
    for node in nodes:
        for i in range(size):
            if node[i].any():
                chosen.append(i)
                below.append(node[i])
        segments.append(len(chosen))
    kind = VECTORS[draw.random.randint(len(VECTORS))]
    level.denseSize = 0
    indices(level, "arraySegments", segments, *kind)
    indices(level, "arrayIndices", chosen, *kind)
    return level, below


def sparse(model, draw, dense, blocks):
    """`dense` as a constant; `blocks`: pairs of a dimension and how many neighbours go together."""
    rank = dense.ndim
    expanded, parts = dense, []
    for dimension, size in blocks:
        shape = expanded.shape
        expanded = expanded.reshape(*shape[:dimension], shape[dimension] // size, size,
                                    *shape[dimension + 1:])
        expanded = np.moveaxis(expanded, dimension + 1, -1)
        parts.append(rank + len(parts))
    order = [*draw.random.permutation(rank).tolist(), *parts]
    nodes, levels = [expanded.transpose(order)], []
    for number in order:
        if not nodes:
            return None
        level, nodes = sparse_level(draw, nodes, number >= rank or draw.one(True, False))
        levels.append(level)
    if not nodes:
        return None
    number = model.tensor(dense.shape, dense.dtype, data=np.array(nodes, dense.dtype))
    model.tensors[number].sparsity = options(
        "SparsityParameters", traversalOrder=order, blockMap=[d for d, _ in blocks],
        dimMetadata=levels)
    return number


@case("DENSIFY")
def densify(model, draw, name):
    blocks = draw.one([], [(0, 2)], [(1, 4)], [(0, 2), (1, 2)])
    shape = [2 * draw.one(1, 3), 4 * draw.one(1, 2), *draw.dims(draw.one(0, 1, 2))]
    dense = draw.real(shape) * (draw.random.rand(*shape) < 0.3)
    number = sparse(model, draw, dense.astype(np.float32), blocks)
    if number is None:
        return
    made = model.tensor(shape, np.float32)
    model.op(name, [number], [made], options("DensifyOptions"))
    model.outputs.remove(made)  # LiteRT renames it
    model.op("ADD", [model.input(draw.real(shape)), made], [model.tensor(shape, np.float32)],
             options("AddOptions"))
