"""The command `quern`: what the package installs under this name, and `python -m quern`."""
import os
import sys

from . import tables
from ._quern import run_command_line


def main() -> int:
    if tables.takes(sys.argv[1:]):
        return tables.main(sys.argv[1:])
    # Arguments are bytes; Python has those that are no UTF-8 as surrogates.
    return run_command_line([b"quern", *map(os.fsencode, sys.argv[1:])])


if __name__ == "__main__":
    sys.exit(main())
