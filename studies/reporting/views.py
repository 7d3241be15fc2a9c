"""What can be seen of a study, each view declared once.

A view is a function here: its name is that of the view, what it says it returns is the kind of the answer, and its body
computes it. The server's routes, the OpenAPI document, the calls between processes and the clients go by these tables,
so that a new view needs nothing else but to be drawn, by a `panel` of `adapters/http/page/panels.js` or a screen. What
computes is imported where it is used: servers and screens know the views too, and never load torch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_type_hints

from elicit.service.http_schema import AgreementView, AnnotatorRow, LeaderPage, MachineRow, PosteriorPage
from elicit.service.results import Overview, RoutingView
from elicit.service.views import Page, View

if TYPE_CHECKING:
    from elicit.quality.findings import Finding
    from studies.study import Study

Curve = tuple[float, ...]
"""One value per live vote, from vote 0 on."""
T = TypeVar("T")
V = TypeVar("V")


class Viewer(Protocol):
    """Whoever looks, in the process that has the study open; judge: who votes there, None: nobody."""

    @property
    def study(self) -> Study: ...
    @property
    def judge(self) -> str | None: ...
    async def curves(self) -> tuple[Curve, Curve]:
        """What the stop rule measures, and P(best) of the item recommended then."""
        ...

    def hidden(self) -> Set[str]:
        """Ids of the items and listed pairs that the judge is shown: they are judged blind."""
        ...


class AdminViewer(Viewer, Protocol):
    """Whoever runs the study, and is told of those who vote."""

    async def findings(self) -> tuple[Finding, ...]:
        """What the checks of conduct find."""
        ...


ADMIN_VIEWS: dict[str, View[AdminViewer, Any]] = {}
"""What whoever runs the study can see: everything."""
SCREEN_VIEWS: dict[str, View[Viewer, Any]] = {}
"""What voters' screens can show as well, for it tells nothing of what is still to be judged blind."""


def admin_pages(compute: Callable[[AdminViewer, Page], Awaitable[T]]) -> View[AdminViewer, T]:
    """Declare a view for admins that has many rows."""
    view = View(compute.__name__, _kind_of(compute), compute, paged=True)
    ADMIN_VIEWS[view.name] = view
    return view


def admin_view(compute: Callable[[AdminViewer], Awaitable[T]]) -> View[AdminViewer, T]:
    """Declare a view for admins."""
    view = _whole(compute)
    ADMIN_VIEWS[view.name] = view
    return view


def screen_view(compute: Callable[[Viewer], Awaitable[T]]) -> View[Viewer, T]:
    """Declare a view for admins and for voters' screens."""
    view = _whole(compute)
    ADMIN_VIEWS[view.name] = SCREEN_VIEWS[view.name] = view
    return view


def _whole(compute: Callable[[V], Awaitable[T]]) -> View[V, T]:
    def compute_whole(viewer: V, _: Page) -> Awaitable[T]:
        return compute(viewer)

    return View(compute.__name__, _kind_of(compute), compute_whole, paged=False)


def _kind_of(compute: Callable[..., Awaitable[T]]) -> type[T]:
    kind: type[T] = get_type_hints(compute)["return"]
    return kind


# -- the views ------------------------------------------------------------------------------------------------------


@admin_view
async def annotators(viewer: AdminViewer) -> tuple[AnnotatorRow, ...]:
    """Everybody who is enrolled."""
    from studies.reporting.annotator_views import annotator_rows

    return annotator_rows(viewer.study, await viewer.findings())


@admin_view
async def judges(viewer: AdminViewer) -> tuple[MachineRow, ...]:
    """The machine judges."""
    from studies.reporting.annotator_views import machine_rows

    return machine_rows(viewer.study)


@admin_pages
async def leaderboard(viewer: AdminViewer, page: Page) -> LeaderPage:
    """The items that are not retired, the best first."""
    from studies.reporting import status

    rows = status.summarize(viewer.study).leaders
    return LeaderPage(rows[page.after : page.after + page.limit], page.following(len(rows)), viewer.study.state.folded)


@admin_pages
async def posterior(viewer: AdminViewer, page: Page) -> PosteriorPage:
    """What is believed of the items, in their order."""
    study = viewer.study
    mean, sd = study.engine.utilities()
    p = study.engine.p_best()
    here = slice(page.after, page.after + page.limit)
    return PosteriorPage(
        items=tuple(item.id for item in study.state.items[here]),
        mean=tuple(mean[here].tolist()),
        sd=tuple(sd[here].tolist()),
        p_best=tuple(p[here].tolist()),
        next=page.following(len(mean)),
        model_version=study.state.folded,
    )


@screen_view
async def overview(viewer: Viewer) -> Overview:
    """Where the study stands."""
    from studies.outlook import progress
    from studies.reporting import status

    regret, p_best = await viewer.curves()
    now = progress(viewer.study, viewer.judge)
    return status.summarize(viewer.study).overview(now, regret, p_best, viewer.hidden())


@admin_view
async def agreement(viewer: AdminViewer) -> AgreementView:
    """How far people agree."""
    from studies.reporting.annotator_views import agreement_view

    return agreement_view(viewer.study)


@screen_view
async def routing(viewer: Viewer) -> RoutingView | None:
    """Who answered what, at what cost, and how far machines are to be trusted; None where nothing is routed."""
    from studies.reporting.routing_view import routing_view

    return routing_view(viewer.study)
