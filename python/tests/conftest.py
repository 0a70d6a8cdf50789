"""A time limit for every test, whatever it waits for, and the signals that tests count on."""
import faulthandler
import os
import signal
import sys

import pytest

# The longest takes some ten seconds on a machine with nothing else to do.
SECONDS_PER_TEST = int(os.environ.get("QUERN_TEST_SECONDS", "300"))
# What is in the cache of who runs the tests shall not matter.
os.environ["QUERN_KERNEL_CACHE"] = "off"
# pytest captures what sys.stderr writes; this is the terminal's, or the log's.
_STDERR = os.dup(sys.__stderr__.fileno())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Ends the tests, with the stack of all threads, when one does not end: not by a signal, which
    code without the GIL would not see."""
    faulthandler.dump_traceback_later(SECONDS_PER_TEST, exit=True, file=_STDERR)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def signals():
    """As in a program in the foreground: shells ignore Ctrl-C for those in the background."""
    before = {number: signal.signal(number, handler) for number, handler in (
        (signal.SIGINT, signal.default_int_handler), (signal.SIGALRM, signal.SIG_DFL))}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def import_alone(name, other):
    """A framework; skips the file where the other one is loaded: both bring an LLVM whose options
    are one for the process, which TensorFlow 2.21 and PyTorch 2.15 abort over."""
    if other in sys.modules:
        pytest.skip(f"{name} is not loaded beside {other}; run this file alone", allow_module_level=True)
    return pytest.importorskip(name, reason=f"needs {name}: pip install {name}")
