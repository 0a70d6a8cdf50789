"""Networks at the sizes that people run: torchvision's and timm's, a UNet, a YOLO and others of our own, for speed."""

import torch
import torchvision
from torch import nn
from torchvision.models import detection, segmentation

from families.vision import decided, image, Outputs

# Two of three by the older exporter, which most files in the world are of.
TORCHVISION = (
    ("resnet34", 224, 17, False),
    ("resnext50_32x4d", 224, 18, True),
    ("regnet_y_400mf", 224, 17, False),
    ("regnet_x_800mf", 224, 18, True),
    ("mnasnet1_0", 224, 13, False),
    ("shufflenet_v2_x1_0", 224, 17, False),
    ("googlenet", 224, 11, False),
    ("inception_v3", 299, 13, False),
    ("densenet121", 224, 18, True),
    ("efficientnet_v2_s", 224, 17, False),
    ("squeezenet1_1", 224, 11, False),
    ("mobilenet_v3_small", 224, 18, True),
    ("convnext_tiny", 224, 18, True),
    ("maxvit_t", 224, 17, False),
    ("swin_v2_t", 256, 18, True),
)

TIMM = (
    ("ghostnet_100", 224, 17, False),
    ("hrnet_w18_small", 224, 18, True),
    ("dla34", 224, 17, False),
    ("repvgg_a0", 224, 17, False),
    ("mobileone_s0", 224, 17, False),
    ("tf_efficientnet_lite0", 224, 11, False),
    ("efficientvit_b1", 224, 17, False),
    ("mobilevit_xs", 256, 17, False),
    ("mobilevitv2_075", 256, 18, True),
    ("mobilenetv4_conv_small", 224, 18, True),
    ("edgenext_small", 256, 17, False),
    ("pvt_v2_b0", 224, 17, False),
    ("nextvit_small", 224, 17, False),
    ("coatnet_0_rw_224", 224, 17, False),
    ("rexnet_100", 224, 18, True),
    ("hardcorenas_a", 224, 17, False),
    ("res2net50_26w_4s", 224, 17, False),
    ("skresnet18", 224, 17, False),
    ("cspdarknet53", 256, 17, False),
    ("xception41", 299, 18, True),
    ("nf_regnet_b0", 192, 17, False),
    ("resnest14d", 224, 17, False),
    ("levit_128", 224, 17, False),
    ("poolformer_s12", 224, 17, False),
    ("fastvit_t8", 256, 17, False),
    ("mixnet_s", 224, 17, False),
    ("dpn68", 224, 17, False),
    ("ese_vovnet19b_dw", 224, 18, True),
    ("efficientformer_l1", 224, 17, False),
    ("repvit_m0_9", 224, 17, False),
    ("inception_next_tiny", 224, 17, False),
    ("hgnetv2_b0", 224, 17, False),
    ("lcnet_100", 224, 17, False),
    ("mambaout_femto", 224, 17, False),
)


def settle(model, picture):
    """Statistics of batches become those of pictures, so that values neither vanish nor grow from layer to layer."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return model
    for norm in norms:
        norm.momentum = 1.0
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        model.train()(torch.randn(4, *picture.shape[1:], generator=generator))
    return model.eval()


def classifier(e, name, make, side, opset, dynamo):
    case = image(1, side)
    e.torch(name, lambda: settle(make(), case["image"]), case, ["logits"], None, opset, dynamo)


def block(inputs, outputs, size=3, stride=1, activation=nn.SiLU):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        activation(inplace=True),
    )


class UNet(nn.Module):
    """The classic: down by pooling, up by transposed convolutions or by interpolation, with concatenations."""

    def __init__(self, width=32, depth=4, transposed=True):
        super().__init__()
        sizes = [width << i for i in range(depth + 1)]
        self.down = nn.ModuleList(self.pair(a, b) for a, b in zip([3] + sizes, sizes))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * a, a, 2, 2)
            if transposed
            else nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(2 * a, a, 1))
            for a in sizes[:-1]
        )
        self.merge = nn.ModuleList(self.pair(2 * a, a) for a in sizes[:-1])
        self.head = nn.Conv2d(width, 2, 1)

    @staticmethod
    def pair(inputs, outputs):
        return nn.Sequential(
            block(inputs, outputs, activation=nn.ReLU), block(outputs, outputs, activation=nn.ReLU)
        )

    def forward(self, x):
        kept = []
        for i, layer in enumerate(self.down):
            x = layer(x if i == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        kept.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge)):
            x = merge(torch.cat([kept.pop(), up(x)], 1))
        return self.head(x)


class SplitStage(nn.Module):
    """YOLO's stage: halves of channels, a chain of residual pairs on one, everything concatenated."""

    def __init__(self, inputs, outputs, count, residual):
        super().__init__()
        self.half = outputs // 2
        self.first, self.residual = block(inputs, outputs, 1), residual
        self.chain = nn.ModuleList(
            nn.Sequential(block(self.half, self.half), block(self.half, self.half)) for _ in range(count)
        )
        self.last = block((2 + count) * self.half, outputs, 1)

    def forward(self, x):
        parts = list(self.first(x).chunk(2, 1))
        for pair in self.chain:
            parts.append(parts[-1] + pair(parts[-1]) if self.residual else pair(parts[-1]))
        return self.last(torch.cat(parts, 1))


