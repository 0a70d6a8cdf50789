"""The Keras models that make_networks.py converts.

Inputs of integers are numbers of words, categories or users, below VOCABULARY.
"""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf

L = tf.keras.layers
VOCABULARY = 100

# Of keras.applications, with the smallest image that `make_networks.py` gives it. Images of those in
# WIDE_IMAGES are numbers up to 255, which layers of their own bring to their range.
APPLICATIONS = {
    "MobileNet": 96, "MobileNetV2": 96, "MobileNetV3Small": 96, "MobileNetV3Large": 96,
    "EfficientNetB0": 96, "EfficientNetV2B0": 96, "ResNet50": 96, "ResNet50V2": 96,
    "DenseNet121": 96, "InceptionV3": 96, "Xception": 96, "NASNetMobile": 96, "VGG16": 64,
    "ConvNeXtTiny": 64}
WIDE_IMAGES = {"MobileNetV3Small", "MobileNetV3Large", "EfficientNetB0", "EfficientNetV2B0",
               "ConvNeXtTiny"}


class Function(L.Layer):
    """A layer that computes a function of its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


def application(name, size):
    """The scores before their softmax, which tells less of random weights."""
    return getattr(tf.keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classifier_activation=None)


def conv(filters, kernel=3, activation="relu", **more):
    return tf.keras.Sequential([
        L.Conv2D(filters, kernel, padding="same", use_bias=False, **more), L.BatchNormalization(),
        L.Activation(activation)])


def mlp():
    return tf.keras.Sequential([L.Input((784,)), L.Dense(128, activation="relu"),
                                L.Dense(10, activation="softmax")])


def digits_cnn():
    return tf.keras.Sequential([
        L.Input((28, 28, 1)), L.Conv2D(32, 3, activation="relu"), L.MaxPool2D(),
        L.Conv2D(64, 3, activation="relu"), L.MaxPool2D(), L.Flatten(), L.Dropout(0.5),
        L.Dense(10, activation="softmax")])


def unet():
    image = L.Input((64, 64, 3))
    skips, x = [], image
    for filters in (8, 16, 32):
        x = conv(filters)(conv(filters)(x))
        skips.append(x)
        x = L.MaxPool2D()(x)
    x = conv(64)(x)
    for filters, skip in zip((32, 16, 8), reversed(skips)):
        x = L.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        x = conv(filters)(L.Concatenate()([x, skip]))
    return tf.keras.Model(image, L.Conv2D(2, 1, activation="softmax")(x))


def segmentation():
    """Atrous pyramid and bilinear sizes, as DeepLab has them."""
    image = L.Input((65, 65, 3))
    low = conv(16, strides=2)(image)
    x = conv(32, strides=2)(low)
    mean = L.Resizing(17, 17)(conv(16, 1)(L.GlobalAveragePooling2D(keepdims=True)(x)))
    x = L.Concatenate()([conv(16, 1)(x), conv(16, dilation_rate=2)(x), conv(16, dilation_rate=4)(x),
                         mean])
    x = L.Concatenate()([L.Resizing(33, 33)(conv(16, 1)(x)), low])
    return tf.keras.Model(image, L.Resizing(65, 65)(L.Conv2D(5, 1)(conv(16)(x))))


def autoencoder():
    return tf.keras.Sequential([
        L.Input((32, 32, 3)), conv(16, strides=2), conv(32, strides=2), L.Flatten(),
        L.Dense(24), L.Dense(8 * 8 * 32, activation="relu"), L.Reshape((8, 8, 32)),
        L.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
        L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="sigmoid")])


def generator():
    """Images of noise, as DCGAN makes them."""
    return tf.keras.Sequential([
        L.Input((32,)), L.Dense(4 * 4 * 64, use_bias=False), L.BatchNormalization(),
        L.LeakyReLU(), L.Reshape((4, 4, 64)),
        L.Conv2DTranspose(32, 5, strides=2, padding="same", use_bias=False),
        L.BatchNormalization(), L.LeakyReLU(),
        L.Conv2DTranspose(3, 5, strides=2, padding="same", activation="tanh")])


def super_resolution():
    image = L.Input((32, 32, 3))
    x = L.Conv2D(32, 5, padding="same", activation="relu")(image)
    x = x + L.Conv2D(32, 3, padding="same", activation=L.PReLU(shared_axes=[1, 2]))(x)
    x = L.Conv2D(3 * 9, 3, padding="same")(x)
    return tf.keras.Model(image, Function(lambda y: tf.nn.depth_to_space(y, 3))(x))


def style_transfer():
    """Norms over each image, mirrored borders."""
    image = L.Input((32, 32, 3))
    mirror = lambda x, n: Function(
        lambda y: tf.pad(y, [[0, 0], [n, n], [n, n], [0, 0]], "REFLECT"))(x)
    norm = lambda x: L.GroupNormalization(groups=-1)(x)
    x = L.ReLU()(norm(L.Conv2D(8, 9)(mirror(image, 4))))
    x = L.ReLU()(norm(L.Conv2D(16, 3, strides=2)(mirror(x, 1))))
    x = x + norm(L.Conv2D(16, 3)(mirror(x, 1)))
    x = L.ReLU()(norm(L.Conv2D(8, 3)(mirror(L.UpSampling2D()(x), 1))))
    return tf.keras.Model(image, L.Conv2D(3, 9, activation="tanh")(mirror(x, 4)))


def ssd():
    """Boxes and scores of two sizes of cells, decoded at anchors."""
    image = L.Input((96, 96, 3))
    x = conv(16, strides=2)(image)
    x = conv(32, strides=2)(L.SeparableConv2D(32, 3, padding="same", activation="relu6")(x))
    cells = [conv(32, strides=2)(x)]
    cells.append(conv(32, strides=2)(cells[0]))
    head = lambda count: L.Concatenate(axis=1)(
        [L.Reshape((-1, count))(L.Conv2D(3 * count, 3, padding="same")(cell)) for cell in cells])
    random = np.random.RandomState(2)
    boxes, scores = head(4), L.Activation("sigmoid")(head(6))
    anchors = tf.constant(random.rand(1, boxes.shape[1], 4), tf.float32)

    def decode(raw):
        center = raw[..., :2] * 0.1 * anchors[..., 2:] + anchors[..., :2]
        half = tf.exp(raw[..., 2:] * 0.2) * anchors[..., 2:] * 0.5
        return tf.concat([center - half, center + half], -1)
    return tf.keras.Model(image, {"boxes": Function(decode)(boxes), "scores": scores})


def ssd_selected():
    """The same, with the ten best boxes that do not overlap."""
    model = ssd()

    def select(outputs):
        best = tf.reduce_max(outputs["scores"][0], -1)
        chosen = tf.image.non_max_suppression_padded(outputs["boxes"][0], best, 10, 0.5,
                                                     pad_to_max_output_size=True)[0]
        return tf.gather(outputs["boxes"][0], chosen), tf.gather(best, chosen)
    boxes, scores = Function(select)(model.output)
    return tf.keras.Model(model.input, {"boxes": boxes, "scores": scores})


def yolo():
    """Darknet's blocks, a pyramid upwards, and boxes of a grid."""
    image = L.Input((64, 64, 3))
    leaky = dict(activation=L.LeakyReLU(0.1))
    x = conv(16, strides=2, **leaky)(image)
    x = conv(32, strides=2, **leaky)(x)
    fine = x + conv(32, **leaky)(conv(16, 1, **leaky)(x))
    x = conv(64, strides=2, activation="silu")(fine)
    x = L.Concatenate()([L.MaxPool2D(size, 1, "same")(x) for size in (3, 5, 9)] + [x])
    up = L.Concatenate()([L.UpSampling2D()(conv(32, 1, activation="silu")(x)), fine])
    heads = [L.Reshape((-1, 7))(L.Conv2D(3 * 7, 1)(y)) for y in (up, x)]
    return tf.keras.Model(image, L.Activation("sigmoid")(L.Concatenate(axis=1)(heads)))


