"""Compares the arrays of two .npz files by name.

    tests/oracle/compare.py WANTED.npz FOUND.npz [--rtol 1e-3] [--atol 1e-5]

Equal means |wanted - found| <= atol + rtol * |wanted| for every float, NaN and infinities in
the same places, and identical values of every other type. Exit code 0 when equal, 5 when not.
"""
import argparse
import sys

import numpy as np

EXIT_MISMATCH = 5


def difference(wanted, found, rtol, atol):
    """None when the arrays are equal within the tolerance, else the reason."""
    wanted, found = np.asarray(wanted), np.asarray(found)
    if wanted.shape != found.shape:
        return f"shape {found.shape}, wanted {wanted.shape}"
    if wanted.dtype.kind != "f":
        return None if np.array_equal(wanted, found) else "values differ"
    if np.allclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True):
        return None
    wanted, found = wanted.astype(np.float64), found.astype(np.float64)
    error = np.abs(wanted - found)
    bad = ~np.isclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True)
    # NaN against a number is the worst of all.
    worst = np.unravel_index(np.argmax(np.where(bad, np.nan_to_num(error, nan=np.inf), -1)),
                             error.shape)
    where = tuple(int(i) for i in worst)
    return (f"{bad.sum()} of {bad.size} values differ, worst at {where}: "
            f"found {found[worst]:.7g}, wanted {wanted[worst]:.7g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wanted")
    parser.add_argument("found")
    parser.add_argument("--rtol", type=float, default=1e-3)
    parser.add_argument("--atol", type=float, default=1e-5)
    args = parser.parse_args()
    wanted, found = np.load(args.wanted), np.load(args.found)
    failures = 0
    for name in wanted.files:
        reason = (difference(wanted[name], found[name], args.rtol, args.atol)
                  if name in found.files else "missing")
        failures += reason is not None
        print(f"{name}: {reason or 'equal'}")
    return EXIT_MISMATCH if failures else 0


if __name__ == "__main__":
    sys.exit(main())
