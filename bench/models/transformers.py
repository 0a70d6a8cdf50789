"""Transformers on words and patches of images at real sizes, with random weights."""
import numpy as np

from models.builder import Builder

CLASSES = 1000
WORDS = 2000


def floats(*shape):
    """An input: its type and sizes without the batch."""
    return np.float32, shape


def words(count):
    return np.int64, (count,)


class Transformer(Builder):
    """With the layers that several transformers have, written as exporters write them."""

    # Heads, and the size of each; heads of keys and values.
    heads, key_heads = (12, 64), 12

    def __init__(self, opset):
        super().__init__(opset)
        # Inputs that hold what a decoder has seen: (name, shape).
        self.caches = []

    def norm(self, x, size):
        return self.op("LayerNormalization", x, self.add(np.ones(size, np.float32)),
                       self.weight(size), axis=-1, epsilon=1e-5)

    def rms_norm(self, x, size):
        """Without a mean (arXiv:1910.07467)."""
        square = self.op("ReduceMean", self.op("Pow", x, self.scalar(2.0)), axes=[-1])
        root = self.op("Sqrt", self.op("Add", square, self.scalar(1e-6)))
        return self.op("Mul", self.op("Div", x, root), self.add(np.ones(size, np.float32)))

    def project(self, x, rows, columns):
        """A product without a bias."""
        return self.op("MatMul", x, self.weight(rows, columns, scale=rows ** -0.5))

    def dense(self, x, rows, columns):
        return self.linear(x, rows, columns, rows ** -0.5)

    def embed(self, ids, size):
        return self.op("Gather", self.weight(WORDS, size, scale=1), ids)

    def split(self, x, length, heads, size):
        """[N, length, heads * size] to [N, heads, length, size]."""
        x = self.op("Reshape", x, self.ints(0, length, heads, size))
        return self.op("Transpose", x, perm=[0, 2, 1, 3])

    def attend(self, query, key, value, length, bias=None, scaled=True):
        """What heads of [N, heads, length, size] see, joined: [N, length, heads * size]."""
        heads, size = self.heads
        scores = self.op("MatMul", query, self.op("Transpose", key, perm=[0, 1, 3, 2]))
        if scaled:
            scores = self.op("Div", scores, self.scalar(size ** 0.5))
        if bias:
            scores = self.op("Add", scores, bias)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), value)
        mixed = self.op("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.op("Reshape", mixed, self.ints(0, length, heads * size))

    def attention(self, x, memory, hidden, lengths, layer=None, **how):
        """Of `x` to `memory`, whose lengths are `lengths`, by `layer` (default: dense)."""
        layer, (heads, size) = layer or self.dense, self.heads
        query, key, value = (
            self.split(layer(source, hidden, heads * size), length, heads, size)
            for source, length in zip((x, memory, memory), (lengths[0], lengths[1], lengths[1])))
        joined = self.attend(query, key, value, lengths[0], **how)
        return layer(joined, heads * size, hidden)

    def feed_forward(self, x, hidden):
        return self.dense(self.gelu(self.dense(x, hidden, 4 * hidden)), 4 * hidden, hidden)

    def cached(self, layer, past, *new):
        """Keys and values of the past, which are inputs and outputs, and new ones."""
        joined = []
        for kind, value in zip(("key", "value"), new):
            name = f"past_{kind}{layer}"
            self.caches.append((name, (1, self.key_heads, past, self.heads[1])))
            joined.append(self.op("Concat", name, value, axis=2))
            self.result(joined[-1], f"present_{kind}{layer}")
        return joined

    def causal_bias(self, length):
        return self.add(np.triu(np.full((length, length), -1e9, np.float32), 1))


def encoder(b, x, hidden, layers, length, norm_first, bias=None):
    """Layers with the normalization before each half (ViT, GPT-2) or after it (BERT)."""
    def half(x, function):
        if norm_first:
            return b.op("Add", x, function(b.norm(x, hidden)))
        return b.norm(b.op("Add", x, function(x)), hidden)

    for _ in range(layers):
        x = half(x, lambda y: b.attention(y, y, hidden, (length, length), bias=bias))
        x = half(x, lambda y: b.feed_forward(y, hidden))
    return x


def bert(hidden, heads, layers, length):
    def make(b):
        b.heads = heads, hidden // heads
        x = b.norm(b.op("Add", b.embed("x", hidden), b.weight(length, hidden, scale=0.1)), hidden)
        b.result(b.linear(encoder(b, x, hidden, layers, length, False), hidden, 2), "y")
    return make


def vit(hidden, heads):
    def make(b):
        b.heads, patches = (heads, hidden // heads), 196
        weight = b.weight(hidden, 3, 16, 16, scale=1 / 28)
        x = b.op("Conv", "x", weight, kernel_shape=[16] * 2, strides=[16] * 2)
        x = b.op("Transpose", b.op("Reshape", x, b.ints(0, hidden, patches)), perm=[0, 2, 1])
        x = encoder(b, b.op("Add", x, b.weight(patches, hidden, scale=0.1)), hidden, 12, patches,
                    True)
        x = b.op("ReduceMean", b.norm(x, hidden), axes=[1], keepdims=0)
        b.result(b.linear(x, hidden, CLASSES), "y")
    return make


def gpt2(b, length, past):
    """12 layers of 768; with a past, keys and values of it are inputs."""
    hidden = 768
    x = b.op("Add", b.embed("x", hidden), b.weight(length, hidden, scale=0.1))
    for layer in range(12):
        y = b.norm(x, hidden)
        query, key, value = (b.split(b.dense(y, hidden, hidden), length, *b.heads)
                             for _ in range(3))
        bias = None if past else b.causal_bias(length)
        if past:
            key, value = b.cached(layer, past, key, value)
        y = b.attend(query, key, value, length, bias)
        x = b.op("Add", x, b.dense(y, hidden, hidden))
        x = b.op("Add", x, b.feed_forward(b.norm(x, hidden), hidden))
    b.result(b.project(b.norm(x, hidden), hidden, WORDS), "y")


def rotate(b, x, size, cosine, sine):
    """Rotary embedding (arXiv:2104.09864), halves as in Llama."""
    half, end = size // 2, np.iinfo(np.int64).max
    left = b.op("Slice", x, b.ints(0), b.ints(half), b.ints(3))
    right = b.op("Slice", x, b.ints(half), b.ints(end), b.ints(3))
    turned = b.op("Concat", b.op("Neg", right), left, axis=3)
    return b.op("Add", b.op("Mul", x, cosine), b.op("Mul", turned, sine))


def repeat_heads(b, x, count, length):
    """Each of the heads of keys and values serves `count` of queries."""
    heads, size = b.key_heads, b.heads[1]
    x = b.op("Unsqueeze", x, b.ints(2))
    x = b.op("Expand", x, b.ints(1, heads, count, length, size))
    return b.op("Reshape", x, b.ints(0, heads * count, length, size))


def llama(b, length, past):
    """12 layers of 1024 with 16 heads of queries, 4 of keys and values."""
    hidden, inner, (heads, size) = 1024, 2816, (16, 64)
    b.heads, b.key_heads = (heads, size), 4
    angles = np.outer(np.arange(past, past + length), 1e4 ** -np.linspace(0, 1, size // 2, False))
    angles = np.concatenate([angles, angles], 1).astype(np.float32)
    cosine, sine = b.add(np.cos(angles)), b.add(np.sin(angles))
    x = b.embed("x", hidden)
    for layer in range(12):
        y = b.rms_norm(x, hidden)
        query, key, value = (
            b.split(b.project(y, hidden, count * size), length, count, size)
            for count in (heads, b.key_heads, b.key_heads))
        query, key = (rotate(b, part, size, cosine, sine) for part in (query, key))
        bias = None if past else b.causal_bias(length)
        if past:
            key, value = b.cached(layer, past, key, value)
        key, value = (repeat_heads(b, part, heads // b.key_heads, past + length)
                      for part in (key, value))
        x = b.op("Add", x, b.project(b.attend(query, key, value, length, bias), hidden, hidden))
        y = b.rms_norm(x, hidden)
        gate = b.project(y, hidden, inner)
        gate = b.op("Mul", gate, b.op("Sigmoid", gate))
        y = b.op("Mul", gate, b.project(y, hidden, inner))
        x = b.op("Add", x, b.project(y, inner, hidden))
    b.result(b.project(b.rms_norm(x, hidden), hidden, WORDS), "y")


def t5_small(b):
    """6 layers of 512 on 64 words, and 6 that write 16 (arXiv:1910.10683): no biases in products,
    scores that depend on distances."""
    hidden, read, written = 512, 64, 16
    b.heads = 8, 64

    def near(length):
        return b.weight(1, 8, length, length, scale=0.5)

    def attention(x, memory, lengths, bias):
        y = b.attention(b.rms_norm(x, hidden), memory, hidden, lengths, b.project, bias=bias,
                        scaled=False)
        return b.op("Add", x, y)

    def feed_forward(x):
        y = b.op("Relu", b.project(b.rms_norm(x, hidden), hidden, 4 * hidden))
        return b.op("Add", x, b.project(y, 4 * hidden, hidden))

    x, bias = b.embed("x", hidden), near(read)
    for _ in range(6):
        x = feed_forward(attention(x, b.rms_norm(x, hidden), (read, read), bias))
    seen = b.rms_norm(x, hidden)
    y, bias = b.embed("written", hidden), b.op("Add", near(written), b.causal_bias(written))
    for _ in range(6):
        y = attention(y, b.rms_norm(y, hidden), (written, written), bias)
        y = feed_forward(attention(y, seen, (written, read), None))
    b.result(b.project(b.rms_norm(y, hidden), hidden, WORDS), "y")


# Each with its inputs, but for the caches.
IMAGE = {"x": floats(3, 224, 224)}
NETWORKS = {
    "bert_small": (bert(384, 6, 6, 128), {"x": words(128)}),
    "bert_base_24": (bert(768, 12, 12, 24), {"x": words(24)}),
    "bert_base_128": (bert(768, 12, 12, 128), {"x": words(128)}),
    "vit_tiny": (vit(192, 3), IMAGE), "vit_base": (vit(768, 12), IMAGE),
    "gpt2_prefill": (lambda b: gpt2(b, 64, 0), {"x": words(64)}),
    "gpt2_step": (lambda b: gpt2(b, 1, 64), {"x": words(1)}),
    "llama_prefill": (lambda b: llama(b, 64, 0), {"x": words(64)}),
    "llama_step": (lambda b: llama(b, 1, 64), {"x": words(1)}),
    "t5_small": (t5_small, {"x": words(64), "written": words(16)}),
}