def keypoints():
    """Heat maps, and where each is largest."""
    image = L.Input((64, 64, 3))
    x = conv(32, strides=2, activation="relu6")(conv(16, strides=2, activation="relu6")(image))
    x = L.Conv2D(8, 1)(L.DepthwiseConv2D(5, padding="same", activation="hard_silu")(x))
    place = Function(lambda y: tf.argmax(tf.reshape(y, [-1, 256, 8]), 1, tf.int32))(x)
    return tf.keras.Model(image, {"maps": x, "places": place})


def separable():
    """Keyword spotting's network of separable convolutions."""
    return tf.keras.Sequential([
        L.Input((49, 10, 1)), conv(64, (10, 4), strides=2),
        *[layer for _ in range(4) for layer in
          (L.DepthwiseConv2D(3, padding="same", use_bias=False), L.BatchNormalization(), L.ReLU(),
           conv(64, 1))],
        L.AveragePooling2D((25, 5)), L.Flatten(), L.Dense(12, activation="softmax")])


def spectrogram_cnn():
    """Sound is made a spectrogram by the model itself."""
    sound = L.Input((4000,))

    def spectrum(x):
        frames = tf.stack([x[:, i:i + 256] for i in range(0, 4000 - 256, 128)], 1)
        frames = frames[:, :, None] * tf.constant(np.hanning(256), tf.float32)
        return tf.math.log(tf.abs(tf.signal.rfft2d(frames, [1, 256]))[:, :, 0] + 1e-3)[..., None]
    x = L.Resizing(32, 32)(Function(spectrum)(sound))
    x = L.MaxPool2D()(conv(16)(x))
    return tf.keras.Model(sound, L.Dense(8)(L.Flatten()(L.MaxPool2D()(conv(32)(x)))))


