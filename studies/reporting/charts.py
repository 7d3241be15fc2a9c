"""The report's charts: inline SVG that follows the page's colours, light or dark, and its width.

Drawn with matplotlib in units of CSS pixels (72 dpi, so that a point is a pixel). Each chart comes in two widths,
because one drawing scaled to a phone would have unreadable labels; the page's style shows one of them. No text
from outside goes through matplotlib, which would read `$` as mathematics and miss glyphs: labels travel as
placeholders and are put into the finished SVG. This module loads matplotlib, so import it only to draw.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple
from unicodedata import combining, east_asian_width
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from elicit.safe_text import one_line

# Stand-ins for the page's colours: matplotlib wants real ones, the finished SVG gets the CSS variables.
INK, MUTED, GRID, WARN, BAND = "#010101", "#020202", "#030303", "#040404", "#050505"
SERIES = ("#0a0001", "#0a0002", "#0a0003", "#0a0004", "#0a0005", "#0a0006")
_NAMES = ("--ink", "--muted", "--rule", "--warn", "--band", "--c1", "--c2", "--c3", "--c4", "--c5", "--c6")
_VARIABLES = dict(zip((INK, MUTED, GRID, WARN, BAND, *SERIES), _NAMES, strict=True))
# Series differ by dashes too, so that a colour-blind reader or a grey print can tell them apart.
DASHES = ("", "7 3", "2 2", "9 3 2 3", "12 3", "5 2 1 2 1 2")
WIDE, NARROW = 820, 350
ROUND = (1, 2, 2.5, 5, 10)
TICK_GAP = 6
"""Pixels between two labels of an axis, at least."""
_LOCK = threading.Lock()


class Chart(NamedTuple):
    """The same drawing for a wide and for a narrow page."""

    wide: Markup
    narrow: Markup


class Whisker(NamedTuple):
    """One row of the utility chart: utilities in logits, `p_best` as the text to print."""

    label: str
    low: float
    middle: float
    high: float
    p_best: str


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with matplotlib's own defaults, whatever the user's configuration, one thread at a time."""
    with _LOCK, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "elicit", "font.size": 12})
        yield


def utilities(rows: Sequence[Whisker], title: str, summary: str) -> Chart:
    """Dots with whiskers, best on top; the text of an item stands left of its row, or above it on a phone."""
    labels = [one_line(row.label) for row in rows]
    low, high = min(row.low for row in rows), max(row.high for row in rows)

    def draw(fig: Figure, wide: bool) -> None:
        left, rise = (330.0, 0.0) if wide else (10.0, 0.36)
        ax = _axes(fig, left, 26, 66 if wide else 10, 44, x_grid=True)
        for i, row in enumerate(rows):
            color = SERIES[0] if i == 0 else INK
            y = i + (0 if wide else 0.16)
            ax.plot([row.low, row.high], [y, y], color=color, linewidth=2 if i else 3, solid_capstyle="round")
            ax.plot(row.middle, y, "D" if i == 0 else "o", color=color, markersize=8 if i == 0 else 6)
            line = ax.get_yaxis_transform()
            ax.text(-(left - 4) / _width(ax), i - rise, f"@{i}@", transform=line, color=INK, va="center")
            edge = 1 + (62 / _width(ax) if wide else 0)
            ax.text(edge, i - rise, row.p_best, transform=line, color=MUTED, va="center", ha="right")
        pad = 0.04 * (high - low or 1)
        ax.set(xlim=(low - pad, high + pad), ylim=(len(rows) - 0.4, -0.6 if wide else -0.75), yticks=[])
        _note(ax, 1 + (62 / _width(ax) if wide else 0), "P(best)", ha="right")
        ax.set_xlabel("utility in logits, 90 % interval", color=MUTED)

    height = len(rows)
    fitted = [_fit(label, 318) for label in labels], [_fit(label, 270) for label in labels]
    return _draw_both("utilities", title, summary, (height * 26 + 72, height * 42 + 72), draw, fitted)


