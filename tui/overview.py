"""The overview: how the items stand, how sure that is, and how far the study has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Static
from textual_plotext import PlotextPlot

from elicit.safe_text import one_line, percent
from elicit.service.results import Overview
from elicit.service.voting import Progress, StudyService
from elicit.types import BadInputError
from studies.reporting import views
from tui.ballot import NARROW
from tui.dialogs import Reading
from tui.header import LEFT, QUIET, RIGHT, STRONG, bar, keys_line
from tui.keys import sentence, vote_in_words, with_board
from tui.pane import CHROME, TextPane, lines_of
from tui.render import Renderer
from tui.words import fit, label_of, shares, state_of, sure_of, sureness

_QUIET, _STRONG, _BAR = Style.parse(QUIET), Style.parse(STRONG), Style.parse(LEFT)
_PLOT = (127, 178, 245)
_FORECAST = (232, 181, 98)
# Rows from which ranking and plots fit on one screen.
_TALL = 32
# Cells of a plot from which the line below it has room for every word.
_WIDE_PLOT = 46
_HIDDEN = Segment("on your screen, so nothing more of it is told before your vote", _QUIET)
# Where a curve's scale may end.
_TOPS = (0.05, 0.1, 0.2, 0.5, 1.0)


class OverviewScreen(Screen[None]):
    """Ranking, plots and balance. Only what a voter may know after voting shows here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("enter", "open", show=False),
        Binding("tab,space,shift+tab", "flip", show=False),
    ]

    def __init__(self, service: StudyService, tuned: bool) -> None:
        super().__init__()
        self._service, self._tuned = service, tuned
        self._overview: Overview | None = None
        self._plots = False
        self._at = 0
        self._renderer = Renderer()

    def compose(self) -> ComposeResult:
        """State in words, ranking, plots, keys."""
        yield Static(Text("Counting …", style=QUIET), id="state")
        yield Static(id="balance")
        yield TextPane(id="leaders", classes="page")
        with Horizontal(id="plots"):
            yield PlotextPlot(id="regret", classes="plot")
            yield PlotextPlot(id="p_best", classes="plot")
        yield Static(id="keys")

    async def on_mount(self) -> None:
        """Ask for the numbers."""
        self.query_one("#leaders").border_title = "Ranking"
        self.query_one("#p_best").border_title = "Chance that the leader is the best"
        self.run_worker(self._load())

    def on_resize(self) -> None:
        """Fit the new size."""
        self._draw()

    async def _load(self) -> None:
        try:
            self._overview = await self._service.show(views.overview)
        except (BadInputError, ConnectionError) as error:
            self.query_one("#state", Static).update(Text(f"▲ No overview now: {one_line(str(error))}", style="bold"))
            return
        self._draw()

    def action_move(self, lines: int) -> None:
        """Go to another item."""
        last = len(self._overview.leaders or self._overview.pairs) - 1 if self._overview else 0
        self._at = max(0, min(last, self._at + lines))
        self._draw()

    def action_page(self, pages: int) -> None:
        """Go on by a page of items."""
        self.action_move(pages * max(1, self.query_one(TextPane).scrollable_content_region.height - 2))

    def action_open(self) -> None:
        """Show the whole text of the item."""
        if self._overview is None:
            return
        if self._overview.leaders:
            row = self._overview.leaders[self._at]
            if row.item:
                self.app.push_screen(Reading(f"{row.rank}. {one_line(row.item)}", row.text, self._renderer))
        elif self._overview.pairs:
            pair = self._overview.pairs[self._at]
            if pair.pair:
                both = f"**First**\n\n{pair.a}\n\n---\n\n**Second**\n\n{pair.b}"
                self.app.push_screen(Reading(f"{one_line(pair.pair)}: {label_of(pair)}", both, self._renderer))

    def action_flip(self) -> None:
        """Ranking or plots, where both do not fit."""
        self._plots = not self._plots
        self._draw()

    def _draw(self) -> None:
        width, height = self.app.size
        both = height >= _TALL
        self.query_one("#leaders").display = both or not self._plots
        plots = self.query_one("#plots")
        plots.display = both or self._plots
        shown = self._overview.leaders or self._overview.pairs if self._overview is not None else ()
        rows = len(shown) + 3 if self._overview is not None else height
        plots.styles.height = max(12, min(18, height - 4 - rows)) if both else "1fr"
        flip = () if both else (("Tab", "ranking" if self._plots else "plots"),)
        here = (("Esc", "back"), *flip, ("Enter", "open"), ("j k", "move"))
        places = with_board(
            (("F1", "help"), ("F3", "history"), ("F5", "router"), ("q", "quit")), self._tuned, width >= NARROW
        )
        self.query_one("#keys", Static).update(keys_line(here, places, width - 2))
        if self._overview is None:
            return
        self.query_one("#state", Static).update(state_line(self._overview.progress))
        self.query_one("#balance", Static).update(balance_line(self._overview, width - 2))
        pane = self.query_one(TextPane)
        pane.border_title = "Pairs and their labels" if self._overview.goal == "label" else "Ranking"
        pane.show(lines_of(ranking(self._overview, width - CHROME, self._at)), top=False)
        top, rows_seen = round(pane.scroll_y), max(1, pane.scrollable_content_region.height)
        if not top <= self._at + 1 < top + rows_seen:
            pane.move(self._at + 1 - (top if self._at + 1 < top else top + rows_seen - 1))
        self.query_one("#regret").border_title = self._overview.regret_name
        self._plot("#regret", self._overview.regret)
        self.query_one("#p_best").display = bool(self._overview.p_best)
        self._plot("#p_best", self._overview.p_best, top=1.0)

    def _plot(self, name: str, values: Sequence[float], top: float | None = None) -> None:
        """One curve over votes; the votes at which the stop rule is expected to be met stand as lines."""
        widget = self.query_one(name, PlotextPlot)
        plt = widget.plt
        plt.clear_figure()
        progress = self._overview.progress if self._overview else None
        last = max(1, len(values) - 1)
        end = last
        if progress is not None and progress.left is not None and not progress.stop:
            low, middle, high = (progress.votes + more for more in progress.left)
            end = high
            for votes in sorted({low, middle, high}):
                plt.vertical_line(votes, _FORECAST)
            noun = " votes" if self.app.size.width // 2 >= _WIDE_PLOT else ""
            widget.border_subtitle = f"│ enough at about {middle}{noun} ({low}–{high})"
        if values:
            plt.plot(list(range(len(values))), list(values), marker="hd", color=_PLOT)
        high_end = top or next((end for end in _TOPS if max([*values, 0.0]) <= end), max([*values, 1.0]))
        plt.ylim(0, high_end)
        plt.yticks([0, high_end / 2, high_end], ["0 %", f"{50 * high_end:.0f} %", f"{100 * high_end:.0f} %"])
        ticks: list[float] = sorted({round(end * i / 4) for i in range(5)})
        plt.xlim(0, end)
        plt.xticks(ticks, [str(tick) for tick in ticks])
        plt.frame(False)
        widget.refresh()


