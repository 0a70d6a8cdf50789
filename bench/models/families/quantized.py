"""int8, float16 and fused versions that ONNX Runtime's own tools make of models that the other families wrote."""

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    matmul_nbits_quantizer,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.transformers import float16, optimizer

IMAGES = ("mobilenet_v2_quarter", "shufflenet_v2_x0_5", "unet_resize", "hf_resnet_hf", "timm_ghostnet_100")
WORDS = (
    "bert_opset16",
    "hf_distilbert",
    "hf_roberta",
    "hf_albert",
    "llama",
    "gpt2_with_past",
    "t5_encoder",
    "hf_bart",
)
RECURRENT = ("lstm_bidirectional", "rnn_lstm_opset11", "rnn_gru_opset13")


class Reader(CalibrationDataReader):
    def __init__(self, cases):
        self.cases = iter(cases)

    def get_next(self):
        return next(self.cases, None)


def cases_of(e, name):
    paths = [e.folder / f"{name}.in.npz", *sorted(e.folder.glob(f"{name}@*.in.npz"))]
    return [dict(np.load(path)) for path in paths if path.exists()]


def version(e, base, kind, make):
    """NAME_kind of NAME, by make(source path, target path, inputs)."""
    source, cases = e.folder / f"{base}.onnx", cases_of(e, base)
    if not source.exists() or not cases:
        return
    name = f"{base}_{kind}"

    def write():
        make(str(source), str(e.folder / f"{name}.onnx"), cases)
        e.finish(name, cases)

    e.attempt(name, write)


def static(**options):
    return lambda source, target, cases: quantize_static(source, target, Reader(cases[:1]), **options)


def dynamic(**options):
    return lambda source, target, cases: quantize_dynamic(source, target, **options)


def half(source, target, cases, **options):
    onnx.save(float16.convert_float_to_float16(onnx.load(source), **options), target)


def whole_half(source, target, cases):
    """Inputs and outputs are float16 as well."""
    half(source, target, cases, keep_io_types=False)
    for case in cases:
        case.update(
            {key: value.astype(np.float16) for key, value in case.items() if value.dtype == np.float32}
        )


def fused(model_type, **options):
    def make(source, target, cases):
        config = optimizer.FusionOptions(model_type)
        for key, value in options.items():
            setattr(config, key, value)
        optimizer.optimize_model(
            source, model_type, num_heads=0, hidden_size=0, opt_level=0, optimization_options=config
        ).save_model_to_file(target)

    return make


def runtime_level(level):
    """What ONNX Runtime itself rewrites a model to."""

    def make(source, target, cases):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.optimized_model_filepath = target
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    return make


def few_bits(source, target, cases):
    quantizer = matmul_nbits_quantizer.MatMulNBitsQuantizer(
        onnx.load(source), block_size=32, is_symmetric=False
    )
    quantizer.process()
    onnx.save(quantizer.model.model, target)


def export(e):
    import onnxruntime

    qdq, operator = QuantFormat.QDQ, QuantFormat.QOperator
    for base in IMAGES:
        version(e, base, "qdq", static(quant_format=qdq, per_channel=True))
        version(e, base, "qoperator", static(quant_format=operator))
        version(
            e,
            base,
            "s8_qdq",
            static(quant_format=qdq, activation_type=QuantType.QInt8, weight_type=QuantType.QInt8),
        )
        version(
            e,
            base,
            "u16_qdq",
            static(quant_format=qdq, activation_type=QuantType.QUInt16, weight_type=QuantType.QInt8),
        )
        version(
            e,
            base,
            "entropy_qoperator",
            static(
                quant_format=operator,
                calibrate_method=CalibrationMethod.Percentile,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            ),
        )
        version(e, base, "float16", lambda *args: half(*args, keep_io_types=True))
        version(e, base, "io_float16", whole_half)
    for base in WORDS:
        version(e, base, "dynamic_int8", dynamic())
        version(e, base, "channels_dynamic_int8", dynamic(per_channel=True, weight_type=QuantType.QUInt8))
        version(e, base, "qdq", static(quant_format=qdq))
        version(e, base, "qoperator", static(quant_format=operator))
        version(e, base, "float16", lambda *args: half(*args, keep_io_types=True))
        version(e, base, "matmulnbits", few_bits)
    for base in RECURRENT:
        version(e, base, "dynamic_int8", dynamic())
        version(e, base, "float16", lambda *args: half(*args, keep_io_types=True))
    for base, kind in (
        ("bert_opset16", "bert"),
        ("hf_distilbert", "bert"),
        ("hf_roberta", "bert"),
        ("gpt2_with_past", "gpt2"),
        ("t5_encoder", "t5"),
        ("hf_bart", "bart"),
        ("vit_tiny_opset17", "vit"),
        ("hf_clip_vision", "clip"),
        ("llama", "gpt_neox"),
        ("hf_albert", "bert"),
    ):
        version(e, base, "fused", fused(kind))
        version(e, base, "mha_fused", fused(kind, use_multi_head_attention=True))
    levels = onnxruntime.GraphOptimizationLevel
    for base in (
        IMAGES[:4]
        + WORDS
        + RECURRENT
        + ("vit_tiny_opset16", "unet_convtranspose", "hf_wav2vec2", "hf_whisper")
    ):
        version(e, base, "extended", runtime_level(levels.ORT_ENABLE_EXTENDED))
        for kind in ("qdq", "dynamic_int8", "float16"):
            version(e, f"{base}_{kind}", "extended", runtime_level(levels.ORT_ENABLE_EXTENDED))