def p_best(curves: Sequence[tuple[str, Sequence[float]]], title: str, summary: str) -> Chart:
    """Lines over votes, one per (short label such as `#1`, probabilities from vote 0 on); at most six."""
    span = max(len(values) for _, values in curves) - 1

    def draw(fig: Figure, wide: bool) -> None:
        ax = _axes(fig, 46, 12, 40, 44)
        top = min(1.0, 1.15 * max(max(values) for _, values in curves))
        # The favourite is drawn last, on top of the others.
        for i, (_, values) in reversed(list(enumerate(curves))):
            xs = range(span - len(values) + 1, span + 1)
            ax.plot(xs, values, color=SERIES[i], linewidth=1.5 if i else 2.5, linestyle=_dash(i))
        ax.set(xlim=(0, max(span, 1)), ylim=(0, top))
        height = _height(ax)
        for i, y in enumerate(_move_apart([values[-1] / top * height for _, values in curves], 14, height)):
            ax.text(1 + 6 / _width(ax), y / height, curves[i][0], color=SERIES[i], transform=ax.transAxes, va="center")
        _over_votes(ax, wide)

    return _draw_both("pbest", title, summary, (320, 260), draw)


def draw_expected(values: Sequence[float], threshold: float, title: str, summary: str, name: str) -> Chart:
    """What the stop rule measures (shares, from vote 0 on) with its threshold, called `name`."""

    def draw(fig: Figure, wide: bool) -> None:
        ax = _axes(fig, 46, 12, 22, 44)
        ax.plot(range(len(values)), values, color=SERIES[0], linewidth=2.5)
        ax.axhline(threshold, color=WARN, linewidth=1.5, linestyle=(0, (5, 3)))
        top = 1.1 * max(*values, threshold, 0.01)
        ax.set(xlim=(0, max(len(values) - 1, 1)), ylim=(0, top))
        # The words stand at the right where the curve is already below them, else at the left, where it is still high.
        x, ha = (1.0, "right") if values[len(values) * 4 // 5] < threshold else (6 / _width(ax), "left")
        ax.text(x, threshold + 0.015 * top, name, transform=ax.get_yaxis_transform(), color=WARN, ha=ha)
        _over_votes(ax, wide)

    return _draw_both("expected", title, summary, (300, 240), draw)


def sittings(times: Sequence[datetime], gap: timedelta) -> list[list[datetime]]:
    """The sorted times cut wherever more than `gap` passed without a vote."""
    groups: list[list[datetime]] = []
    for time in sorted(times):
        if not groups or time - groups[-1][-1] > gap:
            groups.append([])
        groups[-1].append(time)
    return groups


def votes_over_time(runs: Sequence[Sequence[datetime]], title: str, summary: str) -> Chart:
    """Votes so far against the clock (UTC); time between sittings is folded to a marked band of fixed width."""
    lengths = [(run[-1] - run[0]).total_seconds() for run in runs]
    # A single vote takes no time; it still gets a sliver of the axis.
    sliver = max(0.02 * sum(lengths), 1.0)
    lengths = [max(length, sliver) for length in lengths]
    band = min(0.07, 0.5 / max(len(runs) - 1, 1)) * sum(lengths)
    starts = [sum(lengths[:i]) + band * i for i in range(len(runs))]

    def draw(fig: Figure, wide: bool) -> None:
        ax = _axes(fig, 46, 12, 22, 44)
        xs, ys = [starts[0]], [0]
        for start, run in zip(starts, runs, strict=True):
            for time in run:
                xs.append(start + (time - run[0]).total_seconds())
                ys.append(ys[-1] + 1)
        end = starts[-1] + lengths[-1]
        ax.plot([*xs, end], [*ys, ys[-1]], color=SERIES[0], linewidth=2, drawstyle="steps-post")
        ax.set(xlim=(0, end), ylim=(0, 1.08 * ys[-1]))
        for i in range(1, len(runs)):
            ax.axvspan(starts[i] - band, starts[i], facecolor=BAND, linewidth=0)
            if band / end * _width(ax) > 15:
                # The text stands where the curve is not: above it in the first half, below it later.
                high = sum(len(run) for run in runs[:i]) < 0.5 * ys[-1]
                words = f"{duration(runs[i][0] - runs[i - 1][-1])} idle"
                ax.text(starts[i] - band / 2, 0.96 if high else 0.04, words, transform=ax.get_xaxis_transform(),
                        va="top" if high else "bottom", ha="center", rotation=90, color=MUTED, fontsize=11)  # fmt: skip
        ticks = _clock_ticks(runs, starts, end / _width(ax))
        ax.set_xticks([x for x, _ in ticks], [text for _, text in ticks])
        if ticks:
            ax.get_xticklabels()[0].set_horizontalalignment("left")
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=ROUND))
        ax.set_xlabel("clock time (UTC)", color=MUTED)

    return _draw_both("times", title, summary, (280, 240), draw)


