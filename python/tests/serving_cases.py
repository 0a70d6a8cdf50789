"""What tests of quern.serving share: folders of models, requests."""
import json
import random
import threading
import time

import numpy as np
import pytest

from models import long_loop, mlp
from quern.serving import Service


def put(folder, name, version, model, **settings):
    """As files should be put there: whole, by a change of name."""
    place = folder / name / f".{version}"
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(model.SerializeToString())
    if settings:
        (folder / name / "settings.json").write_text(json.dumps(settings))
    place.rename(place.with_name(str(version)))


@pytest.fixture
def folder(tmp_path):
    put(tmp_path, "mlp", 1, mlp())
    return tmp_path


def serve(folder, **options):
    options.setdefault("poll_seconds", 0)
    return Service(folder, **options)


def rows(count, width=10, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width)).astype("f4")


def run_threads(count, work):
    failures = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def wait_until(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def slow(folder, **settings):
    """A model of one run at a time that takes minutes, unless it is cancelled."""
    put(folder, "slow", 1, long_loop(), batching="off", **settings)


def hostile_requests(count):
    """Bodies that break one rule each, or several: (body, header length)."""
    draw = random.Random(1)
    good = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 10], "data": [0.5] * 10}]}
    odd = [None, -1, 2**70, 1e300, True, "x", "", [], {}, [[]], [None], [-1], [2**40, 2**40], [1] * 99,
           "FP33", "\ud800", {"binary_data_size": 2**50}, {"binary_data_size": "8"}, [[1], 2]]

    def damaged(value, depth=0):
        if depth and draw.random() < 0.25:
            return draw.choice(odd)
        if isinstance(value, dict):
            kept = {key: damaged(item, depth + 1) for key, item in value.items()
                    if draw.random() > 0.1}
            if draw.random() < 0.2:
                kept[draw.choice(["parameters", "outputs", "id", "name"])] = draw.choice(odd)
            return kept
        if isinstance(value, list):
            return [damaged(item, depth + 1) for item in value] * draw.choice([1, 1, 1, 0, 2])
        return value
    for i in range(count):
        kind = i % 4
        text = json.dumps(damaged(good)).encode()
        if kind == 1:
            text = bytes(draw.randrange(256) for _ in range(draw.randrange(200)))
        elif kind == 2:
            text = text[:draw.randrange(len(text) + 1)] + b"[" * draw.randrange(5000)
        yield text, draw.choice([None, None, str(len(text)), "9999999", "-3", "x", "\u0663"])
