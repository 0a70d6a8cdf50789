"""Well-known convolutional networks at their real sizes, with random weights."""
import numpy as np

from models.transformers import CLASSES, IMAGE, Transformer, floats


class Network(Transformer):
    """With the layers that several networks have."""

    def relu(self, x):
        return self.op("Relu", x)

    def silu(self, x):
        return self.op("Mul", x, self.op("Sigmoid", x))

    def hard_swish(self, x):
        return self.op("HardSwish", x)

    def pool(self, x, kernel=3, stride=2, pad=1):
        return self.op("MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                       pads=[pad] * 4)

    def classify(self, x, channels):
        x = self.op("Flatten", self.op("GlobalAveragePool", x))
        self.result(self.linear(x, channels, CLASSES), "y")

    def squeeze(self, x, channels, inner, activation, gate):
        """Squeeze-and-excitation: each channel is scaled by a function of the channels' means."""
        means = self.op("GlobalAveragePool", x)
        inner_values = activation(self.conv(means, channels, inner, 1))
        return self.op("Mul", gate(self.conv(inner_values, inner, channels, 1)), x)


def resnet(layers, bottleneck):
    def make(b):
        x = b.pool(b.relu(b.conv("x", 3, 64, 7, 2)))
        channels = 64
        for stage, blocks in enumerate(layers):
            width = 64 << stage
            outputs = 4 * width if bottleneck else width
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                same = channels == outputs and stride == 1
                skip = x if same else b.conv(x, channels, outputs, 1, stride, gain=0.5)
                if bottleneck:
                    y = b.relu(b.conv(x, channels, width, 1))
                    y = b.relu(b.conv(y, width, width, 3, stride))
                    y = b.conv(y, width, outputs, 1, gain=0.5)
                else:
                    y = b.relu(b.conv(x, channels, width, 3, stride))
                    y = b.conv(y, width, outputs, 3, gain=0.5)
                x = b.relu(b.op("Add", y, skip))
                channels = outputs
        b.classify(x, channels)
    return make


def inverted_residual(b, x, channels, inner, outputs, kernel, stride, activation, squeeze=None):
    y = x if inner == channels else activation(b.conv(x, channels, inner, 1))
    y = activation(b.conv(y, inner, inner, kernel, stride, groups=inner))
    if squeeze:
        y = squeeze(y)
    y = b.conv(y, inner, outputs, 1, gain=0.7)
    return b.op("Add", y, x) if stride == 1 and channels == outputs else y


def mobilenet_v2(b):
    x, channels = b.relu(b.conv("x", 3, 32, 3, 2)), 32
    for factor, outputs, blocks, first in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2),
                                           (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                                           (6, 320, 1, 1)):
        for block in range(blocks):
            x = inverted_residual(b, x, channels, factor * channels, outputs, 3,
                                  first if block == 0 else 1, b.relu)
            channels = outputs
    b.classify(b.relu(b.conv(x, channels, 1280, 1)), 1280)