def state_line(progress: Progress) -> Text:
    """Where the study stands, in a sentence."""
    return Text(state_of(progress), style=STRONG).append(sentence(progress.why), style="not bold")


def balance_line(overview: Overview, width: int) -> Text:
    """Left against right, votes by choice and the pace, as far as they fit."""
    cells = 20 if width >= 100 else 10
    left_percent = round(100 * overview.left_share)
    gauge = bar(left_percent, 100, cells)
    done = len(gauge.rstrip("─"))
    line = Text.assemble(
        ("left ", QUIET),
        f"{left_percent} % ",
        (gauge[:done], LEFT),
        (gauge[done:], RIGHT),
        f" {100 - left_percent} % ",
        ("right", QUIET),
    )
    counts = [
        f"{vote_in_words(choice).lower()} {count}"
        for choice, count in overview.counts.items()
        if count or choice == "tie"
    ]
    if overview.seconds_median is not None:
        counts.append(f"{overview.seconds_median:.1f} s a vote")
    for part in counts:
        if cell_len(line.plain) + cell_len(part) + 3 <= width:
            line.append("   " if part is counts[0] else " · ", style=QUIET).append(part, style=QUIET)
    return line


def ranking(overview: Overview, width: int, at: int = 0) -> list[list[Segment]]:
    """The leaderboard as lines: rank, id, item, 90 % interval on one scale for all, how sure its place is, votes; where
    pairs are labelled, the pairs with their labels.

    at: the item that is marked. Of what is on the voter's screen, the place alone.
    """
    leaders = overview.leaders
    if not leaders:
        return pair_lines(overview, width, at)
    named = [row for row in leaders if row.item]
    scale = 30 if width >= 95 else 13
    low = min((row.low for row in named), default=0.0)
    high = max((row.high for row in named), default=0.0)
    ids = min(12, max((cell_len(one_line(row.item)) for row in named), default=2))
    text = max(8, width - 5 - ids - 2 - 2 - 7 - 2 - scale - 2 - 7 - 7)
    head = f"{'#':>3}  {'id':<{ids}}  {'item':<{text}}"
    head += f"  {'utility':>7}  {'90 % interval':<{scale}}  {sureness(overview)[0]:>6} {'votes':>6}"
    rows = [[Segment(head, _QUIET)]]
    for place, row in enumerate(leaders):
        mark = Segment(f"{'▸' if place == at else ' '}{row.rank:>2}  ", _STRONG if place == at else _QUIET)
        if not row.item:
            rows.append([mark, _HIDDEN])
            continue
        sure = sure_of(row, overview)
        rows.append(
            [
                mark,
                Segment(f"{fit(row.item, ids)}  ", _QUIET),
                Segment(fit(row.text, text), _STRONG if row.rank == 1 else None),
                Segment(f"  {row.utility:>+7.2f}  "),
                Segment(interval(row.low, row.utility, row.high, low, high, scale), _BAR),
                Segment(f"  {'–' if sure is None else percent(sure):>6}", _STRONG if row.rank == 1 else None),
                Segment(f" {row.votes:>6}", _QUIET),
            ]
        )
    return rows


