# ===- lit.cfg.py - tests on textual IR -----------------------------------=== #
#
# Run by `ctest -R lit`, or by hand from a build tree:
#   python3 <llvm prefix>/build/utils/lit/lit.py -sv build/release/tests/ir
#
# ===----------------------------------------------------------------------=== #
import os

import lit.formats

config.name = "Quern"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.quern_test_binary_dir

# The tools under test, then FileCheck and `not`.
config.environment["PATH"] = os.path.pathsep.join(
    [config.quern_tools_dir, config.llvm_tools_dir, os.environ["PATH"]]
)
config.environment["FILECHECK_OPTS"] = "--enable-var-scope --dump-input-filter=error"
config.substitutions.append(("%python", config.python))
