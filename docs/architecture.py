"""Draws `docs/architecture.svg`: layers as pyproject.toml has them, arrows from the imports, captions from docstrings.

.venv/bin/python docs/architecture.py
"""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
import tomllib
from dataclasses import dataclass
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/architecture.svg"

WIDTH, MARGIN, PAD, INSET, GAP = 1040.0, 20.0, 18.0, 12.0, 24.0
ROOM, LANE = 380.0, 10.0
"""How wide a room is at most, and the place in a row that an arrow to a lower row passes through."""
FALL, TURN, LEAP = 22.0, 2.5, 42.0
"""How high the gaps are between rooms and how much higher for every arrow in them, and the gaps between packages."""
LINE, LETTER, FIXED_LETTER = 16.0, 6.8, 6.7
"""The height of a line, and the width of a letter, on average at most and whatever the font."""
COLOURS = ["#7a4fb8", "#2b6cb0", "#b45f06", "#0f766e", "#9d2f55"]
STYLE = """
text { font: 12.5px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #57606a }
.room, .package, .modules { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
.room { font-size: 14px; font-weight: 600; fill: #1f2328 }
.package { font-size: 19px; font-weight: 700 }
.modules { font-size: 11px }
.thin { fill: none; stroke-width: 1.5 }
.bold { fill: none; stroke: #57606a; stroke-width: 5 }
"""
LEGEND = (
    "An arrow leads from what imports to what is imported, itself or through modules between them; arrows that follow "
    "from others are left out. Selectors, models, judges, routers and proposers are loaded by name: no arrow shows it."
)


def layers() -> list[list[str]]:
    """The packages from the top down, those beside each other in one list."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [layer.split(" | ") for layer in contracts[0]["layers"]]


def caption(folder: Path) -> str:
    """The first sentence of a package's docstring."""
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    return re.split(r"\.(?:\s|$)", " ".join(docstring.replace("`", "").split()))[0]


def arrows(packages: list[str], names: list[str]) -> list[tuple[str, str]]:
    """Who of `names` uses whom, without what follows from the other arrows."""
    graph = grimp.build_graph(*packages, exclude_type_checking_imports=True, cache_dir=None)
    for name in names:
        graph.squash_module(name)
    used = {name: graph.find_upstream_modules(name) & set(names) for name in names}
    return sorted((a, b) for a in names for b in used[a] if not any(b in used[between] for between in used[a]))


@dataclass
class Chart:
    """Rooms in rows from the top down. Each link leads from one row to the next; a long arrow passes through lanes."""

    rows: list[list[str]]
    links: list[tuple[str, str]]

    @classmethod
    def of(cls, rooms: list[str], arrows: list[tuple[str, str]]) -> Chart:
        def height(room: str) -> int:
            return 1 + max((height(b) for a, b in arrows if a == room), default=-1)

        heights = {room: height(room) for room in rooms}
        top = max(heights.values(), default=-1)
        for room in set(rooms) - {end for arrow in arrows for end in arrow}:
            heights[room] = top
        links: list[tuple[str, str]] = []
        for a, b in arrows:
            lanes = {f"{a} > {b} {row}": row for row in range(heights[a] - 1, heights[b], -1)}
            links += itertools.pairwise([a, *lanes, b])
            heights |= lanes
        chart = cls([sorted(n for n in heights if heights[n] == row) for row in range(top, -1, -1)], links)
        chart.untangle()
        return chart

    def untangle(self) -> None:
        """Orders each row so that as few links as can be cross, and those that are left are short."""
        before = None
        while before != self.rows:
            before = [list(row) for row in self.rows]
            for i, row in enumerate(self.rows):
                near = self.rows[max(i - 1, 0) : i], self.rows[i + 1 : i + 2]
                orders = (list(order) for order in itertools.permutations(sorted(row)))
                self.rows[i] = min(orders, key=lambda order: self.tangle([*near[0], order, *near[1]]))

    def tangle(self, rows: list[list[str]]) -> tuple[int, float]:
        """How many links cross between rows that follow each other, and how far all of them lead sideways."""
        at = {node: (row, i - (len(nodes) - 1) / 2) for row, nodes in enumerate(rows) for i, node in enumerate(nodes)}
        lines = [(*at[a], at[b][1]) for a, b in self.links if a in at and b in at]
        crossing = sum(p[0] == q[0] and (p[1] - q[1]) * (p[2] - q[2]) < 0 for p, q in itertools.combinations(lines, 2))
        return crossing, sum(abs(upper - lower) for _, upper, lower in lines)


