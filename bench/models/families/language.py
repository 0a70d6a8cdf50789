"""Networks on words, sound and images of Hugging Face's transformers, with a few layers each."""

import torch
import transformers as t
from torch import nn

WORDS = 100
SMALL = dict(
    vocab_size=WORDS, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
)
EAGER = dict(attn_implementation="eager")
SEQUENCES = {name: {0: "batch", 1: "seq"} for name in ("input_ids", "attention_mask")}


class First(nn.Module):
    """A model's first result, for inputs by position."""

    def __init__(self, model, names, **options):
        super().__init__()
        self.model, self.names, self.options = model, names, options

    def forward(self, *inputs):
        return self.model(**dict(zip(self.names, inputs)), **self.options)[0]


class StepWithPast(nn.Module):
    """A decoder's step: past keys and values in, present ones out."""

    def __init__(self, model, layers):
        super().__init__()
        self.model, self.layers = model, layers

    def forward(self, ids, mask, *past):
        cache = t.cache_utils.DynamicCache()
        for i in range(self.layers):
            cache.update(past[2 * i], past[2 * i + 1], i)
        out = self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True)
        return (
            out.logits,
            *(part for layer in out.past_key_values.layers for part in (layer.keys, layer.values)),
        )


def words(batch, length, ragged=False):
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(5, WORDS, (batch, length), generator=generator)
    mask = torch.ones_like(ids)
    if ragged:
        mask[-1, (length + 1) // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


def encoders(e):
    cases = [words(2, 12, True), words(1, 5), words(3, 20, True)]
    for name, opset, dynamo, make in (
        (
            "distilbert",
            17,
            False,
            lambda: t.DistilBertModel(
                t.DistilBertConfig(vocab_size=WORDS, dim=32, n_layers=2, n_heads=4, hidden_dim=64, **EAGER)
            ),
        ),
        ("roberta", 13, False, lambda: t.RobertaModel(t.RobertaConfig(**SMALL, **EAGER))),
        ("albert", 14, False, lambda: t.AlbertModel(t.AlbertConfig(embedding_size=16, **SMALL, **EAGER))),
        ("bert_sdpa", 18, False, lambda: t.BertModel(t.BertConfig(**SMALL))),
        ("bert_dynamo", 18, True, lambda: t.BertModel(t.BertConfig(**SMALL, **EAGER))),
        ("bert_opset23", 23, True, lambda: t.BertModel(t.BertConfig(**SMALL))),
        ("electra", 11, False, lambda: t.ElectraModel(t.ElectraConfig(embedding_size=16, **SMALL, **EAGER))),
        (
            "deberta_v2",
            17,
            False,
            lambda: t.DebertaV2Model(
                t.DebertaV2Config(
                    relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8, **SMALL
                )
            ),
        ),
        ("mpnet", 17, False, lambda: t.MPNetModel(t.MPNetConfig(**SMALL))),
        (
            "xlnet",
            17,
            False,
            lambda: t.XLNetModel(
                t.XLNetConfig(vocab_size=WORDS, d_model=32, n_layer=2, n_head=4, d_inner=64)
            ),
        ),
        ("convbert", 17, False, lambda: t.ConvBertModel(t.ConvBertConfig(embedding_size=32, **SMALL))),
        (
            "mobilebert",
            17,
            False,
            lambda: t.MobileBertModel(
                t.MobileBertConfig(embedding_size=16, intra_bottleneck_size=16, true_hidden_size=16, **SMALL)
            ),
        ),
        (
            "squeezebert",
            17,
            False,
            lambda: t.SqueezeBertModel(t.SqueezeBertConfig(embedding_size=32, **SMALL)),
        ),
        (
            "funnel",
            17,
            False,
            lambda: t.FunnelBaseModel(
                t.FunnelConfig(
                    vocab_size=WORDS, block_sizes=[1, 1], d_model=32, n_head=4, d_head=8, d_inner=64
                )
            ),
        ),
        ("fnet", 18, True, lambda: t.FNetModel(t.FNetConfig(**SMALL))),
        (
            "modernbert",
            18,
            True,
            lambda: t.ModernBertModel(
                t.ModernBertConfig(
                    pad_token_id=0, eos_token_id=1, bos_token_id=2, cls_token_id=2, sep_token_id=1, **SMALL
                )
            ),
        ),
    ):
        dims = dict(SEQUENCES, out={0: "batch", 1: "seq"})
        fixed = name in ("funnel", "fnet")
        names = ["input_ids"] if name == "fnet" else list(SEQUENCES)
        given = [{key: case[key] for key in names} for case in cases]
        e.torch(
            f"hf_{name}",
            lambda: First(make(), names),
            given[:1] if fixed else given,
            ["out"],
            None if fixed else dims,
            opset,
            dynamo,
        )


def decoders(e):
    cases = [words(2, 9), words(1, 4), words(1, 17)]
    full = dict(max_position_embeddings=64, num_key_value_heads=2, **SMALL, **EAGER)
    for name, opset, dynamo, make in (
        ("mistral", 17, False, lambda: t.MistralForCausalLM(t.MistralConfig(sliding_window=4, **full))),
        ("qwen2", 17, False, lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**full))),
        ("qwen3_dynamo", 18, True, lambda: t.Qwen3ForCausalLM(t.Qwen3Config(head_dim=8, **full))),
        ("gemma2", 17, False, lambda: t.Gemma2ForCausalLM(t.Gemma2Config(head_dim=8, **full))),
        (
            "phi3",
            17,
            False,
            lambda: t.Phi3ForCausalLM(t.Phi3Config(pad_token_id=0, bos_token_id=1, eos_token_id=2, **full)),
        ),
        ("mixtral", 18, True, lambda: t.MixtralForCausalLM(t.MixtralConfig(num_local_experts=3, **full))),
        (
            "llama_opset23",
            23,
            True,
            lambda: t.LlamaForCausalLM(t.LlamaConfig(**dict(full, attn_implementation="sdpa"))),
        ),
        ("gpt_neox", 17, False, lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**SMALL, **EAGER))),
        (
            "gpt_neo",
            17,
            False,
            lambda: t.GPTNeoForCausalLM(
                t.GPTNeoConfig(
                    vocab_size=WORDS,
                    hidden_size=32,
                    num_layers=2,
                    num_heads=4,
                    attention_types=[[["global", "local"], 1]],
                    window_size=4,
                    **EAGER,
                )
            ),
        ),
        (
            "opt",
            17,
            False,
            lambda: t.OPTForCausalLM(
                t.OPTConfig(
                    vocab_size=WORDS,
                    hidden_size=32,
                    num_hidden_layers=2,
                    num_attention_heads=4,
                    ffn_dim=64,
                    word_embed_proj_dim=32,
                    **EAGER,
                )
            ),
        ),
        (
            "bloom",
            17,
            False,
            lambda: t.BloomForCausalLM(t.BloomConfig(vocab_size=WORDS, hidden_size=32, n_layer=2, n_head=4)),
        ),
        (
            "mamba",
            17,
            False,
            lambda: t.MambaForCausalLM(
                t.MambaConfig(vocab_size=WORDS, hidden_size=16, num_hidden_layers=1, state_size=4)
            ),
        ),
    ):
        fixed = name == "mamba"
        names = ["input_ids"] if fixed else list(SEQUENCES)
        given = [{key: case[key] for key in names} for case in cases]
        e.torch(
            f"hf_{name}",
            lambda: First(make(), names, use_cache=False),
            given[:1] if fixed else given,
            ["out"],
            None if fixed else dict(SEQUENCES, out={0: "batch", 1: "seq"}),
            opset,
            dynamo,
        )
    steps(e, full)


