"""Handlers of signals are called during runs and compilations, not after them."""
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import quern
from models import long_loop, many_kernels, mlp

X = np.zeros(64, "f4")


class Alarm(Exception):
    pass


def raise_alarm(*_):
    raise Alarm


@pytest.mark.parametrize("backend", ["native", "interpreter"])
def test_what_a_handler_raises_ends_a_run(backend):
    model = quern.compile(long_loop(), backend=backend)
    # A handler that is set after the model was made.
    signal.signal(signal.SIGALRM, raise_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(Alarm):
        model(X)
    with pytest.raises(quern.InvalidInputError):
        model(X[1:])


def test_a_run_goes_on_after_handlers():
    """They are called while it runs, in the floating-point mode of Python, and may run models."""
    model, other = quern.compile(long_loop(trips=100_000)), quern.compile(mlp())
    seen = []

    def handle(*_):
        other(np.ones((2, 10), "f4"))
        seen.append((time.monotonic(), float(np.float32(1e-40) * np.float32(1))))

    wanted = model(X + 1)
    signal.signal(signal.SIGALRM, handle)
    for trips in (300_000, 3_000_000, 30_000_000):
        model = quern.compile(long_loop(trips=trips))
        seen.clear()
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        began = time.monotonic()
        found = model(X + 1)
        ended = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0)
        if ended - began > 0.3:
            break
    during = [at for at, _ in seen if began < at < ended - 0.02]
    assert len(during) >= 3
    assert all(tiny > 0 for _, tiny in seen)
    assert np.isfinite(found).all() and found.shape == wanted.shape


def test_a_handler_may_run_the_model_that_it_interrupts():
    model = quern.compile(long_loop())
    stop = quern.Cancellation()
    nested = []

    def handle(*_):
        with pytest.raises(quern.ResourceLimitError):
            model.run(None, [X], timeout=0.05)
        nested.append(True)
        if len(nested) == 2:
            signal.setitimer(signal.ITIMER_REAL, 0)
            stop.cancel()

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    with pytest.raises(quern.CancelledError):
        model.run(None, [X], cancellation=stop)
    assert len(nested) >= 2


def test_handlers_during_a_compilation():
    signal.signal(signal.SIGALRM, raise_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(Alarm):
        while True:
            quern.compile(many_kernels())
    quern.compile(mlp())


def test_interrupts_where_another_handler_was_set_since():
    """As asyncio.run does."""
    model = quern.compile(long_loop())
    signal.signal(signal.SIGINT, raise_alarm)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(Alarm):
        model(X)
    timer.join()


PROGRAM = '''
import os, signal, sys, time
import numpy as np
import quern

model = quern.compile(sys.argv[1])
child = os.fork()
if child == 0:
    signal.signal(signal.SIGALRM, lambda *_: os._exit(42))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    model.run(None, [np.zeros(64, "f4")], timeout=30)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
'''


def test_handlers_in_a_child_process(tmp_path):
    (tmp_path / "m.onnx").write_bytes(long_loop().SerializeToString())
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path / "m.onnx"],
                          capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "42", done.stderr


IGNORING = '''
import signal, sys
import numpy as np
import quern

def end(*_):
    print("ended"); sys.exit(3)

signal.signal(signal.SIGTERM, end)
model = quern.compile(sys.argv[1])
print("runs", flush=True)
model(np.zeros(64, "f4"))
'''


def test_handlers_where_ctrl_c_is_ignored(tmp_path):
    """As of what a shell starts in the background."""
    (tmp_path / "m.onnx").write_bytes(long_loop().SerializeToString())
    process = subprocess.Popen(
        [sys.executable, "-c", IGNORING, tmp_path / "m.onnx"], stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert process.stdout.readline() == "runs\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.terminate()
    try:
        assert process.communicate(timeout=60)[0] == "ended\n" and process.returncode == 3
    finally:
        process.kill()
