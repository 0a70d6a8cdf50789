"""Networks on images: torchvision's and timm's, by both of torch's exporters."""

import torch
import torchvision
from torch import nn
from torchvision.models import detection, optical_flow, segmentation, video


def image(n=1, side=64, width=None, channels=3):
    generator = torch.Generator().manual_seed(n * side)
    return {"image": torch.randn(n, channels, side, width or side, generator=generator)}


class Outputs(nn.Module):
    """A detector or segmenter with its dictionary as a tuple."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        found = self.model(image)
        found = found[0] if isinstance(found, list) else found
        return tuple(found.values())


class Flow(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = optical_flow.raft_small(weights=None)

    def forward(self, first, second):
        return self.model(first, second, num_flow_updates=2)[-1]


class Sampler(nn.Module):
    """A spatial transformer, and what else works by positions in an image."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 8, 3, padding=1)
        self.theta = nn.Linear(8, 6)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, image):
        theta = self.theta(self.features(image).mean((2, 3))).view(-1, 2, 3)
        grid = nn.functional.affine_grid(theta, list(image.shape), align_corners=False)
        moved = nn.functional.grid_sample(image, grid, padding_mode="reflection", align_corners=False)
        folded = nn.functional.fold(nn.functional.unfold(moved, 3, padding=1), (32, 32), 3, padding=1)
        return self.shuffle(self.features(folded)), torch.roll(moved, (3, -2), (2, 3))


BATCH = {"image": {0: "N"}, "logits": {0: "N"}}
ANY = {"image": {0: "N", 2: "H", 3: "W"}}


def classifiers(e):
    for name, opset, dynamo in (
        ("convnext_tiny", 17, False),
        ("swin_t", 17, False),
        ("swin_v2_t", 18, True),
        ("googlenet", 11, False),
        ("inception_v3", 13, False),
        ("efficientnet_v2_s", 17, False),
        ("mnasnet0_5", 13, False),
        ("squeezenet1_1", 11, False),
        ("resnext50_32x4d", 18, True),
        ("maxvit_t", 17, False),
    ):
        side = {"inception_v3": 96, "maxvit_t": 224}.get(name, 64)
        options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        if name == "convnext_tiny":
            options = {"num_classes": 10}
        e.torch(
            name,
            lambda: getattr(torchvision.models, name)(weights=None, **options),
            [image(1, side), image(3, side)],
            ["logits"],
            BATCH,
            opset,
            dynamo,
        )
    small = dict(image_size=64, patch_size=16, num_layers=2, num_heads=3, hidden_dim=48, mlp_dim=96)
    for name, opset, dynamo in (
        ("vit_torchvision", 17, False),
        ("vit_opset11", 11, False),
        ("vit_dynamo", 20, True),
        ("vit_opset23", 23, True),
    ):
        e.torch(
            name,
            lambda: torchvision.models.VisionTransformer(**small),
            [image(2), image(1)],
            ["logits"],
            BATCH,
            opset,
            dynamo,
        )
    e.torch(
        "video_r3d",
        lambda: video.r3d_18(weights=None, num_classes=7),
        {"image": torch.randn(1, 3, 4, 32, 32)},
        ["logits"],
        BATCH,
    )
    e.torch(
        "raft_small",
        Flow,
        {"first": torch.randn(1, 3, 128, 128), "second": torch.randn(1, 3, 128, 128)},
        ["flow"],
        None,
        17,
    )
    e.torch("sampler", Sampler, {"image": torch.randn(1, 3, 32, 32)}, ["y", "rolled"], None, 20, True)
    e.torch("sampler_opset18", Sampler, {"image": torch.randn(1, 3, 32, 32)}, ["y", "rolled"], None, 18, True)