def text(x: float, y: float, kind: str, *lines: str, colour: str = "") -> list[str]:
    """Lines of text below each other; (x, y) is where the first one's letters stand."""
    fill = f' style="fill: {colour}"' if colour else ""
    return [
        f'<text class="{kind}" x="{x:.1f}" y="{y + LINE * i:.1f}"{fill}>{escape(line, quote=False)}</text>'
        for i, line in enumerate(lines)
    ]


def fitted(words: str, width: float, letter: float = LETTER) -> list[str]:
    """Words in lines of at most `width`."""
    return textwrap.wrap(words, int(width / letter), break_long_words=False, break_on_hyphens=False)


def arrow(start: tuple[float, float], end: tuple[float, float], kind: str, colour: str, head: float) -> str:
    """A curve that leaves and arrives upright, with a head of that size; 0: none."""
    (x, y), (to_x, to_y) = start, (end[0], end[1] - head)
    bend = (to_y - y) * 0.55
    curve = f"M{x:.1f} {y:.1f}C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"
    drawn = f'<path class="{kind}" stroke="{colour}" d="{curve}"/>'
    if not head:
        return drawn
    half = head * 0.55
    return f'{drawn}<path fill="{colour}" d="M{to_x - half:.1f} {to_y:.1f}h{2 * half:.1f}l{-half:.1f} {head:.1f}z"/>'


