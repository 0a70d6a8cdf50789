"""Recurrent networks, and programs with loops, branches and lists, as torch.jit.script writes them."""

from typing import List

import torch
from torch import Tensor, nn


class Tagger(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.rnn = getattr(nn, kind)(12, 16, batch_first=True, **options)

    def forward(self, x, *state):
        out = self.rnn(x, state if len(state) > 1 else state[0]) if state else self.rnn(x)
        return (out[0], *(out[1] if isinstance(out[1], tuple) else (out[1],)))


class Packed(nn.Module):
    """Sequences of different lengths."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(12, 16, batch_first=True, bidirectional=True)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=True)
        out, (h, c) = self.rnn(packed)
        return nn.utils.rnn.pad_packed_sequence(out, batch_first=True)[0], h, c


class Decoder(nn.Module):
    """Takes the best word again and again, as long as it is not the last one."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.mix = nn.Linear(32, 16)
        self.head = nn.Linear(16, 20)

    def forward(self, start: Tensor, limit: Tensor):
        state = torch.zeros(start.size(0), 16)
        word = start
        words: List[Tensor] = []
        for _ in range(int(limit)):
            state = torch.tanh(self.mix(torch.cat([self.embed(word), state], 1)))
            word = self.head(state).argmax(1)
            words.append(word)
            if bool((word == 7).all()):
                break
        return torch.stack(words, 1), state


class Branches(nn.Module):
    def forward(self, x: Tensor, y: Tensor):
        if x.sum() > 0:
            z = x.unsqueeze(0) * y
            if x.size(0) > 3:
                z = z + 1
        else:
            z = x - y
        count = 0
        while bool(z.abs().max() > 1) and count < 20:
            z = z / 2
            count += 1
        return z, torch.tensor(count)


class Rows(nn.Module):
    """Lists that are made, read, and put together."""

    def forward(self, x: Tensor):
        parts = torch.split(x, 2, dim=0)
        kept: List[Tensor] = []
        for part in parts:
            kept.append(part.mean(0))
        total = torch.zeros(x.size(1))
        for i in range(x.size(0)):
            total = torch.maximum(total, x[i] * float(i))
        return torch.stack(kept), total, torch.cat(kept)


class Positions(nn.Module):
    """Sizes that depend on data, and writing in place."""

    def forward(self, x: Tensor, mask: Tensor):
        found = torch.nonzero(mask)
        kept = x[mask]
        y = x.clone()
        y[:, 1:3] = 0.5
        y[mask] = -1.0
        values, indices = torch.topk(x, 2, dim=1)
        order = torch.argsort(x, dim=1, descending=True)
        return (
            found,
            kept.sort()[0],
            y,
            values,
            indices,
            order,
            torch.cumsum(x, 1),
            x.tril(1),
            torch.where(mask, x, y),
        )


class Scatters(nn.Module):
    def forward(self, x: Tensor, index: Tensor):
        rows = torch.zeros(5, x.size(1)).index_add(0, index, x)
        grouped = torch.zeros(5, x.size(1)).scatter_reduce(
            0, index.unsqueeze(1).expand_as(x), x, "amax", include_self=True
        )
        edges = torch.bucketize(x, torch.linspace(-1, 1, 5))
        return (
            rows,
            grouped,
            x.gather(1, edges.clamp(max=x.size(1) - 1)),
            torch.nn.functional.one_hot(index, 5),
            edges,
        )


def export(e):
    steps = {"x": {0: "N", 1: "T"}, "y": {0: "N", 1: "T"}}
    x = [{"x": torch.randn(2, 9, 12)}, {"x": torch.randn(1, 1, 12)}, {"x": torch.randn(5, 17, 12)}]
    for name, kind, options, opset, dynamo in (
        ("rnn_lstm_opset11", "LSTM", dict(bidirectional=True, num_layers=2), 11, False),
        ("rnn_gru_opset13", "GRU", dict(bidirectional=True), 13, False),
        ("rnn_tanh", "RNN", dict(num_layers=2), 17, False),
        ("rnn_relu", "RNN", dict(nonlinearity="relu"), 16, False),
    ):
        e.torch(name, lambda: Tagger(kind, **options), x, ["y"], steps, opset, dynamo)
    for name, opset, dynamo in (("rnn_lstm_dynamo", 18, True), ("rnn_gru_dynamo", 21, True)):
        e.torch(name, lambda: Tagger("LSTM" if "lstm" in name else "GRU"), x[0], None, None, opset, dynamo)
    state = {"h": torch.randn(2, 3, 16), "c": torch.randn(2, 3, 16)}
    e.torch(
        "rnn_lstm_state",
        lambda: Tagger("LSTM", bidirectional=True),
        {"x": torch.randn(3, 4, 12), **state},
        ["y"],
    )
    e.torch(
        "rnn_packed",
        Packed,
        [
            {"x": torch.randn(3, 6, 12), "lengths": torch.tensor([6, 4, 1])},
            {"x": torch.randn(2, 6, 12), "lengths": torch.tensor([6, 6])},
        ],
        ["y", "h", "c"],
        {"x": {0: "N", 1: "T"}, "lengths": {0: "N"}},
    )
    e.torch(
        "script_decoder",
        Decoder,
        [{"start": torch.tensor([1, 2, 3]), "limit": torch.tensor(n)} for n in (6, 1, 12)],
        ["words", "state"],
        {"start": {0: "N"}},
        script=True,
    )
    e.torch(
        "script_branches",
        Branches,
        [{"x": torch.randn(5) + s, "y": torch.randn(5)} for s in (5, -5)]
        + [{"x": torch.ones(2), "y": torch.randn(2)}],
        ["z", "count"],
        {"x": {0: "N"}, "y": {0: "N"}},
        script=True,
    )
    e.torch(
        "script_rows",
        Rows,
        [{"x": torch.randn(6, 4)}, {"x": torch.randn(2, 3)}],
        ["kept", "total", "joined"],
        {"x": {0: "N", 1: "M"}},
        script=True,
    )
    for opset in (14, 18):
        e.torch(
            f"positions_opset{opset}",
            Positions,
            [
                {"x": torch.randn(3, 4), "mask": torch.rand(3, 4) > 0.5},
                {"x": torch.randn(6, 5), "mask": torch.rand(6, 5) > 0.2},
            ],
            None,
            {"x": {0: "N", 1: "M"}, "mask": {0: "N", 1: "M"}},
            opset,
        )
    e.torch(
        "scatters",
        Scatters,
        [
            {"x": torch.randn(6, 8), "index": torch.tensor([0, 3, 3, 1, 0, 3])},
            {"x": torch.randn(2, 5), "index": torch.tensor([4, 0])},
        ],
        None,
        {"x": {0: "N", 1: "M"}, "index": {0: "N"}},
        18,
    )
    e.torch(
        "scatters_dynamo",
        Scatters,
        {"x": torch.randn(6, 8), "index": torch.tensor([0, 3, 3, 1, 0, 3])},
        None,
        None,
        20,
        True,
    )
