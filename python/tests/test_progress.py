"""Long work: what it is at, and how it ends."""
import logging
import os
import signal
import threading
import time

import pytest

import quern
from models import many_kernels, mlp

# On a busy machine; a kernel or a pass is never cut, and takes some ten milliseconds.
SOON = 5


def interrupt_after(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_progress():
    heard = []
    quern.compile(mlp(batch=1), progress=heard.append)
    assert heard[0] == "reading the model" and "compiling" in heard
    assert all(a != b for a, b in zip(heard, heard[1:]))


def test_what_progress_raises_ends_the_work(tmp_path):
    class Enough(Exception):
        pass

    def stop_at(wanted):
        def progress(doing):
            if doing.startswith(wanted):
                raise Enough(doing)
        return progress

    for wanted in ("importing", "optimising", "lowering", "packing", "compiling"):
        with pytest.raises(Enough, match=wanted):
            quern.compile(mlp(batch=1), progress=stop_at(wanted))
    with pytest.raises(Enough, match="writing"):
        quern.aot(mlp(batch=1), tmp_path / "m.so", progress=stop_at("writing"))
    assert not list(tmp_path.iterdir())


def test_progress_in_the_log(caplog):
    with caplog.at_level(logging.DEBUG, "quern"):
        quern.compile(mlp(batch=1))
    assert "s: optimising the graph" in caplog.text


@pytest.mark.parametrize("after", [0.05, 0.2, 0.4])
def test_interrupt_ends_a_compilation(tmp_path, after):
    model = many_kernels()
    for work in (lambda: quern.compile(model),
                 lambda: quern.aot(model, tmp_path / "m.so", header=tmp_path / "m.h")):
        timer = interrupt_after(after)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            while True:
                work()
        assert time.monotonic() - began < after + SOON
        timer.join()
    assert {path.name for path in tmp_path.iterdir()} <= {"m.so", "m.h"}
    # The process goes on.
    quern.compile(mlp())


def test_interrupt_ends_the_compilation_of_a_first_run():
    import numpy as np

    proto = many_kernels()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "N"
    model = quern.compile(proto)
    began = time.monotonic()
    timer = interrupt_after(0.1)
    with pytest.raises(KeyboardInterrupt):
        model(np.zeros((3, 16), "f4"))
    assert time.monotonic() - began < SOON
    timer.join()
    assert model(np.zeros((3, 16), "f4")).shape == (3, 16)


def test_a_handler_of_ones_own_goes_on():
    calls = []
    before = signal.signal(signal.SIGINT, lambda *_: calls.append(time.monotonic()))
    try:
        timer = interrupt_after(0.1)
        quern.compile(many_kernels())
        timer.join()
        time.sleep(0.01)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(calls) == 1


def nested_work():
    model = quern.compile(mlp())

    def run():
        import numpy as np

        assert model(np.ones((1, 10), "f4")).shape == (1, 2)

    def fail():
        with pytest.raises(quern.ResourceLimitError):
            quern.compile(mlp(), timeout=1e-9)

    def compile_with_its_own():
        heard = []
        quern.compile(mlp(batch=1), progress=heard.append)
        assert heard[0] == "reading the model" and "compiling" in heard

    return [lambda: quern.compile(mlp()), compile_with_its_own, run, fail]


@pytest.mark.parametrize("kind", range(4))
def test_what_progress_does_itself_is_its_own(kind):
    work = nested_work()[kind]
    heard, depth = [], [0]

    def progress(doing):
        assert depth[0] == 0, "told of its own work"
        depth[0] += 1
        heard.append(doing)
        work()
        depth[0] -= 1

    quern.compile(mlp(batch=1), progress=progress)
    assert heard[0] == "reading the model" and "compiling" in heard


def test_what_a_log_handler_does_itself_is_its_own():
    depth, heard = [0], []

    class Handler(logging.Handler):
        def emit(self, record):
            if depth[0]:
                return
            depth[0] += 1
            heard.append(record.getMessage())
            quern.compile(mlp())
            depth[0] -= 1

    log, handler = logging.getLogger("quern"), Handler()
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        quern.compile(mlp(batch=1))
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
    assert any("compiling" in message for message in heard)


def test_an_interrupt_of_nested_work_ends_all():
    def progress(_):
        while True:
            quern.compile(many_kernels())

    timer = interrupt_after(0.2)
    with pytest.raises(KeyboardInterrupt):
        quern.compile(mlp(), progress=progress)
    timer.join()