def frame(x: float, y: float, width: float, height: float, colour: str, look: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" stroke="{colour}" {look}/>'


Place = tuple[float, float, float, float]
"""x, y, width and height."""


class Panel:
    """A package with its rooms, and its other modules by name."""

    def __init__(self, package: str, colour: str) -> None:
        self.package, self.colour = package, colour
        folder = ROOT / package
        self.captions = {f"{package}.{init.parent.name}": caption(init.parent) for init in folder.glob("*/__init__.py")}
        self.chart = Chart.of(sorted(self.captions), arrows([package], sorted(self.captions)))
        self.modules = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))

    @property
    def breadth(self) -> int:
        """How many rooms stand beside each other."""
        return max((sum(node in self.captions for node in row) for row in self.chart.rows), default=1)

    def draw(self, x: float, y: float, width: float) -> tuple[list[str], float]:
        """Everything but the frame, and where the lowest part of it ends."""
        left, inner = x + PAD, width - 2 * PAD
        indent = 12 * len(self.package) + 12
        told = fitted(caption(ROOT / self.package), inner - indent)
        drawn = text(left, y + 28, "package", self.package, colour=self.colour) + text(left + indent, y + 28, "", *told)
        y += 28 + LINE * len(told)
        places: dict[str, Place] = {}
        for row in self.chart.rows:
            if places:
                y += FALL + TURN * sum(b in row for _, b in self.chart.links)
            shelf = self.place(row, left, y, inner)
            y += max(height for *_, height in shelf.values())
            places |= shelf
        for node, (at, top, wide, height) in places.items():
            if node in self.captions:
                drawn.append(frame(at, top, wide, height, self.colour, 'rx="6" fill="#ffffff"'))
                drawn += text(at + INSET, top + 21, "room", node.removeprefix(f"{self.package}."))
                drawn += text(at + INSET, top + 39, "", *fitted(self.captions[node], wide - 2 * INSET))
            else:
                middle = at + wide / 2
                drawn.append(arrow((middle, top), (middle, top + height), "thin", self.colour, 0))
        drawn += self.draw_links(places)
        y += 24 if places else 8
        in_lines = fitted(" · ".join(self.modules), inner, FIXED_LETTER) if places else self.modules
        lines = [line.removesuffix(" ·") for line in in_lines]
        return drawn + text(left, y, "modules", *lines), y + LINE * len(lines)

    def place(self, row: list[str], left: float, top: float, inner: float) -> dict[str, Place]:
        """Where the rooms and lanes of a row stand: rooms equally wide, all in the middle of `inner`."""
        rooms = [node for node in row if node in self.captions]
        spent = LANE * (len(row) - len(rooms)) + GAP * (len(row) - 1)
        room = min(ROOM, (inner - spent) / len(rooms))
        height = 34 + LINE * max(len(fitted(self.captions[node], room - 2 * INSET)) for node in rooms)
        widths = [room if node in self.captions else LANE for node in row]
        starts = itertools.accumulate(widths, lambda at, width: at + width + GAP, initial=left)
        shift = (inner - spent - room * len(rooms)) / 2
        return {node: (at + shift, top, width, height) for node, at, width in zip(row, starts, widths, strict=False)}

    def draw_links(self, places: dict[str, Place]) -> list[str]:
        """Arrows from row to row; those that leave or reach the same room are spread over its edge in their order."""

        def middle(node: str) -> float:
            return places[node][0] + places[node][2] / 2

        def port(node: str, other: str, others: list[str]) -> float:
            left, _, width, _ = places[node]
            return left + width * (1 + sorted(others, key=middle).index(other)) / (1 + len(others))

        drawn = []
        for a, b in self.chart.links:
            start = port(a, b, [lower for upper, lower in self.chart.links if upper == a])
            end = port(b, a, [upper for upper, lower in self.chart.links if lower == b])
            bottom = places[a][1] + places[a][3]
            head = 7.0 if b in self.captions else 0.0
            drawn.append(arrow((start, bottom), (end, places[b][1]), "thin", self.colour, head))
        return drawn


def draw() -> str:
    """The picture, as SVG."""
    rows = layers()
    packages = [package for row in rows for package in row]
    panels = {package: Panel(package, colour) for package, colour in zip(packages, COLOURS, strict=True)}
    places: dict[str, Place] = {}
    drawn: list[str] = []
    y = MARGIN
    for row in rows:
        free = WIDTH - 2 * MARGIN - GAP * (len(row) - 1)
        x, breadth = MARGIN, sum(panels[package].breadth for package in row)
        inside = []
        for package in row:
            width = free * panels[package].breadth / breadth
            inside.append((package, x, width, *panels[package].draw(x, y, width)))
            x += width + GAP
        height = max(bottom for *_, bottom in inside) - y
        for package, at, width, elements, _ in inside:
            places[package] = at, y, width, height
            colour = panels[package].colour
            look = f'rx="10" fill="{colour}" fill-opacity=".07"'
            drawn += [frame(at, y, width, height, colour, look), *elements]
        y += height + LEAP
    for a, b in arrows(packages, packages):
        left = max(places[a][0], places[b][0])
        right = min(places[a][0] + places[a][2], places[b][0] + places[b][2])
        middle, bottom = (left + right) / 2, places[a][1] + places[a][3]
        drawn.append(arrow((middle, bottom + 3), (middle, places[b][1] - 3), "bold", "#57606a", 13))
    y += LINE - LEAP
    legend = fitted(LEGEND, WIDTH - 2 * MARGIN)
    drawn += text(MARGIN, y + LINE, "", *legend)
    height = y + LINE * (len(legend) + 1) + MARGIN - LINE / 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" '
            f'width="{WIDTH:.0f}" height="{height:.0f}" role="img">',
            "<title>The packages of elicit, their parts, and who imports whom</title>",
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH:.0f}" height="{height:.0f}" rx="12" fill="#ffffff"/>',
            *drawn,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(draw())
