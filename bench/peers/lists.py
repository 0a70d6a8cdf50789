"""The lists of models of bench/run. Each is a function that yields (path, inputs) of its models one
by one, and makes those that are not in its folder yet; inputs of None are drawn."""
import pathlib
import subprocess
import sys

import numpy as np

BENCH = pathlib.Path(__file__).resolve().parents[1]
ROOT = BENCH.parent
SHARED = ROOT.parent / "shared/models"
EXIT_SKIPPED = 77


def inputs_of(model, dims):
    """The arrays of NAME.in.npz beside the model, else random floats: symbolic sizes are those of
    `dims`, or 1."""
    beside = pathlib.Path(model).with_suffix(".in.npz")
    if beside.exists():
        return dict(np.load(beside))
    if pathlib.Path(model).suffix != ".onnx":
        sys.exit(f"{model}: its inputs are not known: put {beside.name} beside it")
    import onnx
    graph = onnx.load(model, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    rng = np.random.default_rng(0)
    feeds = {}
    for value in graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        if tensor.elem_type != onnx.TensorProto.FLOAT:
            sys.exit(f"{model}: input {value.name} is not of floats: put {beside.name} beside it")
        shape = [size.dim_value if size.HasField("dim_value") else int(dims.get(size.dim_param, 1))
                 for size in tensor.shape.dim]
        feeds[value.name] = rng.random(shape, np.float32)
    return feeds


def light(folder):
    """nine classic CNNs with random weights"""
    folder.mkdir(parents=True, exist_ok=True)
    for model in sorted((SHARED / "light").glob("*.onnx")):
        path = folder / model.name
        if not path.exists():
            subprocess.run([sys.executable, ROOT / "tests/oracle/randomize_weights.py", model,
                            path], check=True)
        yield path, None


def exported(folder):
    """small models of real exporters: ../shared/models/exported, and build/exported where
    bench/models/export.py has made it"""
    for place in (SHARED / "exported", ROOT / "build/exported"):
        for path in sorted(place.glob("*.onnx")):
            if path.with_suffix(".in.npz").exists():
                yield path, None


def made_by(script, *options):
    def models(folder):
        subprocess.run([sys.executable, BENCH / script, folder, *options], check=True,
                       stdout=sys.stderr)
        for path in sorted(folder.glob("*.onnx")):
            yield path, None
    return models


def torch(folder):
    """networks of torchvision, timm and others at real sizes, by both of torch's exporters"""
    done = subprocess.run([sys.executable, BENCH / "models/export.py", folder, "--family",
                           "full_size"], stdout=sys.stderr)
    if done.returncode not in (0, EXIT_SKIPPED):
        done.check_returncode()
    for path in sorted(folder.glob("*.onnx")):
        # An exporter that was stopped leaves a model without its inputs.
        if path.with_suffix(".in.npz").exists():
            yield path, None


def tflite(folder):
    """CNNs of Keras at real sizes as .tflite, float32 and int8; LiteRT is their peer"""
    applications = ("ResNet50", "MobileNetV2", "MobileNetV3Large", "EfficientNetB0", "DenseNet121",
                    "InceptionV3", "NASNetMobile", "Xception", "VGG16")
    subprocess.run([sys.executable, ROOT / "tests/tflite/make_networks.py", folder, "--no-answers",
                    "--size", "224", "--kinds", "f32", "int8", "--applications", *applications],
                   check=True, stdout=sys.stderr)
    for path in sorted(folder.glob("*.tflite")):
        yield path, None


def described(models, what):
    models.__doc__ = what
    return models


LISTS = {
    "light": light,
    "exported": exported,
    "tflite": tflite,
    "torch": torch,
    "networks": described(made_by("make_networks.py"), "CNNs and transformers at real sizes"),
    "quantized": described(made_by("make_networks.py", "--quantized"),
                           "the same, quantized by ONNX Runtime"),
    "batch8": described(made_by("make_networks.py", "--batch", "8", "resnet18", "mobilenet_v2",
                                "efficientnet_b0"), "three CNNs, 8 images at once"),
    "batch32": described(made_by("make_networks.py", "--batch", "32", "resnet18", "mobilenet_v2",
                                 "efficientnet_b0"), "and 32"),
    "transformers": described(
        made_by("make_networks.py", "vit_tiny", "vit_base", "bert_base_24", "bert_base_128",
                "gpt2_prefill", "gpt2_step", "t5_small", "llama_prefill", "llama_step",
                "convnext_tiny", "swin_tiny", "wav2vec2_base", "whisper_tiny"),
        "transformers on words, images and sound at real sizes"),
    "recurrent": described(made_by("make_families.py", "lstm", "gru"),
                           "LSTM and GRU, 1, 2 and 32 sequences at once"),
    "tiny": described(made_by("make_families.py", "tiny"), "models of microseconds"),
    "forests": described(made_by("make_families.py", "lightgbm"),
                         "LightGBM's, 100 and 1,000 trees of depth 6 and 12, on 1, 100 and 10,000 "
                         "rows; lleaves is their peer, too"),
    "families": described(made_by("make_families.py"),
                          "one op family each: recurrent cells, attention, forests, 64 MB moves"),
}