def pair_lines(overview: Overview, width: int, at: int = 0) -> list[list[Segment]]:
    """The pairs as lines: id, label, the chance of it, votes, and both texts."""
    if overview.labels is None or not overview.pairs:
        return [[Segment("There is nothing to rank yet.", _QUIET)]]
    ids = min(12, max(2, *(cell_len(one_line(pair.pair)) for pair in overview.pairs)))
    text = max(8, (width - 2 - ids - 2 - 8 - 8 - 7 - 2 - 3) // 2)
    rows = [
        [Segment(fit(shares(overview.labels), width), _STRONG)],
        [Segment(f"  {'id':<{ids}}  {'better':<8}{'sure':>8}{'votes':>7}  {'first':<{text}} │ second", _QUIET)],
    ]
    for place, pair in enumerate(overview.pairs):
        mark = Segment("▸ " if place == at else "  ", _STRONG)
        if not pair.pair:
            rows.append([mark, _HIDDEN])
            continue
        by = str(pair.votes) if pair.votes else pair.source[:6]
        figures = f"{label_of(pair):<8}{percent(pair.probability):>8}{by:>7}"
        texts = f"  {fit(pair.a, text)} │ {fit(pair.b, text)}"
        rows.append([mark, Segment(f"{fit(pair.pair, ids)}  ", _QUIET), Segment(figures), Segment(texts, _QUIET)])
    return rows


def interval(low: float, middle: float, high: float, least: float, most: float, cells: int) -> str:
    """An interval as text: ├──●──┤ on a scale from `least` to `most`."""
    span = (most - least) or 1.0

    def place(value: float) -> int:
        return max(0, min(cells - 1, round((value - least) / span * (cells - 1))))

    characters = [" "] * cells
    for cell in range(place(low), place(high) + 1):
        characters[cell] = "─"
    characters[place(low)] = "├"
    characters[place(high)] = "┤"
    characters[place(middle)] = "●"
    return "".join(characters)