def sound_cnn():
    """Of spectrograms, with long windows."""
    return tf.keras.Sequential([
        L.Input((96, 64, 1)), conv(16, (7, 3), strides=(2, 1)), conv(32, (5, 3), strides=2),
        L.SeparableConv2D(48, 3, padding="same", activation="relu"),
        L.GlobalAveragePooling2D(), L.Dense(20, activation="sigmoid")])


def temporal_cnn():
    """Causal windows that grow."""
    series = L.Input((64, 6))
    x = series
    for i in range(4):
        y = L.Conv1D(16, 3, dilation_rate=2 ** i, padding="causal", activation="relu")(x)
        x = y + L.Conv1D(16, 1)(x)
    return tf.keras.Model(series, L.Dense(2)(Function(lambda y: y[:, -1])(x)))


def lstm():
    return tf.keras.Sequential([L.Input((20, 8), batch_size=1), L.LSTM(32, return_sequences=True),
                                L.LSTM(16), L.Dense(4, activation="softmax")])


def gru():
    return tf.keras.Sequential([L.Input((20, 8), batch_size=1), L.GRU(24, return_sequences=True),
                                L.GRU(16), L.Dense(4)])


def rnn():
    return tf.keras.Sequential([L.Input((20, 8), batch_size=1), L.SimpleRNN(24), L.Dense(4)])


def bidirectional():
    return tf.keras.Sequential([L.Input((12,), batch_size=1, dtype="int32"),
                                L.Embedding(VOCABULARY, 16), L.Bidirectional(L.LSTM(12)),
                                L.Dense(2)])


