"""Exceptions by kind; Ctrl-C; threads."""
import concurrent.futures
import os
import signal
import threading
import time

import numpy as np
import pytest

import quern
from models import TensorProto, helper, long_loop, make_model, mlp, relu


def test_kinds(tmp_path):
    with pytest.raises(quern.FileError, match="cannot open"):
        quern.compile(tmp_path / "missing.onnx")
    with pytest.raises(quern.InvalidModelError):
        quern.compile(b"no model")
    unknown = make_model([helper.make_node("Frobnicate", ["x"], ["y"], name="f")],
                         [("x", TensorProto.FLOAT, [1])], [("y", TensorProto.FLOAT, [1])])
    with pytest.raises(quern.UnsupportedError, match="Frobnicate"):
        quern.compile(unknown)
    with pytest.raises(quern.UsageError, match="there is no backend 'cuda'"):
        quern.compile(relu(), backend="cuda")
    with pytest.raises(quern.UsageError):
        quern.compile(relu(), threads=-1)
    with pytest.raises(quern.UsageError, match="unknown target CPU 'no-such-cpu'"):
        quern.compile(relu(), target_cpu="no-such-cpu")
    with pytest.raises(quern.ResourceLimitError):
        quern.compile(mlp(hidden=5000), memory_limit=100)(np.zeros((1000, 10), "f4"))
    with pytest.raises(quern.ResourceLimitError, match="time limit"):
        quern.compile(mlp(), timeout=1e-9)


def test_all_are_quern_errors_and_pythons_own():
    assert issubclass(quern.InvalidInputError, (quern.QuernError, ValueError))
    assert issubclass(quern.FileError, OSError)
    kinds = [quern.InternalError, quern.UsageError, quern.InvalidModelError,
             quern.UnsupportedError, quern.AccuracyError, quern.TooSlowError,
             quern.IncompatibleError, quern.InvalidInputError, quern.ResourceLimitError, quern.FileError]
    assert all(issubclass(kind, quern.QuernError) for kind in kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert {kind.__name__ for kind in kinds} | {"QuernError", "CancelledError"} == {
        name for name in quern.__all__ if name.endswith("Error")}


@pytest.mark.parametrize("backend", ["native", "interpreter"])
def test_interrupt_ends_a_run(backend):
    model = quern.compile(long_loop(), backend=backend)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        model(np.zeros(64, "f4"))
    assert time.monotonic() - began < 30
    # And the model can be used again.
    with pytest.raises(quern.InvalidInputError):
        model(np.zeros(63, "f4"))


def test_cancellation_ends_runs_of_all_threads():
    model = quern.compile(long_loop(), threads=1)
    cancellation = quern.Cancellation()
    ended = []

    def run():
        with pytest.raises(quern.CancelledError, match="the run was cancelled"):
            model.run(None, [np.zeros(64, "f4")], cancellation=cancellation)
        ended.append(True)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    assert not ended
    cancellation.cancel()
    for thread in threads:
        thread.join(timeout=30)
    assert len(ended) == 3
    with pytest.raises(quern.CancelledError):
        model.run(None, [np.zeros(64, "f4")], cancellation=cancellation)
    # It counts for the runs that were given it, and until it is withdrawn.
    other = quern.compile(relu())
    other(np.zeros((1, 3), "f4"))
    cancellation.reset()
    assert other.run(None, [np.ones((1, 3), "f4")], cancellation=cancellation)[0].sum() == 3
    assert other.run_into([np.ones((1, 3), "f4")], [None], cancellation)[0].sum() == 3


def test_time_limit_of_a_run():
    model = quern.compile(long_loop())
    with pytest.raises(quern.ResourceLimitError, match="time limit of 100ms"):
        model.run(None, [np.zeros(64, "f4")], timeout=0.1)
    with pytest.raises(quern.UsageError, match="a time limit is"):
        model.run(None, [np.zeros(64, "f4")], timeout=-1)


def test_threads_share_a_model():
    model = quern.compile(mlp(), threads=1)
    inputs = [np.random.default_rng(i).normal(size=(1 + i % 5, 10)).astype("f4")
              for i in range(8)]
    wanted = [model(x) for x in inputs]

    def work(i):
        for _ in range(500):
            if not np.array_equal(model(inputs[i]), wanted[i]):
                return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_threads_that_share_a_model_need_no_more_memory_with_time():
    """Eight threads, 100,000 calls of all kinds: the same bits, and not a megabyte more."""
    model = quern.compile(mlp(), threads=1)
    inputs = [np.random.default_rng(i).normal(size=(1 + i % 3, 10)).astype("f4") for i in range(8)]
    wanted = [model(x).tobytes() for x in inputs]

    def work(i, calls):
        x, y, right = inputs[i], np.empty((1 + i % 3, 2), "f4"), True
        for k in range(calls):
            if k % 3 == 0:
                found = model(x)
            elif k % 3 == 1:
                found = model.run(None, {"x": x})[0]
            else:
                found = model.run_into([x], [y])[0]
            right &= found.tobytes() == wanted[i]
        return right

    def together(calls):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return all(pool.map(work, range(8), [calls // 8] * 8))

    assert together(10_000)
    before = resident_bytes()
    assert all(together(10_000) for _ in range(9))
    assert resident_bytes() - before < 1 << 20


def test_threads_that_come_and_go_leave_nothing_behind():
    model = quern.compile(mlp(), threads=2)
    x = np.ones((4, 10), "f4")

    def come_and_go(count):
        for _ in range(count):
            thread = threading.Thread(target=model, args=(x,))
            thread.start()
            thread.join()

    come_and_go(50)
    before = resident_bytes()
    come_and_go(1000)
    assert resident_bytes() - before < 1 << 20


def test_the_gil_is_released():
    model = quern.compile(long_loop(trips=300_000), threads=1)
    running = threading.Event()

    def run():
        running.set()
        model(np.zeros(64, "f4"))

    thread = threading.Thread(target=run)
    thread.start()
    running.wait()
    steps = 0
    while thread.is_alive():
        steps += 1
    assert steps > 100
