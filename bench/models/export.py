#!/usr/bin/env python3
"""Exports further models through their own exporters, beside those of ../shared/tools/export_models.py.

    bench/models/export.py OUTDIR [--only NAME...] [--family vision|language|scripted|classical|quantized|full_size]...

Writes NAME.onnx and, for every set of sizes, NAME.in.npz (inputs) and NAME.out.npz (ONNX Runtime's
outputs), NAME@2.in.npz and so on; what is there already is left. Weights are random, sizes small:
what counts is the graph; full_size, 3 GB at real sizes for measurements, is made where it is asked
for. A family whose packages are absent is skipped with a word. See bench/models.md for what to install.
"""

import argparse
import importlib
import pathlib
import sys
import traceback
import warnings

FAMILIES = ("classical", "scripted", "language", "vision", "quantized")
# Those that are not made unless they are named.
LARGE = ("full_size",)
EXIT_SKIPPED = 77


class Exporter:
    """Where models are written to, and which are wanted."""

    def __init__(self, folder, only):
        self.folder, self.only = folder, only

    def wants(self, name):
        return name in self.only or not self.only and not (self.folder / f"{name}.out.npz").exists()

    def attempt(self, name, function):
        """Exports one model; a failure of its exporter is said, and the others go on."""
        if not self.wants(name):
            return
        try:
            function()
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            message = " ".join(str(error).split())[:160]
            print(f"NOT EXPORTED {name}: {type(error).__name__}: {message} ({place.name})", flush=True)
            for file in self.folder.glob(f"{name}.*"):
                file.unlink()

    def finish(self, name, cases):
        """Writes the inputs, and ONNX Runtime's answers, of all cases."""
        import numpy as np
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(self.folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
        )
        wanted = {port.name for port in session.get_inputs()}
        for i, feeds in enumerate(cases):
            feeds = {key: value for key, value in feeds.items() if key in wanted}
            values = [as_array(value) for value in session.run(None, feeds)]
            stem = name if i == 0 else f"{name}@{i + 1}"
            np.savez(self.folder / f"{stem}.in.npz", **feeds)
            np.savez(
                self.folder / f"{stem}.out.npz",
                **{port.name: value for port, value in zip(session.get_outputs(), values)},
            )
        print(
            name,
            (self.folder / f"{name}.onnx").stat().st_size // 1024,
            "KiB,",
            len(cases),
            "cases",
            flush=True,
        )

    def torch(self, name, make, cases, outputs=None, dims=None, opset=17, dynamo=False, script=False):
        """Exports `make()` with the first of `cases`, each {input: tensor}; `dims`: {port: {axis: symbol}}."""
        self.attempt(name, lambda: self._torch(name, make, cases, outputs, dims, opset, dynamo, script))

    def _torch(self, name, make, cases, outputs, dims, opset, dynamo, script):
        import torch

        torch.manual_seed(0)
        torch.backends.mha.set_fastpath_enabled(False)
        model = make().eval()
        jitter(model)
        cases = cases if isinstance(cases, list) else [cases]
        path = str(self.folder / f"{name}.onnx")
        options = dict(input_names=list(cases[0]), output_names=outputs, opset_version=opset)
        if dynamo:
            shapes = [
                {axis: torch.export.Dim.DYNAMIC for axis in (dims or {}).get(port, {})} or None
                for port in cases[0]
            ]
            torch.onnx.export(
                model,
                tuple(cases[0].values()),
                path,
                dynamo=True,
                external_data=False,
                verbose=False,
                dynamic_shapes=tuple(shapes) if dims else None,
                **options,
            )
        else:
            with torch.no_grad():
                model = torch.jit.script(model) if script else model
                torch.onnx.export(
                    model, tuple(cases[0].values()), path, dynamo=False, dynamic_axes=dims, **options
                )
        self.finish(name, [{key: value.numpy() for key, value in case.items()} for case in cases])


def jitter(model):
    """Statistics and constant parameters are made random: their defaults hide errors of folding."""
    import torch

    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(getattr(module, "running_mean", None), torch.Tensor):
                module.running_mean += 0.1 * torch.randn(module.running_mean.shape, generator=generator)
                module.running_var += 0.2 * torch.rand(module.running_var.shape, generator=generator)
        for parameter in model.parameters():
            if parameter.numel() > 1 and parameter.is_floating_point() and parameter.float().std() < 1e-8:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)


def as_array(value):
    """A list of maps (ZipMap) becomes a matrix: a row per map, a column per sorted key."""
    import numpy as np

    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = [[row[key] for key in sorted(row)] for row in value]
    array = np.asarray(value)
    return array.astype(str) if array.dtype == object else array


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--family", action="append", choices=FAMILIES + LARGE)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    args.out.mkdir(parents=True, exist_ok=True)
    exporter = Exporter(args.out, args.only)
    skipped = 0
    for family in args.family or FAMILIES:
        try:
            importlib.import_module(f"families.{family}").export(exporter)
        except ImportError as error:
            print(f"skipped {family}: {error}", file=sys.stderr)
            skipped += 1
    return EXIT_SKIPPED if skipped == len(args.family or FAMILIES) else 0


if __name__ == "__main__":
    sys.exit(main())
