"""The router: who answered what, at what cost, and how far the machines' labels can be trusted."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from elicit.safe_text import one_line, percent
from elicit.service.results import JudgeRow, Lean, RoutingDecision, RoutingView
from elicit.service.voting import StudyService
from elicit.types import BadInputError
from studies.reporting import views
from tui.ballot import NARROW
from tui.difference import Line
from tui.header import LEFT, QUIET, RIGHT, STRONG, bar, keys_line
from tui.keys import sentence, with_board
from tui.overview import interval
from tui.pane import CHROME, TextPane, lines_of
from tui.render import wrap
from tui.words import NO_ROUTER, fit, lean_in_words, money, part, standing

_HOW = (
    "Let machine judges take a part of the work: name them in [[judges]] tables of study.toml, and set "
    "router = \"default\" in its [routing] table. 'elicit run' routes from then on."
)
_QUIET, _STRONG, _TITLE = Style.parse(QUIET), Style.parse(STRONG), Style.parse(f"bold {LEFT}")
_BAR, _WARN = Style.parse(LEFT), Style.parse(f"bold {RIGHT}")
_ALARM = Style.parse(f"bold reverse {RIGHT}")
LEGEND = (
    "Pairs that people are still to judge are left out. First better with 54%: past votes and all judges together. "
    "0.31 bit at 3.20 a bit: how much of what is unknown an answer is expected to settle, and what a whole bit costs."
)
# Cells of the words that name a row, and of the numbers behind a judge's name.
_NAMES, _TABLE = 13, 62
_ROOMY = 100
# Who answered, in a shape and a colour.
_SHAPES = {
    "machines": ("━", Style.parse(LEFT)),
    "people": ("═", Style.parse(RIGHT)),
    "waiting": ("┄", Style.parse(QUIET)),
    "nobody": ("·", Style.parse(QUIET)),
}


class RouterScreen(Screen[None]):
    """Counts, money, trust, judges and the last decisions; nothing of a pair that is still to be judged."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
    ]

    def __init__(self, service: StudyService, tuned: bool) -> None:
        super().__init__()
        self._service, self._tuned = service, tuned
        self._routing: RoutingView | None = None
        self._loaded = False

    def compose(self) -> ComposeResult:
        """What matters most in a sentence, the page, keys."""
        yield Static(Text("Counting …", style=QUIET), id="state")
        yield TextPane(id="routing", classes="page")
        yield Static(id="keys")

    async def on_mount(self) -> None:
        """Ask for the numbers."""
        self.query_one(TextPane).border_title = "Router"
        self.run_worker(self._load())

    def on_resize(self) -> None:
        """Fit the new size."""
        width = self.app.size.width
        places = with_board(
            (("F1", "help"), ("F2", "overview"), ("F3", "history"), ("q", "quit")), self._tuned, width >= NARROW
        )
        here = (("Esc", "back to voting"), ("j k", "scroll"))
        self.query_one("#keys", Static).update(keys_line(here, places, width - 2))
        self._draw()

    async def _load(self) -> None:
        try:
            self._routing = await self._service.show(views.routing)
        except (BadInputError, ConnectionError) as error:
            self.query_one("#state", Static).update(Text(f"▲ No numbers now: {one_line(str(error))}", style="bold"))
            return
        self._loaded = True
        self._draw()

    def action_move(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one(TextPane).move(lines)

    def action_page(self, pages: int) -> None:
        """Scroll by pages."""
        self.query_one(TextPane).move_page(pages)

    def _draw(self) -> None:
        if not self._loaded:
            return
        width = self.app.size.width - CHROME
        state, pane = self.query_one("#state", Static), self.query_one(TextPane)
        if self._routing is None:
            state.update(Text(NO_ROUTER, style=STRONG))
            pane.show(lines_of([[_note(segment.text) for segment in line] for line in wrap(_HOW, width)]))
            return
        pane.border_title = f"Router: {one_line(self._routing.router)}"
        mark, words = standing(self._routing)
        style = {"✖": _ALARM, "▲": _WARN}.get(mark, _STRONG)
        state.update(Text(f"{mark} {words}", style=style))
        pane.show(lines_of(page(self._routing, width)), top=False)


def page(routing: RoutingView, width: int) -> list[Line]:
    """All of it as lines no wider than `width`."""
    rows = [*_answers(routing, width), *_money(routing, width), *_trust(routing, width), []]
    title = [Segment("Last decisions", _TITLE), _note("  newest first, with the chance that each had")]
    rows += [*_judges(routing, width), [], title, *([_note(s.text) for s in line] for line in wrap(LEGEND, width))]
    rows += [row for decision in routing.decisions for row in _decision(decision, width)]
    if not routing.decisions:
        rows.append([_note("None to show yet.")])
    return [_cut(row, width) for row in rows]


def _answers(routing: RoutingView, width: int) -> list[Line]:
    """Who answered, as a bar whose parts differ in shape, and in numbers."""
    counts = {name: getattr(routing, name) for name in _SHAPES}
    total = sum(counts.values())
    if not total:
        return [_named_line("Answered", _note("no query yet"))]
    gauge, in_full, brief = _named_line("Answered"), _named_line(""), _named_line("")
    for (name, count), cells in zip(counts.items(), split(list(counts.values()), width - _NAMES), strict=True):
        shape, style = _SHAPES[name]
        gauge.append(Segment(shape * cells, style))
        if count:
            who = [Segment(f"{shape} ", style), Segment(f"{name} {count}")]
            in_full += [*who, _note(f", {part(count, total)}   ")]
            brief += [*who, _note("  ")]
    return [gauge, in_full if _cells(in_full) <= width else brief]


def split(counts: list[int], cells: int) -> list[int]:
    """Cells for each count, by its share; what is there gets one at least, and together they are `cells`, some
    times as many as counts."""
    total = sum(counts)
    if not total:
        return [0] * len(counts)
    shares = [max(1, round(cells * count / total)) if count else 0 for count in counts]
    shares[shares.index(max(shares))] += cells - sum(shares)
    return shares


def _money(routing: RoutingView, width: int) -> list[Line]:
    each = "" if routing.per_vote is None else f", {money(routing.per_vote)} a vote"
    each += "" if routing.per_bit is None else f", {money(routing.per_bit)} a bit"
    if routing.budget is None:
        return [_named_line("Spent", Segment(money(routing.spent)), _note(f", no limit{each}"))]
    words = f"{money(routing.spent)} of {money(routing.budget)}"
    share = part(routing.spent, routing.budget)
    return [_gauge("Spent", routing.spent, routing.budget, words, f", {share}{each}", width)]


def _trust(routing: RoutingView, width: int) -> list[Line]:
    """Audits, what is accepted, and the certificate's own sentence."""
    read = f"{routing.read} of {routing.epoch}"
    audits = f"{routing.audits} in all, {routing.wrong} of them wrong ({part(routing.wrong, routing.audits)})"
    audits = audits if routing.audits else "none is read yet"
    audits += f"; {routing.audits_waiting} wait for people" if routing.audits_waiting else ""
    rows = [
        _gauge("Audits", routing.read, routing.epoch, read, " read for the next certificate", width),
        _named_line("", _note(audits)),
    ]
    least = "no threshold"
    if routing.threshold is not None:
        least = f"confidence {routing.threshold:.3g} {'or more' if routing.alarm is None else 'suspended'}"
    words = f"{routing.accepted} of {routing.machines}"
    share = f", {part(routing.accepted, routing.machines)}" if routing.machines else " machine labels"
    rows.append(_gauge("Accepted", routing.accepted, routing.machines, words, f"{share}, {least}", width))
    rows.append(_named_line("", _note(f"the aim: at most {100 * routing.target:.3g} % of the accepted wrong")))
    for mark, name, style, after in (("✖", "ALARM", _ALARM, routing.alarm), ("▲", "Warning", _WARN, routing.warning)):
        if after is not None:
            rows.append(
                _named_line("", Segment(f"{mark} {name}", style), Segment(f" after {after} audits of accepted labels"))
            )
    for place, line in enumerate(wrap(sentence(routing.certificate), max(10, width - _NAMES))):
        rows.append(_named_line("" if place else "Certificate", *line))
    return rows


def _judges(routing: RoutingView, width: int) -> list[Line]:
    """A table, with what each judge leans to below it."""
    longest = max([0, *(cell_len(one_line(row.judge)) for row in routing.judges)])
    names = max(8, min(max(longest + 2, _NAMES), width - _TABLE))
    head = f"{'verdicts':>9} {'failed':>7} {'cost':>9}  {'orders differ':>13}  {'agrees with people':>18}"
    rows = [[Segment(set_cell_size("Judges", names), _TITLE), Segment(head, _QUIET)]]
    most = max([0.5, *(abs(end) for row in routing.judges for lean in row.leans for end in (lean.low, lean.high))])
    for row in routing.judges:
        rows.append(_judge(row, names))
        rows += [_lean(lean, most, width >= _ROOMY) for lean in row.leans]
    return rows if routing.judges else [rows[0][:1], [_note("No machine was asked yet.")]]


def _judge(row: JudgeRow, names: int) -> Line:
    agrees = f"{row.same} of {row.both} {part(row.same, row.both):>5}" if row.both else "not known"
    flips = f"{row.flips} {part(row.flips, row.swapped):>5}" if row.swapped else "not tried"
    failed = Segment(f" {row.failed:>7}", _STRONG if row.failed else None)
    return [
        Segment(fit(row.judge, names), _STRONG),
        Segment(f"{row.verdicts:>9}"),
        failed,
        Segment(f" {money(row.cost):>9}"),
        Segment(f"  {flips:>13}"),
        Segment(f"  {agrees:>18}"),
    ]


def _lean(lean: Lean, most: float, wide: bool) -> Line:
    """A bias with its interval, and what it means in words."""
    row = [Segment(f"  {fit(lean.name, 9)}", _QUIET)]
    if wide:
        scale = interval(lean.low, lean.value, lean.high, -most, most, 21)
        scale = scale[:10] + {" ": "┊", "─": "┼"}.get(scale[10], scale[10]) + scale[11:]
        row.append(Segment(f"{scale}  ", _BAR))
    row.append(Segment(f"{lean.value:>+5.2f}"))
    row.append(Segment(f" [{lean.low:+.2f}, {lean.high:+.2f}] ", _QUIET))
    row.append(Segment(f" {'▲ ' if lean.sure else ''}{lean_in_words(lean)}", _STRONG if lean.sure else _QUIET))
    return row


def _decision(decision: RoutingDecision, width: int) -> list[Line]:
    """Who was to answer and why; what an audit found stands behind it."""
    audit = {"right": " ✔ audit: right", "wrong": " ✖ audit: wrong", "": ""}[decision.audit]
    shape, style = _SHAPES[decision.to]
    who = [Segment(f"{shape} ", style), Segment(f"{decision.to:<9}"), _note(f"{percent(decision.chance):>5}  ")]
    lines = wrap(one_line(decision.reason, empty="no reason was given") + audit, max(10, width - 18))
    return [[*(who if place == 0 else [Segment(" " * 18)]), *line] for place, line in enumerate(lines)]


def _gauge(name: str, done: float, total: float, words: str, rest: str, width: int) -> Line:
    """A named bar with its numbers: heavy is done, light is to come."""
    cells = 30 if width >= _ROOMY else 14
    gauge = bar(min(done, total), total, cells)
    full = len(gauge.rstrip("─"))
    line = _named_line(name, Segment(gauge[:full], _BAR), Segment(gauge[full:], _QUIET), Segment(f"  {words}"))
    return [*line, _note(rest)]


def _named_line(name: str, *segments: Segment) -> Line:
    return [Segment(f"{name:<{_NAMES}}", _QUIET), *segments]


def _note(text: str) -> Segment:
    return Segment(text, _QUIET)


def _cut(line: Line, width: int) -> Line:
    """The line up to a width; what had to go is marked."""
    if _cells(line) <= width:
        return line
    return [*Segment.adjust_line_length(line, width - 1), Segment("…", _QUIET)]


def _cells(line: Line) -> int:
    return sum(segment.cell_length for segment in line)