class PoolPyramid(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.last = block(channels, channels // 2, 1), block(2 * channels, channels, 1)

    def forward(self, x):
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(nn.functional.max_pool2d(parts[-1], 5, 1, 2))
        return self.last(torch.cat(parts, 1))


class Yolo(nn.Module):
    """A detector without anchors on three scales, its boxes as expectations of 16 distances, as YOLO 8 and later."""

    def __init__(self, classes=80, widths=(16, 32, 64, 128, 256), counts=(1, 2, 2, 1)):
        super().__init__()
        self.stem = block(3, widths[0], 3, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(block(a, b, 3, 2), SplitStage(b, b, count, True))
            for a, b, count in zip(widths, widths[1:], counts)
        )
        self.pools = PoolPyramid(widths[4])
        _, _, low, middle, high = widths
        self.down4 = SplitStage(high + middle, middle, 1, False)
        self.down3 = SplitStage(middle + low, low, 1, False)
        self.step4, self.up4 = block(low, low, 3, 2), SplitStage(low + middle, middle, 1, False)
        self.step5, self.up5 = block(middle, middle, 3, 2), SplitStage(middle + high, high, 1, False)
        self.boxes = nn.ModuleList(self.head(width, 64, 64) for width in (low, middle, high))
        self.scores = nn.ModuleList(self.head(width, 80, classes) for width in (low, middle, high))
        self.register_buffer("distances", torch.arange(16.0).view(1, 16, 1, 1))

    @staticmethod
    def head(inputs, width, outputs):
        return nn.Sequential(block(inputs, width), block(width, width), nn.Conv2d(width, outputs, 1))

    def pyramid(self, x):
        kept = []
        x = self.stem(x)
        for stage in self.stages:
            kept.append(x := stage(x))
        p5 = self.pools(x)
        p4 = self.down4(torch.cat([nn.functional.interpolate(p5, scale_factor=2.0), kept[2]], 1))
        p3 = self.down3(torch.cat([nn.functional.interpolate(p4, scale_factor=2.0), kept[1]], 1))
        p4 = self.up4(torch.cat([self.step4(p3), p4], 1))
        return p3, p4, self.up5(torch.cat([self.step5(p4), p5], 1))

    def forward(self, x):
        levels = self.pyramid(x)
        boxes = torch.cat([head(level).flatten(2) for head, level in zip(self.boxes, levels)], 2)
        scores = torch.cat([head(level).flatten(2) for head, level in zip(self.scores, levels)], 2)
        n, _, places = boxes.shape
        sides = boxes.view(n, 4, 16, places).transpose(2, 1).softmax(1)
        lefts, rights = (sides * self.distances).sum(1).chunk(2, 1)
        centers, strides = self.places(levels, x.shape[2])
        near, far = centers - lefts, centers + rights
        return torch.cat([(near + far) / 2 * strides, (far - near) * strides, scores.sigmoid()], 1)

    @staticmethod
    def places(levels, side):
        centers, strides = [], []
        for level in levels:
            size = level.shape[2]
            y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
            centers.append(torch.stack([x, y]).view(1, 2, -1))
            strides.append(torch.full((1, 1, size * size), float(side // size)))
        return torch.cat(centers, 2), torch.cat(strides, 2)


class SuperResolution(nn.Module):
    """Residual blocks at the small size, sub-pixel convolution to three times it."""

    def __init__(self, width=32, count=6):
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width), nn.Conv2d(width, width, 3, padding=1)
            )
            for _ in range(count)
        )
        self.tail = nn.Sequential(nn.Conv2d(width, 27, 3, padding=1), nn.PixelShuffle(3))

    def forward(self, x):
        y = self.head(x)
        for pair in self.body:
            y = y + pair(y)
        return self.tail(y) + nn.functional.interpolate(x, scale_factor=3, mode="bicubic")


class StyleTransfer(nn.Module):
    """Reflected edges and normalization of each image, as networks that paint have them."""

    def __init__(self, width=32):
        super().__init__()

        def padded(inputs, outputs, size, stride=1):
            return [
                nn.ReflectionPad2d(size // 2),
                nn.Conv2d(inputs, outputs, size, stride),
                nn.InstanceNorm2d(outputs, affine=True),
            ]

        self.down = nn.Sequential(
            *padded(3, width, 9), nn.ReLU(), *padded(width, 2 * width, 3, 2), nn.ReLU(),
            *padded(2 * width, 4 * width, 3, 2), nn.ReLU(),
        )  # fmt: skip
        self.middle = nn.ModuleList(
            nn.Sequential(*padded(4 * width, 4 * width, 3), nn.ReLU(), *padded(4 * width, 4 * width, 3))
            for _ in range(5)
        )
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2), *padded(4 * width, 2 * width, 3), nn.ReLU(),
            nn.Upsample(scale_factor=2), *padded(2 * width, width, 3), nn.ReLU(),
            nn.ReflectionPad2d(4), nn.Conv2d(width, 3, 9),
        )  # fmt: skip

    def forward(self, x):
        x = self.down(x)
        for pair in self.middle:
            x = x + pair(x)
        return self.up(x)


def segmenters(e):
    options = dict(weights=None, weights_backbone=None)
    for name, make, side, dynamo in (
        ("deeplabv3_mobilenet", lambda: segmentation.deeplabv3_mobilenet_v3_large(**options), 320, False),
        ("lraspp_mobilenet", lambda: segmentation.lraspp_mobilenet_v3_large(**options), 320, True),
        ("fcn_resnet50", lambda: segmentation.fcn_resnet50(aux_loss=False, **options), 224, False),
        ("unet", UNet, 256, False),
        ("unet_resize", lambda: UNet(transposed=False), 256, True),
    ):
        wrap = Outputs if "unet" not in name else lambda model: model
        classifier(e, name, lambda: wrap(make()), side, 18 if dynamo else 17, dynamo)


def spread(model, picture):
    """Scores of classes neither all alike nor all saturated, so that rounding does not order them."""
    spreads = {}

    def measure(layer, _, result):
        spreads.setdefault(layer, []).append(float(result.std()))

    layers = [
        module
        for name, module in model.named_modules()
        if "classification_head" in name and getattr(module, "out_channels", 1) % 91 == 0
    ]
    hooks = [layer.register_forward_hook(measure) for layer in layers]
    with torch.no_grad():
        model.eval()(picture)
        for layer, measured in spreads.items():
            layer.weight *= 3 / max(measured)
    for hook in hooks:
        hook.remove()
    return model


def detectors(e):
    options = dict(weights=None, weights_backbone=None)
    for name, make, side, outputs in (
        (
            "ssdlite320_mobilenet",
            lambda: detection.ssdlite320_mobilenet_v3_large(detections_per_img=100, **options),
            320,
            ["boxes", "scores", "labels"],
        ),
        ("ssd300_vgg16", lambda: detection.ssd300_vgg16(**options), 300, ["boxes", "scores", "labels"]),
        (
            "retinanet_resnet50",
            lambda: detection.retinanet_resnet50_fpn(min_size=320, max_size=320, **options),
            320,
            ["boxes", "scores", "labels"],
        ),
        (
            "fasterrcnn_mobilenet_320",
            lambda: detection.fasterrcnn_mobilenet_v3_large_320_fpn(**options),
            320,
            ["boxes", "labels", "scores"],
        ),
    ):
        generator = torch.Generator().manual_seed(3)
        case = {"image": torch.rand(1, 3, side, side, generator=generator)}
        e.torch(name, lambda: spread(decided(make()), case["image"]), case, outputs, None, 17)
    classifier(e, "yolo", Yolo, 640, 17, False)
    classifier(e, "yolo_small", Yolo, 320, 18, True)


def painters(e):
    e.torch("super_resolution", SuperResolution, image(1, 128), ["large"], None, 17)
    e.torch("style_transfer", StyleTransfer, image(1, 256), ["painted"], None, 18, True)


def export(e):
    import timm

    for name, side, opset, dynamo in TORCHVISION:
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        make = lambda: getattr(torchvision.models, name)(weights=None, **options)
        classifier(e, name, make, side, opset, dynamo)
    for name, side, opset, dynamo in TIMM:
        classifier(e, name, lambda: timm.create_model(name, pretrained=False), side, opset, dynamo)
    segmenters(e)
    detectors(e)
    painters(e)