def balance(share: float, low: float, high: float, title: str, summary: str) -> Chart:
    """Share of decided votes that went left, with its interval, against one half."""

    def draw(fig: Figure, wide: bool) -> None:
        ax = _axes(fig, 22, 26, 22, 30, x_grid=True)
        ax.axvline(0.5, color=WARN, linewidth=1.5, linestyle=(0, (5, 3)))
        ax.plot([low, high], [0, 0], color=SERIES[0], linewidth=3, solid_capstyle="round")
        ax.plot(share, 0, "D", color=SERIES[0], markersize=9, clip_on=False)
        ax.set(xlim=(0, 1), ylim=(-1, 1), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
        ax.xaxis.set_major_formatter(FuncFormatter(_percent))
        _note(ax, 0, "all right")
        _note(ax, 0.5, "balanced", ha="center", color=WARN)
        _note(ax, 1, "all left", ha="right")

    return _draw_both("balance", title, summary, (104, 104), draw)


def calibration(bins: Sequence[tuple[float, float, float, float, int]], title: str, summary: str) -> Chart:
    """Points (predicted, observed, low, high, n) against the diagonal; a point's area grows with n."""
    most = max(n for *_, n in bins)

    def draw(fig: Figure, wide: bool) -> None:
        ax = _axes(fig, 46, 12, 22, 44, x_grid=True)
        ax.plot([0, 1], [0, 1], color=WARN, linewidth=1.5, linestyle=(0, (5, 3)))
        for predicted, observed, low, high, n in bins:
            ax.plot([predicted, predicted], [low, high], color=SERIES[0], linewidth=1.5)
            ax.plot(predicted, observed, "o", color=SERIES[0], markersize=4 + 8 * (n / most) ** 0.5, clip_on=False)
        ticks = [0, 0.25, 0.5, 0.75, 1]
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=ticks, yticks=ticks)
        ax.xaxis.set_major_formatter(FuncFormatter(_percent))
        ax.yaxis.set_major_formatter(FuncFormatter(_percent))
        ax.set_xlabel("predicted", color=MUTED)

    return _draw_both("calibration", title, summary, (400, 340), draw, wide=460)


def histogram(counts: Sequence[int], title: str, summary: str) -> Chart:
    """Counts in equally wide bins from 0 to 1."""

    def draw(fig: Figure, wide: bool) -> None:
        ax = _axes(fig, 46, 12, 22, 44)
        size = 1 / len(counts)
        ax.bar([(i + 0.5) * size for i in range(len(counts))], counts, width=0.92 * size, color=SERIES[0])
        ax.set(xlim=(0, 1), ylim=(0, 1.1 * max(*counts, 1)), xticks=[0, 0.25, 0.5, 0.75, 1])
        ax.xaxis.set_major_formatter(FuncFormatter(_percent))
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=ROUND))
        ax.set_xlabel("probability that the first is preferred", color=MUTED)

    return _draw_both("labels", title, summary, (240, 220), draw)