def steps(e, full):
    past = [f"past_{i}_{k}" for i in range(2) for k in ("key", "value")]
    present = [name.replace("past", "present") for name in past]
    dims = {
        "ids": {0: "batch", 1: "seq"},
        "mask": {0: "batch", 1: "total"},
        **{n: {0: "batch", 2: "past"} for n in past},
        **{n: {0: "batch", 2: "total"} for n in present},
    }
    for name, opset, heads, make in (
        ("llama_past", 17, 2, lambda: t.LlamaForCausalLM(t.LlamaConfig(**full))),
        ("qwen2_past", 14, 2, lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**full))),
        (
            "gpt2_past_opset13",
            13,
            4,
            lambda: t.GPT2LMHeadModel(
                t.GPT2Config(vocab_size=WORDS, n_embd=32, n_layer=2, n_head=4, **EAGER)
            ),
        ),
    ):
        cases = []
        for batch, seq, before in ((1, 3, 5), (2, 1, 12), (2, 4, 0)):
            case = {
                "ids": words(batch, seq)["input_ids"],
                "mask": torch.ones(batch, seq + before, dtype=torch.int64),
            }
            case.update({n: torch.randn(batch, heads, before, 8) for n in past})
            cases.append(case)
        e.torch(f"hf_{name}", lambda: StepWithPast(make(), 2), cases, ["logits"] + present, dims, opset)


