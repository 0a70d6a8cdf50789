"""The boxes that are left of those that overlap. How LiteRT orders equal scores follows from its heap:
of these the first box leads, as in TensorFlow, which is computed here."""
import numpy as np

from .model import case


def overlap(a, b):
    """The intersection by the union, in float32."""
    (low_a, high_a), (low_b, high_b) = [
        (np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])) for box in (a, b)]
    areas = [np.prod(high - low, dtype=np.float32) for low, high in ((low_a, high_a), (low_b, high_b))]
    if min(areas) <= 0:
        return np.float32(0)
    sides = np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), np.float32(0))
    common = np.prod(sides, dtype=np.float32)
    return common / (areas[0] + areas[1] - common)


def suppressed(boxes, scores, most, too_much, least, sigma):
    """Indices, scores and their number. Who is chosen waits again, and meets itself: without an area
    it is chosen once more."""
    waiting = {i: (score, 0) for i, score in enumerate(scores) if score > least}
    places, chosen, kept = min(most, len(waiting)), [], []
    while len(chosen) < places and waiting:
        box = min(waiting, key=lambda i: (-waiting[i][0], i))
        before, seen = waiting.pop(box)
        score, falls = before, False
        for other in reversed(chosen[seen:]):
            shared = overlap(boxes[box], boxes[other])
            if shared >= too_much:
                falls = True
                break
            if sigma > 0:
                score = score * np.exp(np.float32(-0.5) / sigma * shared * shared)
            if score <= least:
                break
        if falls:
            continue
        seen = len(chosen)
        if score == before:
            chosen.append(box)
            kept.append(score)
        if score > least:
            waiting[box] = (score, seen)
    blank = most - len(chosen)
    return (np.array(chosen + [0] * blank, np.int32), np.array(kept + [0] * blank, np.float32),
            np.int32(len(chosen)))


def drawn_boxes(draw, count):
    """Corners in any order; some alike, some without an area, some side by side."""
    low = draw.real((count, 2), 0, draw.one(0.5, 2, 10))
    boxes = np.concatenate([low, low + draw.real((count, 2), -1, 1)], 1)
    if draw.one(0, 1):
        boxes = np.round(boxes * draw.one(1, 4)) / 4
    some_are_flat = draw.one(0, 0, 1)
    for i in range(count):
        if i and draw.one(0, 0, 0, 0, 1):
            boxes[i] = boxes[draw.random.randint(i)]
        if some_are_flat and draw.one(0, 0, 0, 1):
            boxes[i, 2] = boxes[i, 0]
    return boxes.astype(np.float32)


@case("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5")
def suppression(model, draw, name):
    count, most = draw.one(1, 2, 7, 20, 60), draw.one(0, 1, 3, 10, 100)
    boxes = drawn_boxes(draw, count)
    scores = draw.real(count, draw.one(0, 0, -1), 1)
    if draw.one(0, 0, 1):
        scores = np.round(scores, 1)
    too_much = np.float32(draw.one(0, 0.25, 0.5, 0.75, 1, draw.random.rand()))
    least = np.float32(draw.one(-np.inf, 0, 0.25, 1, draw.random.rand()))
    sigma = np.float32(draw.one(0, 0.3, 0.5, 4) if name.endswith("5") else 0)
    pass_in = model.input if draw.one(0, 0, 1) else lambda x: model.constant(x, x.dtype)
    inputs = [model.input(boxes), model.input(scores),
              model.constant(most) if draw.one(0, 1, 1) else model.input(np.int32(most)),
              pass_in(too_much), pass_in(least)]
    outputs = [model.tensor([most], np.int32)]
    if name.endswith("5"):
        inputs.append(pass_in(sigma))
        outputs.append(model.tensor([most], np.float32))
    outputs.append(model.tensor([], np.int32))
    model.op(name, inputs, outputs)
    indices, kept, found = suppressed(boxes, scores, most, too_much, least, sigma)
    results = (indices, kept, found) if name.endswith("5") else (indices, found)
    if len(set(scores)) < count:
        model.known = dict(zip((f"t{i}" for i in outputs), results))