def duration(span: timedelta) -> str:
    """A length of time in its one or two largest units, such as `3 h 20 min`."""
    seconds = round(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    parts, rest = [], round(seconds / 60)
    for unit, size in (("d", 1440), ("h", 60), ("min", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def _axes(fig: Figure, left: float, top: float, right: float, bottom: float, x_grid: bool = False) -> Axes:
    """Axes that fill the figure but for these margins in pixels, without a frame, with a faint grid."""
    width, height = fig.get_size_inches() * 72
    ax = fig.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=12, labelcolor=MUTED, pad=6)
    ax.grid(axis="x" if x_grid else "y", color=GRID, linewidth=1)
    ax.set_axisbelow(True)
    return ax


def _width(ax: Axes) -> float:
    return float(ax.get_position().width * ax.get_figure(root=True).get_size_inches()[0] * 72)  # type: ignore[union-attr]


def _height(ax: Axes) -> float:
    return float(ax.get_position().height * ax.get_figure(root=True).get_size_inches()[1] * 72)  # type: ignore[union-attr]


def _note(ax: Axes, x: float, text: str, ha: str = "left", color: str = MUTED) -> None:
    """A word above the plot, `x` from 0 to 1 of its width."""
    ax.text(x, 1 + 8 / _height(ax), text, transform=ax.transAxes, ha=ha, color=color)


def _dash(i: int) -> str | tuple[int, tuple[float, ...]]:
    return (0, tuple(float(part) / (2.5 if i == 0 else 1.5) for part in DASHES[i].split())) if DASHES[i] else "-"


def _percent(value: float, _position: int | None = None) -> str:
    return f"{100 * value:.3g} %"


def _over_votes(ax: Axes, wide: bool) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(10 if wide else 5, integer=True, steps=ROUND))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=ROUND))
    ax.yaxis.set_major_formatter(FuncFormatter(_percent))
    ax.set_xlabel("votes", color=MUTED)


