"""A network in PyTorch, compiled by Quern through torch.compile.

    python3 classify.py [--no-times]

Trains a small convolutional network for a moment on drawn shapes, then classifies batches of
several sizes by torch alone and by torch.compile(backend="quern").
"""
import argparse
import logging
import statistics
import time

import torch
from torch import nn

SHAPES = ("square", "cross", "stripes")


def draw(count, generator):
    """Noisy pictures of 16x16, and which shape each shows."""
    kinds = torch.randint(len(SHAPES), (count,), generator=generator)
    pictures = torch.zeros(count, 1, 16, 16)
    pictures[kinds == 0, :, 4:12, 4:12] = 1
    pictures[kinds == 1, :, 7:9, :] = 1
    pictures[kinds == 1, :, :, 7:9] = 1
    pictures[kinds == 2, :, ::4, :] = 1
    return pictures + 0.3 * torch.randn(pictures.shape, generator=generator), kinds


def train(generator):
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(32, len(SHAPES)))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        pictures, kinds = draw(64, generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(pictures), kinds).backward()
        optimizer.step()
    return net.eval()


def milliseconds(function, pictures):
    times = []
    for _ in range(30):
        began = time.perf_counter()
        function(pictures)
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-times", action="store_true", help="say what is the same everywhere")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    net = train(generator)
    compiled = torch.compile(net, backend="quern")
    with torch.no_grad():
        for count in (1, 8, 8, 20, 33):
            pictures, kinds = draw(count, generator)
            wanted, found = net(pictures), compiled(pictures)
            same = torch.allclose(wanted, found, rtol=1e-3, atol=1e-4)
            right = (found.argmax(1) == kinds).sum().item()
            print(f"{count} pictures: {right} right, {'same' if same else 'OTHER'} answers")
            if not arguments.no_times:
                print(f"  torch {milliseconds(net, pictures):.2f} ms, "
                      f"quern {milliseconds(compiled, pictures):.2f} ms")


if __name__ == "__main__":
    main()
