"""Transforms of signals, and parts of complex numbers."""
import numpy as np

from .model import case


def complex_numbers(model, draw):
    shape = draw.dims(draw.one(1, 2, 3))
    large = np.float32(draw.one(1, 1, 1e25))
    return model.input((draw.real(shape) + 1j * draw.real(shape)).astype(np.complex64) * large), shape


@case("RFFT2D")
def transform(model, draw, name):
    """Cut off, or with zeros behind. LiteRT has lengths that are powers of two; others are
    computed by NumPy."""
    shape = draw.dims(draw.one(2, 2, 3, 4), 9)
    lengths = [draw.one(1, 2, 4, 8, 16) for _ in range(2)]
    if draw.one(0, 0, 1):
        lengths = draw.dims(2, 13)
    x = draw.real(shape)
    output = model.tensor([*shape[:-2], lengths[0], lengths[1] // 2 + 1], np.complex64)
    model.op(name, [model.input(x), model.constant(lengths)], [output])
    # Of one column LiteRT's results are wrong.
    if any(n & (n - 1) for n in lengths) or lengths[1] == 1:
        wide = x.astype(np.float64)
        model.known = {f"t{output}": np.fft.rfft2(wide, lengths).astype(np.complex64)}


@case("REAL", "IMAG", "COMPLEX_ABS")
def parts(model, draw, name):
    x, shape = complex_numbers(model, draw)
    model.op(name, [x], [model.tensor(shape, np.float32)])


@case("complex RESHAPE")
def moved(model, draw, name):
    """What only moves takes complex numbers, too."""
    x, shape = complex_numbers(model, draw)
    model.op("RESHAPE", [x, model.constant([-1])], [model.tensor([int(np.prod(shape))], np.complex64)])