def decided(model):
    """With scores far apart: those of weights as they are initialized are nearly the same, and rounding orders them."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear) and "cls" in name:
            nn.init.normal_(module.weight, std=0.4)
    return Outputs(model)


def detectors(e):
    options = dict(weights=None, weights_backbone=None, num_classes=5)
    sized = dict(min_size=96, max_size=128, **options)
    for name, make, outputs in (
        (
            "ssdlite",
            lambda: detection.ssdlite320_mobilenet_v3_large(
                topk_candidates=40, detections_per_img=30, **options
            ),
            ["boxes", "scores", "labels"],
        ),
        (
            "fasterrcnn",
            lambda: detection.fasterrcnn_mobilenet_v3_large_320_fpn(**sized),
            ["boxes", "labels", "scores"],
        ),
        ("retinanet", lambda: detection.retinanet_resnet50_fpn(**sized), ["boxes", "scores", "labels"]),
        ("fcos", lambda: detection.fcos_resnet50_fpn(**sized), ["boxes", "scores", "labels"]),
        (
            "maskrcnn",
            lambda: detection.maskrcnn_resnet50_fpn(**sized),
            ["boxes", "labels", "scores", "masks"],
        ),
    ):
        generator = torch.Generator().manual_seed(3)
        cases = [
            {"image": torch.rand(1, 3, 96, 128, generator=generator)},
            {"image": torch.rand(1, 3, 96, 128, generator=generator)},
        ]
        e.torch(f"detect_{name}", lambda: decided(make()), cases, outputs, None, 17)
    for name, make in (
        ("deeplabv3", lambda: segmentation.deeplabv3_mobilenet_v3_large(**options)),
        ("lraspp", lambda: segmentation.lraspp_mobilenet_v3_large(**options)),
        ("fcn", lambda: segmentation.fcn_resnet50(aux_loss=False, **options)),
    ):
        e.torch(
            f"segment_{name}", lambda: Outputs(make()), [image(1, 64), image(2, 96, 80)], ["out"], ANY, 16
        )


def timm_models(e):
    import timm

    for name, side, opset, dynamo in (
        ("convnext_atto", 64, 18, True),
        ("convnextv2_atto", 64, 17, False),
        ("mobilevit_xxs", 64, 17, False),
        ("mobilevitv2_050", 64, 17, False),
        ("edgenext_xx_small", 64, 17, False),
        ("ghostnet_100", 64, 13, False),
        ("mixer_s32_224", 224, 17, False),
        ("levit_128s", 224, 17, False),
        ("poolformer_s12", 64, 17, False),
        ("xcit_nano_12_p16_224", 224, 17, False),
        ("hrnet_w18_small", 64, 13, False),
        ("repvgg_a0", 64, 13, False),
        ("nf_regnet_b0", 64, 17, False),
        ("eca_botnext26ts_256", 256, 17, False),
        ("sequencer2d_s", 224, 17, False),
        ("tf_efficientnet_lite0", 64, 11, False),
        ("fastvit_t8", 64, 17, False),
        ("res2net50_14w_8s", 64, 17, False),
        ("selecsls42b", 64, 17, False),
        ("dla34", 64, 17, False),
        ("volo_d1_224", 224, 17, False),
        ("twins_svt_small", 64, 17, False),
        ("pvt_v2_b0", 64, 17, False),
        ("crossvit_tiny_240", 240, 17, False),
        ("beit_base_patch16_224", 224, 17, False),
        ("efficientvit_b0", 64, 17, False),
        ("mambaout_femto", 64, 17, False),
        ("starnet_s1", 64, 17, False),
        ("repvit_m0_9", 64, 17, False),
        ("tiny_vit_5m_224", 224, 17, False),
        ("gernet_s", 64, 17, False),
    ):
        depth = {"depth": 2} if name.startswith(("beit", "mixer", "xcit")) and "xcit" not in name else {}
        if name.startswith("mixer"):
            depth = {"num_blocks": 2}
        e.torch(
            f"timm_{name}",
            lambda: timm.create_model(name, pretrained=False, num_classes=10, **depth),
            [image(1, side), image(2, side)],
            ["logits"],
            BATCH,
            opset,
            dynamo,
        )


def export(e):
    classifiers(e)
    detectors(e)
    timm_models(e)
