"""Bars and lines as SVG, which follow the reader's dark mode."""
import html
import math

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2")
_STYLE = ("<style>text{fill:#222}line{stroke:#999}"
          "@media(prefers-color-scheme:dark){text{fill:#ddd}line{stroke:#777}}</style>")
_WIDTH = 680


def _svg(title, height, parts):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        'font-family="sans-serif" font-size="12">', f"<title>{html.escape(title)}</title>", _STYLE,
        *parts, "</svg>", ""])


def _text(x, y, words, anchor="start", size=12):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
            f"{html.escape(words)}</text>")


def bars(title, rows, logarithmic=True):
    """One bar for each (label, value, words at its end, number of its colour). On a logarithmic
    scale bars begin at a power of ten below the smallest."""
    rows = [row for row in rows if row[1] > 0]
    left, right, top, step = 250, 110, 34, 22
    values = [value for _, value, _, _ in rows]
    least = 10 ** math.floor(math.log10(min(values)) - 0.3) if logarithmic else 0
    most = max(values)

    def length(value):
        share = (math.log(value / least) / math.log(most / least) if logarithmic
                 else value / most)
        return (_WIDTH - left - right) * share

    scale = "logarithmic scale" if logarithmic else "from zero"
    parts = [_text(8, 18, f"{title} ({scale})", size=13)]
    for i, (label, value, words, colour) in enumerate(rows):
        y = top + step * i
        parts.append(_text(left - 8, y + 12, label, "end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{length(value):.1f}" height="{step - 7}" '
                     f'fill="{COLOURS[colour % len(COLOURS)]}"/>')
        parts.append(_text(left + length(value) + 5, y + 12, words, size=11))
    return _svg(title, top + step * len(rows) + 8, parts)


def _position(value, least, most, low, high, logarithmic):
    if logarithmic:
        value, least, most = (math.log(v) for v in (value, least, most))
    share = 0.5 if most == least else (value - least) / (most - least)
    return low + share * (high - low)


def _ticks(least, most, logarithmic):
    """1, 2 and 5 times the powers of ten; as few as tell the scale."""
    powers = range(math.floor(math.log10(least or most / 10)), math.ceil(math.log10(most)) + 1)
    if logarithmic:
        return [digit * 10.0 ** power for power in powers for digit in (1, 2, 5)
                if least <= digit * 10.0 ** power <= most]
    step = min(digit * 10.0 ** power for power in powers for digit in (1, 2, 5)
               if digit * 10.0 ** power >= most / 6)
    return [step * i for i in range(int(most / step) + 1)]


def lines(title, series, x_label, y_label, logarithmic_y=True):
    """Lines of {name: [(x, label of x, y)]}; x has even steps in its order."""
    names = list(series)
    labels = []
    for points in series.values():
        for x, label, _ in points:
            if (x, label) not in labels:
                labels.append((x, label))
    labels.sort()
    order = {x: i for i, (x, _) in enumerate(labels)}
    values = [y for points in series.values() for _, _, y in points]
    least = min(values) * 0.8 if logarithmic_y else 0
    most = max(values) * 1.1
    left, right, top, bottom = 80, _WIDTH - 20, 30 + 18 * ((len(names) + 1) // 2) + 8, 0
    bottom = top + 220
    parts = [_text(8, 18, f"{title}: {y_label} by {x_label}", size=13)]
    for i, name in enumerate(names):
        x, y = left + 300 * (i % 2), 36 + 18 * (i // 2)
        parts.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" '
                     f'fill="{COLOURS[i % len(COLOURS)]}"/>' + _text(x + 15, y, name))
    for tick in _ticks(least, most, logarithmic_y):
        y = _position(tick, least, most, bottom, top, logarithmic_y)
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" '
                     f'stroke-width="0.5"/>' + _text(left - 6, y + 4, f"{tick:.3g}", "end", 11))

    def at(x):
        return _position(order[x], 0, max(len(order) - 1, 1), left + 20, right - 20, False)

    for x, label in labels:
        parts.append(_text(at(x), bottom + 16, label, "middle", 11))
    for i, name in enumerate(names):
        points = [(at(x), _position(y, least, most, bottom, top, logarithmic_y))
                  for x, _, y in series[name]]
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return _svg(title, bottom + 26, parts)
