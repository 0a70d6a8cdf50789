"""Cases of each op, drawn: `model.CASES` has what makes one, by the op's name."""
from . import boxes, custom, elementwise, moves, places, recurrent, signals, sparse, windows  # noqa: F401
from .model import CASES, QUANTIZED, Draw, Model  # noqa: F401
