"""Recurrent ops."""
import numpy as np

from .model import case, options, result


class Cells:
    """What recurrent ops are made of."""

    def __init__(self, model, draw, features, hidden, size):
        self.model, self.draw = model, draw
        self.features, self.hidden, self.size = features, hidden, size

    def real(self, shape, low=-1.0, high=1.0):
        return self.model.constant(self.draw.real(shape, low, high), np.float32)

    def matrices(self, couples, columns):
        return [-1 if couples and gate == 0 else self.real([self.hidden, columns])
                for gate in range(4)]

    def vectors(self, couples, count=4, some=True, low=-1.0):
        return [-1 if not some or (couples and gate == 0) else self.real([self.hidden], low)
                for gate in range(count)]

    def lstm(self, couples, peepholes, projects, biased):
        """Inputs 1 to 17."""
        projection = [self.real([self.size, self.hidden]) if projects else -1,
                      self.real([self.size]) if projects and biased else -1]
        return [*self.matrices(couples, self.features), *self.matrices(couples, self.size),
                *self.vectors(couples, 3, peepholes), *self.vectors(couples), *projection]


@case("UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM")
def lstm(model, draw, name):
    steps, batch, features, hidden = draw.dims(4, 6)
    couples, peepholes, projects, biased, time_major, merges = (
        bool(draw.one(0, 1)) for _ in range(6))
    # With batches first, the kernel's merged results differ from run to run.
    merges = merges and time_major
    size = draw.one(1, 3, 5) if projects else hidden
    cells = Cells(model, draw, features, hidden, size)
    first = [steps, batch] if time_major else [batch, steps]
    fields = {"fusedActivationFunction": draw.one(4, 4, 1, 3), "timeMajor": time_major,
              "cellClip": draw.one(0.0, 10.0, 0.4), "projClip": draw.one(0.0, 0.3)}
    x = model.input(draw.real([*first, features]))
    one = lambda: cells.lstm(couples, peepholes, projects, biased)
    states = lambda: [model.variable([batch, size]), model.variable([batch, hidden])]
    if name.startswith("UNI"):
        normed = bool(draw.one(0, 0, 1))
        norms = cells.vectors(couples, some=normed, low=0.2)
        return model.op(name, [x, *one(), *states(), *norms],
                        [result(model, draw, [*first, size], np.float32)],
                        options("UnidirectionalSequenceLSTMOptions", **fields))
    inputs = [x, *one(), *one(), *states(), *states()]
    second = draw.one("none", "none", "own", "crossing")
    inputs.append(-1 if second == "none" else model.input(draw.real([*first, features])))
    for _ in range(2):
        inputs += cells.matrices(couples, features) if second == "crossing" else [-1] * 4
    outs = ([[*first, 2 * size]] if merges else [[*first, size]] * 2)
    model.op(name, inputs, [result(model, draw, out, np.float32) for out in outs],
             options("BidirectionalSequenceLSTMOptions", mergeOutputs=merges, **fields))


@case("UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN")
def simple_recurrent(model, draw, name):
    steps, batch, features, hidden = draw.dims(4, 6)
    time_major, merges = bool(draw.one(0, 1)), bool(draw.one(0, 1))
    cells = Cells(model, draw, features, hidden, hidden)
    first = [steps, batch] if time_major else [batch, steps]
    x = model.input(draw.real([*first, features]))
    one = lambda: [cells.real([hidden, features]), cells.real([hidden, hidden]),
                   cells.real([hidden]), model.variable([batch, hidden])]
    fields = {"fusedActivationFunction": draw.one(0, 1, 3, 4), "timeMajor": time_major}
    if name.startswith("UNI"):
        return model.op(name, [x, *one()], [result(model, draw, [*first, hidden], np.float32)],
                        options("SequenceRNNOptions", **fields))
    second = draw.one("none", "none", "own" if time_major else "none", "crossing")
    inputs = [x, *one(), *one(),
              -1 if second == "none" else model.input(draw.real([*first, features]))]
    inputs += [cells.real([hidden, features]) if second == "crossing" else -1 for _ in range(2)]
    outs = ([[*first, 2 * hidden]] if merges else [[*first, hidden]] * 2)
    model.op(name, inputs, [result(model, draw, out, np.float32) for out in outs],
             options("BidirectionalSequenceRNNOptions", mergeOutputs=merges, **fields))