def _move_apart(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """Heights moved apart to at least `gap`, in the same order, the highest at most at `top`."""
    order = sorted(range(len(heights)), key=lambda i: (heights[i], -i))
    placed = list(heights)
    floor = 0.0
    for i in order:
        placed[i] = floor = max(placed[i], floor)
        floor += gap
    ceiling = top
    for i in reversed(order):
        placed[i] = ceiling = min(placed[i], ceiling)
        ceiling -= gap
    return placed


def _clock_ticks(runs: Sequence[Sequence[datetime]], starts: Sequence[float], scale: float) -> list[tuple[float, str]]:
    """Places and labels of clock times that do not touch: starts of sittings first, then round times within them.

    `scale` is seconds per pixel.
    """
    ticks: list[tuple[float, str]] = []
    room = 92 * scale
    last_day = None
    for start, run in zip(starts, runs, strict=True):
        if not ticks or start - ticks[-1][0] >= room:
            day = run[0].date()
            ticks.append((start, f"{run[0]:%H:%M}" if day == last_day else f"{run[0].day} {run[0]:%b %H:%M}"))
            last_day = day
    minutes = next((m for m in (1, 2, 5, 10, 15, 30, 60, 120, 240) if m * 60 >= room), 480)
    for start, run in zip(starts, runs, strict=True):
        day_start = run[0].replace(hour=0, minute=0, second=0, microsecond=0)
        step = timedelta(minutes=minutes)
        time = day_start + ((run[0] - day_start) // step + 1) * step
        while time <= run[-1]:
            x = start + (time - run[0]).total_seconds()
            if all(abs(x - other) >= room for other, _ in ticks):
                ticks.append((x, f"{time:%H:%M}"))
            time += step
    return sorted(ticks)


def _fit(text: str, pixels: float) -> str:
    """The text cut to about this width at 12 px, with an ellipsis."""
    used = 0.0
    for i, char in enumerate(text):
        if combining(char):
            continue
        if east_asian_width(char) in "WF":
            used += 12.5
        else:
            used += (
                12.0 if char in "mwMW@%—…" else 3.8 if char in "fijltI.,;:!|'()[] " else 8.6 if char.isupper() else 6.9
            )
        if used > pixels:
            return text[: max(i - 1, 0)].rstrip() + "…"
    return text


def _draw_both(
    key: str,
    title: str,
    summary: str,
    heights: tuple[int, int],
    draw: Callable[[Figure, bool], None],
    labels: tuple[Sequence[str], Sequence[str]] = ((), ()),
    wide: int = WIDE,
) -> Chart:
    """Draw twice; `heights` and `labels` are for the wide and the narrow drawing."""
    done = []
    for is_wide, width, height, texts in zip((True, False), (wide, NARROW), heights, labels, strict=True):
        fig = Figure(figsize=(width / 72, height / 72), dpi=72)
        draw(fig, is_wide)
        _hide_touching(fig)
        done.append(_svg(fig, key + ("-wide" if is_wide else "-narrow"), title, summary, texts, width, height))
    return Chart(*done)


def _hide_touching(fig: Figure) -> None:
    """Leave out each label of an axis that would touch the one before it."""
    renderer = FigureCanvasAgg(fig).get_renderer()  # type: ignore[no-untyped-call]
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            shown: list[Bbox] = []
            for label in axis.get_ticklabels():
                box = label.get_window_extent(renderer).padded(TICK_GAP / 2)
                if label.get_text() and any(box.overlaps(other) for other in shown):
                    label.set_visible(False)
                elif label.get_text():
                    shown.append(box)


def _svg(fig: Figure, key: str, title: str, summary: str, labels: Sequence[str], width: int, height: int) -> Markup:
    """The figure as an `<svg>` to stand inside a page: own ids, page colours, a title and a description."""
    buffer = io.StringIO()
    fig.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    picture = ElementTree.fromstring(buffer.getvalue())
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', buffer.getvalue()))
    for element in picture.iter():
        element.tag = element.tag.partition("}")[2]
        element.tail = None
        element.attrib = dict(_attributes(element.attrib, key, used))
        placeholder = re.fullmatch(r"@(\d+)@", element.text or "")
        if placeholder:
            element.text = labels[int(placeholder[1])]
        elif element.text and not element.text.strip():
            element.text = None
    root = ElementTree.Element("svg", {"class": key.rpartition("-")[2], "viewBox": f"0 0 {width} {height}"})
    root.attrib |= {"style": f"max-width: {width}px", "role": "img", "aria-labelledby": f"{key}-title {key}-text"}
    ElementTree.SubElement(root, "title", {"id": f"{key}-title"}).text = one_line(title)
    ElementTree.SubElement(root, "desc", {"id": f"{key}-text"}).text = one_line(summary)
    # matplotlib's own style sheet (its first <defs>) would reach the whole page.
    root.extend(child for child in picture if child.find("style") is None)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _attributes(attributes: dict[str, str], key: str, used: set[str]) -> Iterator[tuple[str, str]]:
    """Attributes for inline use: ids only where something refers to them, and unique on the page."""
    for long_name, text in attributes.items():
        name = long_name.rpartition("}")[2]
        value = text
        if name == "id":
            if value not in used:
                continue
            value = f"{key}-{value}"
        elif name == "transform" and value.startswith("rotate(-0 "):
            continue
        elif name == "style":
            value = re.sub(r"font-family: [^;]*(; |$)", "", value)
            value = re.sub(r"#[0-9a-f]{6}\b", lambda m: f"var({_VARIABLES.get(m[0], '--ink')})", value)
        elif name == "href":
            value = value.replace("#", f"#{key}-")
        if name in ("d", "x", "y"):
            value = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}", " ".join(value.split()))
        yield name, value.replace("url(#", f"url(#{key}-")
