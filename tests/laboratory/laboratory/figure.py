"""What nettlp-bench measured on guests of several sizes, as a figure: small panels side by side, logarithmic both ways.

The first panel counts dependent rounds, which hardly depend on the machine; the others show time, one for each delay, all with the
same axis. Numbers between the two lines say how many times lower the lower one is. The picture follows the reader's light or dark mode.
"""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 1080, 470
TOP, BOTTOM = 118, 372
FIRST, PANEL, GAP, AXIS = 64, 168, 20, 56
PADDING = 30
# Lines nearer than this, in pixels, leave no room for a number between them.
CLOSE = 32

STYLE = """
  .ground { fill: #ffffff; stroke: #d8dee4 } .ink { fill: #1f2328 } .quiet { fill: #59636e } .grid { stroke: #e6eaef }
  .slow { stroke: #bc4c00 } .fast { stroke: #0969da } .slow-ink { fill: #bc4c00 } .fast-ink { fill: #0969da }
  .span { stroke: #9aa4af } .halo { stroke: #ffffff }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #30363d } .ink { fill: #e6edf3 } .quiet { fill: #9198a1 } .grid { stroke: #21262d }
    .slow { stroke: #f0883e } .fast { stroke: #58a6ff } .slow-ink { fill: #f0883e } .fast-ink { fill: #58a6ff }
    .span { stroke: #59636e } .halo { stroke: #0d1117 }
  }
  text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
  .title { font-size: 19px; font-weight: 600 } .head { font-size: 13px; font-weight: 600 } .small { font-size: 11px }
  .ratio { font-size: 12px; font-weight: 600; paint-order: stroke; stroke-width: 5px; stroke-linejoin: round }
  .value { paint-order: stroke; stroke-width: 4px; stroke-linejoin: round }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round } .dot { stroke: none }
"""


class Scale:
    """A logarithmic axis from one power of ten to another."""

    def __init__(self, values, start, end):
        # Some room below the lowest value, to write it.
        self.low = max(math.floor(math.log10(min(values)) - 0.3), 0)
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self.start, self.end = start, end

    def at(self, value):
        """Where a value is, in pixels."""
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self):
        """The powers of ten."""
        return [10.0 ** power for power in range(self.low, self.high + 1)]


def figure(bench):
    """The SVG text of what `lab bench` measured (see bench.py for its form)."""
    guests = sorted(bench["guests"], key=lambda guest: guest["delays"][0]["query"]["rows"])
    sizes = [guest["delays"][0]["query"]["rows"] for guest in guests]
    delays = [at["delay_us"] for at in guests[0]["delays"]]
    rounds = [pair(guest["delays"][0], "rounds") for guest in guests]
    times = [[pair(guest["delays"][index], "elapsed_us") for guest in guests] for index in range(len(delays))]
    flat = [value for column in times for both in column for value in both]
    round_scale = Scale([value for both in rounds for value in both], BOTTOM, TOP)
    time_scale = Scale(flat, BOTTOM, TOP)
    parts = heading()
    parts += panel(FIRST, "dependent rounds", sizes, rounds, round_scale, count, True)
    left = FIRST + PANEL + AXIS + GAP
    for index, delay in enumerate(delays):
        head = f"time, {delay_name(delay)}"
        parts += panel(left, head, sizes, times[index], time_scale, duration, index == 0)
        left += PANEL + GAP
    parts.append(text(FIRST + PANEL / 2, BOTTOM + 36, "processes", "small quiet", "middle"))
    parts += foot(bench, guests)
    width = max(WIDTH, left - GAP + 24)
    return document(width, parts)


def pair(at, key):
    """The two ways' values of one measurement; never below one, for the logarithm."""
    return max(at["serial"][key], 1), max(at["query"][key], 1)


def document(width, parts):
    """The parts in their frame."""
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" role="img">\n'
            f"<title>Listing all processes over NetTLP: one read at a time, and nettlp-q</title>\n<style>{STYLE}</style>\n"
            f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{HEIGHT - 1}" rx="8"/>\n{body}\n</svg>\n')