def encoder_layer(x, heads, mask=None):
    width = x.shape[-1]
    y = L.MultiHeadAttention(heads, width // heads)(x, x, attention_mask=mask)
    x = L.LayerNormalization()(x + y)
    y = L.Dense(width)(L.Dense(4 * width, activation="gelu")(x))
    return L.LayerNormalization()(x + y)


def transformer():
    x = series = L.Input((32, 32))
    for _ in range(2):
        x = encoder_layer(x, 4)
    return tf.keras.Model(series, L.Dense(5)(L.GlobalAveragePooling1D()(x)))


def text_classifier():
    """BERT's form: words, their places, a mask, the first word's pooled answer."""
    words = L.Input((24,), dtype="int32", name="words")
    mask = L.Input((24,), dtype="int32", name="mask")
    places = Function(lambda w: tf.range(24)[None] + 0 * w)(words)
    x = L.Embedding(VOCABULARY, 32)(words) + L.Embedding(24, 32)(places)
    x = L.LayerNormalization()(x)
    seen = Function(lambda m: tf.cast(m % 4 > 0, tf.bool)[:, None, :])(mask)
    for _ in range(2):
        x = encoder_layer(x, 4, seen)
    pooled = L.Dense(32, activation="tanh")(Function(lambda y: y[:, 0])(x))
    return tf.keras.Model([words, mask], L.Dense(3, activation="softmax")(pooled))


def text_cnn():
    words = L.Input((40,), dtype="int32")
    x = L.Embedding(VOCABULARY, 24)(words)
    x = L.Concatenate()([L.GlobalMaxPooling1D()(L.Conv1D(16, size, activation="relu")(x))
                         for size in (3, 4, 5)])
    return tf.keras.Model(words, L.Dense(2)(x))


def vision_transformer():
    image = L.Input((32, 32, 3))
    x = L.Reshape((16, 48))(L.Conv2D(48, 8, strides=8)(image))
    for _ in range(2):
        x = encoder_layer(x, 4)
    return tf.keras.Model(image, L.Dense(10)(L.GlobalAveragePooling1D()(x)))


def mixer():
    image = L.Input((32, 32, 3))
    x = L.Reshape((16, 32))(L.Conv2D(32, 8, strides=8)(image))
    for _ in range(2):
        y = L.Permute((2, 1))(L.LayerNormalization()(x))
        x = x + L.Permute((2, 1))(L.Dense(16)(L.Dense(32, activation="gelu")(y)))
        x = x + L.Dense(32)(L.Dense(64, activation="gelu")(L.LayerNormalization()(x)))
    return tf.keras.Model(image, L.Dense(10)(L.GlobalAveragePooling1D()(x)))


def tabular():
    """Categories by embeddings beside numbers, wide and deep."""
    city = L.Input((1,), dtype="int32", name="city")
    kind = L.Input((1,), dtype="int32", name="kind")
    numbers = L.Input((12,), name="numbers")
    parts = [L.Flatten()(L.Embedding(VOCABULARY, 8)(x)) for x in (city, kind)]
    x = L.Concatenate()([*parts, L.BatchNormalization()(numbers)])
    deep = L.Dense(16, activation="selu")(L.Dense(64, activation="relu")(x))
    return tf.keras.Model([city, kind, numbers],
                          L.Dense(1, activation="sigmoid")(L.Concatenate()([deep, numbers])))


def recommender():
    """Two towers; a user's best items."""
    user = L.Input((1,), dtype="int32", name="user")
    features = L.Input((50, 12), name="items")
    who = L.Dense(16)(L.Flatten()(L.Embedding(VOCABULARY, 24)(user)))
    items = L.Dense(16)(L.Dense(32, activation="elu")(features))
    scores = L.Dot((2, 1))([items, who])
    best = Function(lambda s: tf.math.top_k(s, 5))(scores)
    return tf.keras.Model([user, features], {"scores": best[0], "items": best[1]})


def factorization():
    """Pairs of features by their products."""
    x = L.Input((16, 8))
    pairs = Function(lambda y: 0.5 * (tf.reduce_sum(y, 1) ** 2 - tf.reduce_sum(y ** 2, 1)))(x)
    return tf.keras.Model(x, L.Dense(1)(L.Concatenate()([pairs, L.Flatten()(x)])))


FLOAT = ("f32", "f16", "dynamic")
ALL = ("f32", "f16", "dynamic", "int8")
SMALL = {
    mlp: (*ALL, "int16"), digits_cnn: (*ALL, "int16"), unet: (*ALL, "int16"), segmentation: ALL,
    autoencoder: (*ALL, "int16"), generator: ("f32", "int8"), super_resolution: ALL,
    style_transfer: ALL, ssd: ALL, ssd_selected: ("f32", "f16"), yolo: ALL, keypoints: ("f32", "int8"),
    separable: (*ALL, "int16"), spectrogram_cnn: FLOAT, sound_cnn: (*ALL, "int16"),
    temporal_cnn: ALL, lstm: FLOAT, gru: FLOAT, rnn: ("f32", "dynamic"), bidirectional: FLOAT,
    transformer: ALL, text_classifier: ALL, text_cnn: ALL, vision_transformer: ALL, mixer: ("f32", "int8"),
    tabular: ALL, recommender: ("f32", "dynamic"), factorization: ("f32", "int8")}