def mobilenet_v3(b):
    x, channels = b.hard_swish(b.conv("x", 3, 16, 3, 2)), 16
    # Kernel, inner channels, outputs, squeeze, hard swish, stride (table 1 of arXiv:1905.02244).
    for kernel, inner, outputs, squeezes, swish, stride in (
            (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2),
            (5, 120, 40, 1, 0, 1), (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2),
            (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
            (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2),
            (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1)):
        narrow = max(8, (inner // 4 + 4) // 8 * 8)
        squeeze = (lambda y: b.squeeze(y, inner, narrow, b.relu, lambda z: b.op(
            "HardSigmoid", z, alpha=1 / 6, beta=0.5))) if squeezes else None
        x = inverted_residual(b, x, channels, inner, outputs, kernel, stride,
                              b.hard_swish if swish else b.relu, squeeze)
        channels = outputs
    b.classify(b.hard_swish(b.conv(x, channels, 960, 1)), 960)


def efficientnet_b0(b):
    x, channels = b.silu(b.conv("x", 3, 32, 3, 2)), 32
    for factor, outputs, blocks, first, kernel in (
            (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
            (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)):
        for block in range(blocks):
            inner, narrow = factor * channels, max(1, channels // 4)
            x = inverted_residual(
                b, x, channels, inner, outputs, kernel, first if block == 0 else 1, b.silu,
                lambda y: b.squeeze(y, inner, narrow, b.silu, lambda z: b.op("Sigmoid", z)))
            channels = outputs
    b.classify(b.silu(b.conv(x, channels, 1280, 1)), 1280)


def squeezenet(b):
    x, channels = b.pool(b.relu(b.conv("x", 3, 64, 3, 2)), pad=0), 64
    for block, (inner, outputs) in enumerate(((16, 64), (16, 64), (32, 128), (32, 128), (48, 192),
                                              (48, 192), (64, 256), (64, 256))):
        if block in (2, 4):
            x = b.pool(x, pad=0)
        x = b.relu(b.conv(x, channels, inner, 1))
        x = b.op("Concat", b.relu(b.conv(x, inner, outputs, 1)),
                 b.relu(b.conv(x, inner, outputs, 3)), axis=1)
        channels = 2 * outputs
    x = b.relu(b.conv(x, channels, CLASSES, 1))
    b.result(b.op("Flatten", b.op("GlobalAveragePool", x)), "y")


def yolo(b):
    """A detector with a path of features down and up again, like YOLOv5 n."""
    def layer(x, channels, outputs, kernel=1, stride=1):
        return b.silu(b.conv(x, channels, outputs, kernel, stride))

    def stage(x, channels, outputs, blocks, residual=True):
        half = outputs // 2
        left, right = layer(x, channels, half), layer(x, channels, half)
        for _ in range(blocks):
            y = layer(layer(left, half, half), half, half, 3)
            left = b.op("Add", left, y) if residual else y
        return layer(b.op("Concat", left, right, axis=1), outputs, outputs)

    def enlarge(x):
        return b.op("Resize", x, "", b.add(np.array([1, 1, 2, 2], np.float32)), mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    x = stage(layer(layer("x", 3, 16, 3, 2), 16, 32, 3, 2), 32, 32, 1)
    fine = stage(layer(x, 32, 64, 3, 2), 64, 64, 2)
    middle = stage(layer(fine, 64, 128, 3, 2), 128, 128, 3)
    x = layer(stage(layer(middle, 128, 256, 3, 2), 256, 256, 1), 256, 128)
    pools = [x]
    for _ in range(3):
        pools.append(b.pool(pools[-1], 5, 1, 2))
    coarse = layer(layer(b.op("Concat", *pools, axis=1), 512, 256), 256, 128)
    x = layer(stage(b.op("Concat", enlarge(coarse), middle, axis=1), 256, 128, 1, False), 128, 64)
    small = stage(b.op("Concat", enlarge(x), fine, axis=1), 128, 64, 1, False)
    x = b.op("Concat", layer(small, 64, 64, 3, 2), x, axis=1)
    medium = stage(x, 128, 128, 1, False)
    x = b.op("Concat", layer(medium, 128, 128, 3, 2), coarse, axis=1)
    large = stage(x, 256, 256, 1, False)
    for name, value, channels in (("y", small, 64), ("y2", medium, 128), ("y3", large, 256)):
        b.result(b.op("Sigmoid", b.conv(value, channels, 255, 1)), name)


def convnext_tiny(b):
    def norm(x, channels):
        """Over the channels of an image, which stand last for it."""
        x = b.norm(b.op("Transpose", x, perm=[0, 2, 3, 1]), channels)
        return b.op("Transpose", x, perm=[0, 3, 1, 2])

    def patches(x, channels, outputs, size):
        weight = b.weight(outputs, channels, size, size, scale=(channels * size * size) ** -0.5)
        return b.op("Conv", x, weight, b.weight(outputs), kernel_shape=[size] * 2,
                    strides=[size] * 2)

    x, channels = norm(patches("x", 3, 96, 4), 96), 96
    for stage, blocks in enumerate((3, 3, 9, 3)):
        if stage > 0:
            x = patches(norm(x, channels), channels, 2 * channels, 2)
            channels *= 2
        for _ in range(blocks):
            y = b.op("Transpose", b.conv(x, channels, channels, 7, groups=channels),
                     perm=[0, 2, 3, 1])
            y = b.gelu(b.linear(b.norm(y, channels), channels, 4 * channels))
            y = b.op("Mul", b.linear(y, 4 * channels, channels), b.weight(channels, scale=0.5))
            x = b.op("Add", x, b.op("Transpose", y, perm=[0, 3, 1, 2]))
    b.classify(x, channels)


def deeplab(b):
    """ResNet-18's first stages, then convolutions of several dilations side by side."""
    x, channels = b.pool(b.relu(b.conv("x", 3, 64, 7, 2))), 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 1)):
        y = b.relu(b.conv(x, channels, outputs, 3, stride))
        x = b.relu(b.op("Add", b.conv(y, outputs, outputs, 3, gain=0.5),
                        b.conv(x, channels, outputs, 1, stride, gain=0.5)))
        channels = outputs
    branches = [b.relu(b.conv(x, channels, 256, 1))]
    branches += [b.relu(b.conv(x, channels, 256, 3, dilation=d)) for d in (12, 24, 36)]
    x = b.relu(b.conv(b.op("Concat", *branches, axis=1), 1024, 256, 1))
    x = b.conv(b.relu(b.conv(x, 256, 256, 3)), 256, 21, 1)
    sizes = b.add(np.array([1, 1, 16, 16], np.float32))
    b.result(b.op("Resize", x, "", sizes, mode="linear"), "y")


# Each with its inputs.
NETWORKS = {
    **{name: (make, IMAGE) for name, make in (
        ("resnet18", resnet((2, 2, 2, 2), False)), ("resnet50", resnet((3, 4, 6, 3), True)),
        ("mobilenet_v2", mobilenet_v2), ("mobilenet_v3", mobilenet_v3),
        ("efficientnet_b0", efficientnet_b0), ("squeezenet", squeezenet),
        ("convnext_tiny", convnext_tiny), ("deeplab", deeplab))},
    "yolo": (yolo, {"x": floats(3, 320, 320)}),
}
