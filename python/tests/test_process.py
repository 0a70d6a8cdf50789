"""What an import and an exit do to the process."""
import shutil
import subprocess
import sys

import pytest

from models import relu


def run(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True,
                          text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


KEPT = '''
import functools, sys, threading, time
import numpy as np
import quern

@functools.lru_cache
def model(path):
    return quern.compile(path)

class Holds:
    of_a_class = model(sys.argv[1])

sys.kept = model(sys.argv[1])(np.ones((1, 3), "f4")), quern.RunOptions(), model(sys.argv[1])
threading.Thread(target=lambda kept: time.sleep(100), args=(sys.kept,), daemon=True).start()
'''


def test_nothing_is_said_of_models_that_live_to_the_end(tmp_path):
    (tmp_path / "m.onnx").write_bytes(relu().SerializeToString())
    assert run(KEPT, tmp_path / "m.onnx") == (0, "", "")


SUB_INTERPRETER = '''
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import numpy as np
import quern

model = quern.compile(sys.argv[1])
code = """
import sys
try:
    import quern
except ImportError as error:
    assert "main interpreter" in str(error), error
else:
    raise SystemError("imported")
assert "quern._quern" not in sys.modules
"""
other = interpreters.create()
failed = interpreters.run_string(other, code)
interpreters.destroy(other)
print(failed, model(np.ones((1, 3), "f4")).sum(), quern.compile(sys.argv[1]).inputs[0].name)
'''


def test_sub_interpreters_are_refused_and_break_nothing(tmp_path):
    if sys.version_info < (3, 13):
        pytest.importorskip("_xxsubinterpreters")
    (tmp_path / "m.onnx").write_bytes(relu().SerializeToString())
    assert run(SUB_INTERPRETER, tmp_path / "m.onnx") == (0, "None 3.0 x\n", "")


OTHERS = """
#include <stdlib.h>
void _ZNK6google8protobuf14DescriptorPool14FindFileByNameERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE(void) { abort(); }
void inflate(void) { abort(); }
"""


def test_symbols_of_others_are_not_taken(tmp_path):
    """As TensorFlow's, which are global once it is imported."""
    compiler = shutil.which("cc") or shutil.which("clang-19")
    if not compiler:
        pytest.skip("there is no C compiler")
    (tmp_path / "others.c").write_text(OTHERS)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "others.so", tmp_path / "others.c"],
                   check=True, capture_output=True)
    (tmp_path / "m.onnx").write_bytes(relu().SerializeToString())
    code = ("import ctypes, sys; ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)\n"
            "import numpy, quern; print(quern.compile(sys.argv[2])(numpy.ones((1, 3), 'f4')).shape)")
    assert run(code, tmp_path / "others.so", tmp_path / "m.onnx") == (0, "(1, 3)\n", "")
