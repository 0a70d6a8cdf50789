"""Transformers that convolve first or look through windows: sound and images at real sizes, with
random weights."""
import numpy as np

from models.transformers import CLASSES, IMAGE, WORDS, encoder, floats, words


def slices(b, x, first, end, axis):
    return b.op("Slice", x, b.ints(first), b.ints(end), b.ints(axis))


def roll(b, x, by):
    """Rows and columns of [N, side, side, hidden], shifted by `by` around the ends."""
    for axis in (1, 2):
        x = b.op("Concat", slices(b, x, by, np.iinfo(np.int64).max, axis),
                 slices(b, x, 0, by, axis), axis=axis)
    return x


def shifted_window_bias(side, window, shift):
    """What keeps apart patches that are neighbours only around an end: [windows, 1, w * w, w * w]."""
    region = np.zeros((side, side), np.int64)
    ends = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for i, rows in enumerate(ends):
        for j, columns in enumerate(ends):
            region[rows, columns] = 3 * i + j
    count = side // window
    region = region.reshape(count, window, count, window).transpose(0, 2, 1, 3)
    region = region.reshape(count * count, 1, window * window)
    apart = region[:, :, None, :] != region[:, :, :, None]
    return np.where(apart, -100, 0).astype(np.float32)


def swin_tiny(b):
    """Windows of 7 x 7 patches, every second time shifted by 3 (arXiv:2103.14030)."""
    window, shift, side, hidden = 7, 3, 56, 96

    def windows_of(x, hidden):
        x = b.op("Reshape", x, b.ints(-1, side // window, window, side // window, window, hidden))
        x = b.op("Transpose", x, perm=[0, 1, 3, 2, 4, 5])
        return b.op("Reshape", x, b.ints(-1, window * window, hidden))

    def image_of(x, hidden):
        x = b.op("Reshape", x, b.ints(-1, side // window, side // window, window, window, hidden))
        x = b.op("Transpose", x, perm=[0, 1, 3, 2, 4, 5])
        return b.op("Reshape", x, b.ints(-1, side, side, hidden))

    def block(x, hidden, heads, shifted):
        b.heads, size = (heads, 32), window * window
        bias = b.weight(1, heads, size, size, scale=0.5)
        if shifted:
            bias = b.op("Add", bias, b.add(shifted_window_bias(side, window, shift)))
        y = b.norm(x, hidden)
        y = windows_of(roll(b, y, shift) if shifted else y, hidden)
        y = image_of(b.attention(y, y, hidden, (size, size), bias=bias), hidden)
        x = b.op("Add", x, roll(b, y, side - shift) if shifted else y)
        return b.op("Add", x, b.feed_forward(b.norm(x, hidden), hidden))

    x = b.op("Conv", "x", b.weight(hidden, 3, 4, 4, scale=1 / 7), b.weight(hidden),
             kernel_shape=[4, 4], strides=[4, 4])
    x = b.norm(b.op("Transpose", x, perm=[0, 2, 3, 1]), hidden)
    for stage, blocks in enumerate((2, 2, 6, 2)):
        if stage > 0:
            # Four neighbours become one patch.
            parts = [b.op("Slice", x, b.ints(i, j), b.ints(side, side), b.ints(1, 2), b.ints(2, 2))
                     for j in (0, 1) for i in (0, 1)]
            x = b.norm(b.op("Concat", *parts, axis=3), 4 * hidden)
            x, side, hidden = b.project(x, 4 * hidden, 2 * hidden), side // 2, 2 * hidden
        for index in range(blocks):
            x = block(x, hidden, 3 << stage, index % 2 == 1 and side > window)
    x = b.op("ReduceMean", b.norm(x, hidden), axes=[1, 2], keepdims=0)
    b.result(b.linear(x, hidden, CLASSES), "y")


def conv1d(b, x, channels, outputs, kernel, stride=1, pad=0, groups=1, bias=True):
    weight = b.weight(outputs, channels // groups, kernel,
                      scale=(2 / (channels // groups * kernel)) ** 0.5)
    return b.op("Conv", x, weight, *([b.weight(outputs)] if bias else []), kernel_shape=[kernel],
                strides=[stride], pads=[pad, pad], group=groups)


def wav2vec2_base(b):
    """A second of sound at 16 kHz (arXiv:2006.11477)."""
    hidden, length = 768, 49
    x = b.op("Unsqueeze", "x", b.ints(1))
    for layer, (kernel, stride) in enumerate(((10, 5), *((3, 2),) * 4, (2, 2), (2, 2))):
        x = conv1d(b, x, 512 if layer else 1, 512, kernel, stride, bias=False)
        if layer == 0:
            x = b.op("InstanceNormalization", x, b.add(np.ones(512, np.float32)), b.weight(512))
        x = b.gelu(x)
    x = b.dense(b.norm(b.op("Transpose", x, perm=[0, 2, 1]), 512), 512, hidden)
    # Positions by a wide convolution in groups, whose last result is dropped.
    y = conv1d(b, b.op("Transpose", x, perm=[0, 2, 1]), hidden, hidden, 128, pad=64, groups=16)
    y = b.op("Transpose", b.gelu(slices(b, y, 0, -1, 2)), perm=[0, 2, 1])
    x = b.norm(b.op("Add", x, y), hidden)
    b.result(b.linear(encoder(b, x, hidden, 12, length, False), hidden, 32), "y")


def whisper_tiny(b):
    """30 s of sound as 3000 mel spectra, and 16 words written (arXiv:2212.04356)."""
    hidden, read, written = 384, 1500, 16
    b.heads = 6, 64
    x = b.gelu(conv1d(b, "x", 80, hidden, 3, pad=1))
    x = b.gelu(conv1d(b, x, hidden, hidden, 3, 2, 1))
    x = b.op("Add", b.op("Transpose", x, perm=[0, 2, 1]), b.weight(read, hidden, scale=0.1))
    seen = b.norm(encoder(b, x, hidden, 4, read, True), hidden)
    y = b.op("Add", b.embed("written", hidden), b.weight(written, hidden, scale=0.1))
    bias = b.causal_bias(written)
    for _ in range(4):
        z = b.norm(y, hidden)
        y = b.op("Add", y, b.attention(z, z, hidden, (written, written), bias=bias))
        z = b.norm(y, hidden)
        y = b.op("Add", y, b.attention(z, seen, hidden, (written, read)))
        y = b.op("Add", y, b.feed_forward(b.norm(y, hidden), hidden))
    b.result(b.project(b.norm(y, hidden), hidden, WORDS), "y")


NETWORKS = {
    "swin_tiny": (swin_tiny, IMAGE),
    "wav2vec2_base": (wav2vec2_base, {"x": floats(16000)}),
    "whisper_tiny": (whisper_tiny, {"x": floats(80, 3000), "written": words(16)}),
}
