"""What the experiments share: clocks, tables, plots, words, and small networks."""
import os

# Before NumPy is loaded: what is compared runs on one thread unless an experiment is about threads.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
