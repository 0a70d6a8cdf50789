#!/usr/bin/env bash
# Installs a wheel into a clean venv where no LLVM and none of the libraries that Quern is
# built with can be seen, and runs a model there. As root, for the mounts.
#
#   tests/python/without_packages.sh WHEEL PYTHON MODEL
set -euo pipefail
shopt -s nullglob
if [ "${1:-}" != inside ]; then
  exec unshare -m "$0" inside "$(readlink -f "$1")" "$2" "$(readlink -f "$3")"
fi
mount --make-rprivate /
empty=$(mktemp -d)
for folder in /usr/lib/llvm-19 /usr/include /usr/share/libonnx-testdata; do
  [ ! -d "$folder" ] || mount --bind "$empty" "$folder"
done
for library in /usr/lib/x86_64-linux-gnu/lib{LLVM,MLIR,lld,onnx,protobuf,fmt,tbb,re2,openjp2,webp,tiff,jpeg,png16,z3,Lerc,jbig,deflate,zstd}*; do
  [ -d "$library" ] || mount --bind /dev/null "$library"
done
"$3" -m venv "$empty/venv"
"$empty/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$2"
cd "$empty"
exec env -i "$empty/venv/bin/python" - "$4" <<'PROGRAM'
import sys, numpy as np, quern
model = quern.compile(sys.argv[1])
sizes = [d if isinstance(d, int) else 1 for d in model.inputs[0].shape]
x = np.random.default_rng(0).normal(size=sizes).astype("f4")
y = model.run(None, [x])[0]
result = quern.compare(sys.argv[1], [x], seconds=0.01).raise_for_difference()
print(quern.__version__, y.shape, y.argmax(), result, sep="\n")
PROGRAM