def pairs(e):
    """Encoders with decoders, sound and images."""
    both = dict(
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        **EAGER,
    )
    ids = [
        dict(words(2, 9, True), decoder_input_ids=words(2, 4)["input_ids"]),
        dict(words(1, 5), decoder_input_ids=words(1, 7)["input_ids"]),
    ]
    dims = dict(SEQUENCES, decoder_input_ids={0: "batch", 1: "target"}, out={0: "batch", 1: "target"})
    for name, make in (
        (
            "t5",
            lambda: t.T5ForConditionalGeneration(
                t.T5Config(
                    vocab_size=WORDS,
                    d_model=32,
                    d_kv=8,
                    d_ff=64,
                    num_layers=2,
                    num_heads=4,
                    feed_forward_proj="gated-gelu",
                )
            ),
        ),
        ("bart", lambda: t.BartModel(t.BartConfig(vocab_size=WORDS, max_position_embeddings=64, **both))),
        (
            "marian",
            lambda: t.MarianModel(
                t.MarianConfig(vocab_size=WORDS, pad_token_id=0, max_position_embeddings=64, **both)
            ),
        ),
    ):
        e.torch(f"hf_{name}", lambda: First(make(), list(ids[0]), use_cache=False), ids, ["out"], dims, 17)
    whisper = t.WhisperConfig(
        vocab_size=WORDS,
        num_mel_bins=8,
        max_source_positions=20,
        max_target_positions=20,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        **both,
    )
    e.torch(
        "hf_whisper",
        lambda: First(t.WhisperModel(whisper), ["input_features", "decoder_input_ids"], use_cache=False),
        [
            {"input_features": torch.randn(b, 8, 40), "decoder_input_ids": words(b, n)["input_ids"]}
            for b, n in ((1, 4), (2, 7))
        ],
        ["out"],
        {"input_features": {0: "batch"}, "decoder_input_ids": {0: "batch", 1: "target"}},
        17,
    )
    sound = dict(
        conv_dim=(16, 16, 16),
        conv_stride=(5, 2, 2),
        conv_kernel=(10, 3, 3),
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        **SMALL,
    )
    waves = [{"input_values": torch.randn(1, 1000)}, {"input_values": torch.randn(2, 1777)}]
    for name, make in (
        ("wav2vec2", lambda: t.Wav2Vec2Model(t.Wav2Vec2Config(**sound, **EAGER))),
        ("hubert", lambda: t.HubertForCTC(t.HubertConfig(**sound, **EAGER))),
    ):
        e.torch(
            f"hf_{name}",
            lambda: First(make(), ["input_values"]),
            waves,
            ["out"],
            {"input_values": {0: "batch", 1: "samples"}},
            17,
        )
    images(e)


def images(e):
    sizes = dict(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
    )
    pixels = [{"pixel_values": torch.randn(1, 3, 32, 32)}, {"pixel_values": torch.randn(3, 3, 32, 32)}]
    for name, opset, make in (
        ("clip_vision", 14, lambda: t.CLIPVisionModel(t.CLIPVisionConfig(**sizes))),
        ("dinov2", 17, lambda: t.Dinov2Model(t.Dinov2Config(**sizes))),
        ("beit", 17, lambda: t.BeitModel(t.BeitConfig(use_relative_position_bias=True, **sizes))),
        (
            "segformer",
            17,
            lambda: t.SegformerForSemanticSegmentation(
                t.SegformerConfig(
                    hidden_sizes=[8, 16, 24, 32],
                    depths=[1, 1, 1, 1],
                    num_attention_heads=[1, 2, 3, 4],
                    decoder_hidden_size=32,
                )
            ),
        ),
        (
            "yolos",
            17,
            lambda: t.YolosForObjectDetection(
                t.YolosConfig(**dict(sizes, image_size=[32, 32]), num_detection_tokens=5)
            ),
        ),
        (
            "resnet_hf",
            17,
            lambda: t.ResNetModel(t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
        ),
        (
            "vitmae",
            18,
            lambda: t.DPTForDepthEstimation(
                t.DPTConfig(
                    **sizes,
                    backbone_out_indices=[0, 0, 1, 1],
                    neck_hidden_sizes=[8, 8, 8, 8],
                    fusion_hidden_size=8,
                    reassemble_factors=[4, 2, 1, 0.5],
                )
            ),
        ),
    ):
        e.torch(
            f"hf_{name}",
            lambda: First(make(), ["pixel_values"]),
            pixels,
            ["out"],
            {"pixel_values": {0: "batch"}},
            opset,
        )


def export(e):
    encoders(e)
    decoders(e)
    pairs(e)