def text(x, y, words, style="ink", anchor="start"):
    """One line of text."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def heading():
    """Title, and what the two lines are."""
    return [
        text(24, 36, "Listing all processes over NetTLP", "title ink"),
        '<line class="slow line" x1="26" y1="57" x2="46" y2="57"/>',
        text(54, 61, "one read at a time: one tag, one field a read, as LibTLP’s process-list", "slow-ink"),
        '<line class="fast line" x1="506" y1="57" x2="526" y2="57"/>',
        text(534, 61, "nettlp-q: all that can be read now is read now", "fast-ink"),
    ]


def panel(left, head, sizes, pairs, scale, label, has_axis):
    """One panel: grid, two lines with their values at the ends, and between them how many times lower the lower one is."""
    across = positions(left, sizes)
    parts = [text(left, TOP - 18, head, "head ink")]
    for tick in scale.ticks():
        y = scale.at(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{left + PANEL}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if has_axis:
            parts.append(text(left - 8, y + 4, label(tick), "small quiet", "end"))
    for x, size in zip(across, sizes):
        parts.append(text(x, BOTTOM + 18, count(size), "small quiet", "middle"))
    for x, (slow, fast) in zip(across, pairs):
        parts.append(f'<line class="span" stroke-dasharray="2 3" x1="{x:.1f}" x2="{x:.1f}" '
                     f'y1="{scale.at(slow):.1f}" y2="{scale.at(fast):.1f}"/>')
    for which, style in ((0, "slow"), (1, "fast")):
        points = [(x, scale.at(both[which])) for x, both in zip(across, pairs)]
        parts.append(f'<polyline class="{style} line" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"/>')
        parts += [f'<circle class="{style}-ink dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points]
    # Both lines rise to the right: the room beside them is above to the left and below to the right.
    for end in (0, -1):
        slow, fast = pairs[end]
        parts.append(text(across[end] + 6, scale.at(slow) - 9, label(slow), "value small slow-ink halo", "end"))
        parts.append(text(across[end] - 6, scale.at(fast) + 18, label(fast), "value small fast-ink halo"))
    for x, (slow, fast) in zip(across, pairs):
        above, below = scale.at(slow), scale.at(fast)
        middle = (above + below) / 2 if abs(below - above) > CLOSE else max(above, below) + CLOSE
        parts.append(text(x, middle + 4, ratio(slow / fast), "ratio halo ink", "middle"))
    return parts


def positions(left, sizes):
    """Where the guests are in a panel, by the logarithm of their processes."""
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])
    if low == high:
        return [left + PANEL / 2 for _ in sizes]
    return [left + PADDING + (math.log10(size) - low) / (high - low) * (PANEL - 2 * PADDING) for size in sizes]


def foot(bench, guests):
    """What was measured, how, and how to do it again."""
    first = guests[0]
    lines = [
        "A round is a read that needs the bytes of the one before it; the delay is from a request’s arrival to its answer. "
        "Bold: how many times lower.",
        f"{first['query']}   ·   Linux {first['kernel']}   ·   {first.get('processor') or 'unknown processor'}, UDP on loopback, "
        f"best of {first['repeat']}   ·   {bench['command']}",
    ]
    return [text(24, HEIGHT - 38 + 18 * number, line, "small quiet") for number, line in enumerate(lines)]


def count(number):
    """A number with thin spaces between thousands."""
    return f"{number:,.0f}".replace(",", "\u202f")


def ratio(value):
    """8.4× or 512×."""
    return f"{value:.1f}×" if value < 10 else f"{count(value)}×"


def duration(microseconds):
    """A time with two digits at least: 12 µs, 6.8 ms, 63 s."""
    for unit, length in (("s", 1e6), ("ms", 1e3), ("µs", 1)):
        if microseconds >= length or length == 1:
            number = microseconds / length
            return f"{number:.1f} {unit}" if number < 10 and number != round(number) else f"{count(number)} {unit}"


def delay_name(microseconds):
    """A delay in words."""
    return "no delay" if microseconds == 0 else f"delay {duration(microseconds)}"
