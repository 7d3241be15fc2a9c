"""The voting screen: one key a vote, and the next pair."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from elicit.safe_text import full_stop, harmless, one_line
from elicit.service.voting import Answer, Ballot, StudyCard, StudyService, Turn
from elicit.types import BadInputError
from tui.ballot import BallotView, ScreenSide
from tui.dialogs import Enough, NoteDialog, Reading, Reasons
from tui.header import in_place_of_a_ballot, keys_line, scale_line, status_line, top_line
from tui.keys import VOTES, extras_in_words, sentence, unacceptable_in_words, vote_in_words, vote_keys
from tui.pace import VotingPace
from tui.picture import open_outside
from tui.render import Renderer

# The engine may still be working out what comes next; ask again after these pauses (seconds).
_ASK_AGAIN = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 6.0, 12.0)
# The service did not say that it would help, but what has failed may be mended meanwhile (seconds).
_TRY_AGAIN = 10.0


class Painted(Message):
    """A turn has come on the screen and waits for keys."""

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self.turn = turn


class VoteScreen(Screen[None]):
    """Shows the open ballot and takes votes. Of the study it knows only what `StudyService` tells."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"vote('{key}')", show=False) for key in VOTES),
        Binding("u", "undo", show=False),
        Binding("r", "reasons", show=False),
        Binding("n", "note", show=False),
        Binding("d", "diff", show=False),
        Binding("z", "zoom", show=False),
        Binding("tab,space,shift+tab", "flip", show=False),
        Binding("g", "guidelines", show=False),
        Binding("p", "prompt", show=False),
        Binding("o", "pictures", show=False),
        Binding("left_square_bracket", "refuse('left')", show=False),
        Binding("right_square_bracket", "refuse('right')", show=False),
        Binding("b", "refuse", show=False),
        Binding("j,down", "scroll_by(1, False)", show=False),
        Binding("k,up", "scroll_by(-1, False)", show=False),
        Binding("J,shift+down", "scroll_by(1, True)", show=False),
        Binding("K,shift+up", "scroll_by(-1, True)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home", "ends(False)", show=False),
        Binding("end", "ends(True)", show=False),
    ]

    def __init__(
        self,
        service: StudyService,
        card: StudyCard,
        first: Turn,
        pace: VotingPace,
        graphics: type[Widget] | None = None,
    ) -> None:
        super().__init__()
        self._graphics = graphics
        self._service = service
        self._card = card
        self._turn = first
        self._pace = pace
        self._busy = True
        self._announced_enough = self._welcomed = False
        self._line = asyncio.Lock()
        self._answers: dict[int, Answer] = {}
        self._above = "Input" if card.tuned else "Prompt"
        self.reasons: tuple[str, ...] = ()
        self.note = ""
        self.unacceptable: tuple[ScreenSide, ...] = ()
        self.renderer = Renderer()

    @property
    def ballot(self) -> Ballot | None:
        """The ballot that is open."""
        return self._turn.ballot

    @property
    def ready(self) -> bool:
        """Whether the pair is painted and keys are taken."""
        return not self._busy

    @property
    def unsaved(self) -> bool:
        """Whether something was written for this ballot that only its vote would save."""
        return self.ballot is not None and bool(self.note or self.reasons or self.unacceptable)

    def compose(self) -> ComposeResult:
        """Header, ballot, scale, what was said last, keys."""
        yield Static(id="top")
        yield Static(Text(one_line(self._card.question, empty="Which is better?")), id="question")
        yield BallotView(self.renderer, self._graphics, self._above)
        yield Static(id="done")
        yield Static(id="scale")
        yield Static(id="status")
        yield Static(id="keys")

    async def on_mount(self) -> None:
        """Show the first ballot."""
        self.run_worker(self._show(self._turn))

    async def on_resize(self) -> None:
        """Fit everything to the new size; the same place stays in view."""
        width = self.app.size.width - 2
        self.query_one("#scale", Static).update(scale_line(width))
        keys, places = vote_keys(self._card.tuned, self._card.guarded, width >= 100)
        self.query_one("#keys", Static).update(keys_line(keys, places, width))
        self._draw_progress()
        await self.query_one(BallotView).again()

    def on_screen_resume(self) -> None:
        """Back from another screen: the pair has just come into view again."""
        self._pace.painted(again=True)  # keys count from here at the earliest, and from the refresh at the latest
        self.call_after_refresh(self._pace.painted, again=True)
        if self.ballot is None and not self._busy:  # what was done elsewhere may have brought one
            self.run_worker(self._look_again(self._turn))

    # Voting

    def action_vote(self, key: str) -> None:
        """Take a vote, unless it comes too soon to be meant."""
        if self._busy:
            return
        if self.ballot is None:
            self.say("There is nothing left to vote on. u takes your last vote back.", warn=True)
        elif self._pace.too_soon:
            self.say("Too quick: this pair had only just appeared. Press again if you meant it.", warn=True)
        else:
            self._busy = True
            self.run_worker(self._vote(self.ballot, key))

    async def _vote(self, ballot: Ballot, key: str) -> None:
        vote = VOTES[key]
        seconds = round(self._pace.seconds, 3)
        answer = Answer(ballot.query, vote.choice, vote.strength, seconds, self.reasons, self.note, self.unacceptable)
        slow = self.set_timer(0.3, lambda: self.say("Saving your vote …"))
        try:
            turn = await self._service.vote(answer)
        except BadInputError as error:
            self._report_failure("Your vote is not saved", error)
            return
        except ConnectionError as error:
            # It may have reached the disk: on coming back, the pair is open again only if it did not.
            self._report_failure("No word that your vote is saved", error)
            return
        finally:
            slow.stop()
        self._answers[ballot.query] = answer
        self._pace.voted(seconds)
        extras_by_name = (
            ("reasons", self.reasons),
            ("note", self.note),
            (unacceptable_in_words(self.unacceptable), self.unacceptable),
        )
        extras = ", ".join(name for name, value in extras_by_name if value)
        choice = vote_in_words(vote.choice, vote.strength) + (f" ({extras})" if extras else "")
        self.reasons, self.note, self.unacceptable = (), "", ()
        self.say(f"Saved vote {ballot.number}: {choice}. u takes it back.")
        await self._show(turn)

    def action_undo(self) -> None:
        """Take back the newest vote."""
        if not self._busy:
            self._busy = True
            self.run_worker(self._undo())
        elif self._turn.doing:  # what is told of it again and again must not swallow the key
            self.set_timer(0.05, self.action_undo)

    async def _undo(self) -> None:
        try:
            earlier = None if self._answers else await self._newest()
            async with self._line:
                turn = await self._service.undo()
        except (BadInputError, ConnectionError) as error:
            self._report_failure("Nothing was taken back", error)
            return
        if turn is None or turn.ballot is None:
            self._busy = False
            self.say("There is no vote of yours to take back.", warn=True)
            return
        answer = self._answers.pop(turn.ballot.query, earlier)
        self._pace.took_back()
        what = "your last vote"
        if answer is not None:
            what = f"vote {turn.ballot.number}: {vote_in_words(answer.choice, answer.strength)}"
            self.reasons, self.note, self.unacceptable = answer.reasons, answer.note, answer.unacceptable
        self.say(f"Took back {what}. The pair is open again.")
        await self._show(turn)

    async def _newest(self) -> Answer | None:
        """What was said last in an earlier session."""
        for past in await self._service.history():
            if not past.undone:
                fields = (past.choice, past.strength, past.seconds, past.reasons, past.note, past.unacceptable)
                return Answer(past.query, *fields)
        return None

    def _report_failure(self, what: str, error: Exception) -> None:
        self._busy = False
        reason = one_line(str(error), empty="the engine does not answer")
        gone = isinstance(error, ConnectionError)
        what_next = "Quit with q and start again to go on here" if gone else "Try again, or quit and come back"
        self.say(f"{what}: {full_stop(reason)} {what_next}.", warn=True)

    async def _show(self, turn: Turn) -> None:
        """Paint a turn, then let keys in again."""
        self._turn = turn
        view = self.query_one(BallotView)
        view.refused = self.unacceptable
        if turn.ballot is not None:
            await view.show(turn.ballot)
        view.display = turn.ballot is not None
        self.set_class(turn.ballot is None, "idle")
        self._draw_progress()
        if turn.ballot is not None and not self._welcomed:
            self._welcomed = True
            teach = " Reasons (r) and notes (n) teach those who write prompts." if self._card.tuned else ""
            self.say(f"Read both texts, then press ← or →. ? shows all keys.{teach}")
        if turn.notice:
            self.say(sentence(turn.notice), warn=True)
        self.call_after_refresh(self._let_keys_in, turn)

    def _let_keys_in(self, turn: Turn) -> None:
        self._pace.painted()
        self._busy = False
        self.post_message(Painted(turn))
        if turn.ballot is not None:
            self.run_worker(self._prepare_upcoming(turn.ballot))
        elif turn.again is not None:
            self.set_timer(turn.again, lambda: self.run_worker(self._look_again(turn)))
        if turn.progress.stop and turn.ballot is not None and not self._announced_enough:
            self._announced_enough = True
            self.app.push_screen(Enough(turn.progress.why), self._after_enough)

    async def _look_again(self, turn: Turn) -> None:
        """There was nothing to vote on for now; see whether there is."""
        if self._turn is not turn or self._busy:
            return
        try:
            async with self._line:
                now = await self._service.turn()
        except BadInputError as error:
            now = Turn(None, turn.progress, str(error), _TRY_AGAIN)
        except ConnectionError as error:
            self._report_failure("There is no pair to vote on", error)
            return
        if self._turn is not turn or self._busy:
            return  # a vote was taken back meanwhile
        self._busy = True
        if turn.notice and not now.notice:
            self.say("")
        await self._show(now)

    async def _prepare_upcoming(self, ballot: Ballot) -> None:
        """Lay out the ballots that may come next, while this one is read."""
        view = self.query_one(BallotView)
        prepared = 0
        for pause in _ASK_AGAIN:
            await asyncio.sleep(pause)
            if self.ballot is not ballot:
                return
            try:
                coming = await self._service.upcoming()
            except (BadInputError, ConnectionError):
                return  # only a head start is lost; the next vote will tell
            for next_ballot in coming:
                if self.ballot is not ballot:
                    return
                await view.prepare(next_ballot)
            if coming and len(coming) == prepared:
                return
            prepared = len(coming)

    def _after_enough(self, choice: Literal["go on", "overview", "quit"] | None) -> None:
        if choice == "overview":
            self.run_worker(self.app.run_action("go('overview')"))
        elif choice == "quit":
            self.run_worker(self.app.run_action("quit"))

    # Saying more

    def action_reasons(self) -> None:
        """Pick reasons for the vote to come."""
        if self.ballot is None or self._busy:
            return
        if not self._card.reasons:
            self.say("This study has no list of reasons. n writes a note instead.", warn=True)
            return
        self.app.push_screen(Reasons(self._card.reasons, self.reasons), self._keep_reasons)

    def _keep_reasons(self, reasons: tuple[str, ...] | None) -> None:
        if reasons is not None:
            self.reasons = reasons
            self.say("")

    def action_note(self) -> None:
        """Write a note on this ballot."""
        if self.ballot is not None and not self._busy:
            about = "Saved together with the vote you give next on this pair."
            self.app.push_screen(NoteDialog(self.note, about), self._keep_note)

    def _keep_note(self, note: str | None) -> None:
        if note is not None:
            self.note = note
            self.say("")

    def action_refuse(self, side: ScreenSide | None = None) -> None:
        """Say that a side must not be, whichever is better, or that it may; without one, step through what can be."""
        if not self._card.guarded:
            self.say("This study does not ask which sides are unacceptable.", warn=True)
        elif self.ballot is not None and not self._busy:
            self.unacceptable = self.query_one(BallotView).refuse(side)
            self.say("")

    # Reading

    async def action_diff(self) -> None:
        """Mark the differing words, or not."""
        view = self.query_one(BallotView)
        await view.toggle_diff()
        if not view.diff:
            self.say("Differences are not marked. d marks them.")
        elif view.alike is False:
            self.say("These two share too few words for marks to help.")
        else:
            self.say("Differing words are bold and underlined.")

    async def action_zoom(self) -> None:
        """Both texts, the left alone, the right alone."""
        await self.query_one(BallotView).next_zoom()

    def action_flip(self) -> None:
        """Show the other text."""
        if not self.query_one(BallotView).flip():
            self.say("Both texts are on the screen. z shows one alone.")

    def action_guidelines(self) -> None:
        """The study's guidelines."""
        if self._card.guidelines.strip():
            self.app.push_screen(Reading("Guidelines", self._card.guidelines, self.renderer))
        else:
            self.say("This study has no guidelines. Vote as you see fit.")

    def action_prompt(self) -> None:
        """The whole prompt."""
        if self.ballot is not None and self.ballot.context:
            self.app.push_screen(Reading(self._above, self.ballot.context, self.renderer))
        else:
            self.say(f"This pair has no {self._above.lower()}.")

    def action_pictures(self) -> None:
        """The pictures in the system's viewer."""
        ballot = self.ballot
        files = [file for file in (ballot.left_image, ballot.right_image) if file] if ballot else []
        self.say(open_outside(files) if files else "This pair has no pictures.")

    def action_scroll_by(self, lines: int, right_only: bool) -> None:
        """Scroll both texts, or the right one."""
        self.query_one(BallotView).scroll(lines, right_only=right_only)

    def action_page(self, pages: int) -> None:
        """Scroll both texts by pages."""
        self.query_one(BallotView).scroll(pages=pages)

    def action_ends(self, bottom: bool) -> None:
        """Scroll both texts to an end."""
        self.query_one(BallotView).ends(bottom=bottom)

    # The lines around

    def say(self, sentence: str, *, warn: bool = False) -> None:
        """Put a sentence below the ballot; what waits for the next vote stays in view."""
        waits = extras_in_words(self.reasons, self.note, self.unacceptable)
        self.query_one("#status", Static).update(status_line(harmless(sentence), warn, waits))

    def _draw_progress(self) -> None:
        line = top_line(self._card.title, self._turn.progress, self._pace, self.app.size.width - 2)
        self.query_one("#top", Static).update(line, layout=False)
        done = self.query_one("#done", Static)
        open_ballot = self._turn.ballot is not None
        done.display = not open_ballot
        self.query_one("#scale").display = self.query_one("#question").display = open_ballot
        if not open_ballot:
            done.update(in_place_of_a_ballot(self._turn, self._card.tuned))
