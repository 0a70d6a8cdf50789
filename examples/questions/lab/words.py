"""Words that follow from figures: whether one time is less than another, and how much."""

# Medians that are nearer than this are the same on a machine that does other things, too.
NOISE = 0.05


def relation(row, other):
    """How a row stands to another: "faster", "slower", or "same" where the middle halves of their
    samples overlap or the medians are within NOISE."""
    apart = row["high"] < other["low"] or other["high"] < row["low"]
    if not apart or abs(row["ms"] - other["ms"]) <= NOISE * max(row["ms"], other["ms"]):
        return "same"
    return "faster" if row["ms"] < other["ms"] else "slower"


def number(value):
    """Three significant digits without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(value):
    return f"{number(value)} times"


def against(row, other):
    """"is 3 times as fast as", "takes 3 times as long as", or "takes the same time as"."""
    how = relation(row, other)
    if how == "same":
        return "takes the same time, within the spread, as"
    if how == "faster":
        return f"is {times(other['ms'] / row['ms'])} as fast as"
    return f"takes {times(row['ms'] / other['ms'])} as long as"


def points(share, other, count):
    """How a share of right answers stands to another, where `count` samples were asked: words,
    and whether it is surely less. Within two standard errors they cannot be told apart."""
    error = ((share * (1 - share) + other * (1 - other)) / count) ** 0.5
    difference = 100 * abs(share - other)
    if abs(share - other) <= 2 * error:
        return f"as accurate as far as {count:,} samples tell ({100 * (share - other):+.1f} points)", False
    return f"{difference:.1f} points {'more' if share > other else 'less'} accurate", share < other


def find(rows, **values):
    """The row with these values that was measured, else None."""
    for row in rows:
        if all(row.get(key) == value for key, value in values.items()):
            return row if "ms" in row else None
    return None


def listed(names):
    names = list(names)
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def duration(ms):
    """With the unit that suits it."""
    for factor, unit in ((1e-3, "s"), (1, "ms"), (1e3, "µs")):
        if ms * factor >= 1:
            return f"{number(ms * factor)} {unit}"
    return f"{number(ms * 1e6)} ns"


def spread(row):
    return f"{duration(row['low'])} – {duration(row['high'])}"


def beside(named, other, what):
    """A sentence on each of {name: row} and another row: those that are the same together."""
    same = [name for name, row in named.items() if relation(row, other) == "same"]
    parts = [f"{name} {against(row, other)} {what}" for name, row in named.items()
             if name not in same]
    if same:
        verb = "takes" if len(same) == 1 else "take"
        parts.insert(0, f"{listed(same)} {verb} the same time, within the spread, as {what}")
    return "; ".join(parts)
