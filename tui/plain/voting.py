"""Voting line by line: for screen readers, dumb terminals and pipes. No colours, no boxes, one answer a line."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal, cast

from elicit.safe_text import full_stop, harmless, one_line, percent
from elicit.service.voting import Answer, Ballot, StudyCard, StudyService, TuningService, Turn
from elicit.types import BadInputError
from studies.reporting import views
from tui.difference import difference
from tui.keys import HELP, OPENING, VOTES, farewell, sentence, unacceptable_in_words, vote_in_words
from tui.pace import VotingPace
from tui.plain.board import BOARD_HELP, PlainBoard
from tui.words import (
    NO_ROUTER,
    in_number,
    label_of,
    lean_in_words,
    money,
    shares,
    standing,
    state_of,
    sure_of,
    sureness,
)

Read = Callable[[], Awaitable[str | None]]
"""Gives the next line, or None at the end of the input."""
Write = Callable[[str], None]

_VOTE_WORDS = {"tie": "4", "equal": "4", "=": "4", "both bad": "0", "both_bad": "0", "bad": "0", "skip": "s"}
_WORDS = {
    "u": "undo",
    "r": "reasons",
    "n": "note",
    "d": "diff",
    "g": "guidelines",
    "p": "prompt",
    "a": "again",
    "f2": "overview",
    "f3": "history",
    "f5": "router",
    "f1": "help",
    "?": "help",
    "q": "quit",
    "quit": "quit",
}
_ASK = "Your vote: left, right, tie, bad, skip, or 1 to 7. ? lists everything."


class PlainVoting:
    """A session over lines; `run` is all of it. The letters are those of the full screen, and each has a word."""

    def __init__(
        self, service: StudyService, read: Read, write: Write, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._service = service
        self._read = read
        self._write = write
        self.pace = VotingPace(now)
        self._reasons: tuple[str, ...] = ()
        self._note = ""
        self._unacceptable: tuple[Literal["left", "right"], ...] = ()
        self._announced_enough = False
        self._turn: Turn
        self._card: StudyCard
        self._board = PlainBoard(cast(TuningService, service), read, write)

    async def run(self) -> None:
        """Read answers until the voter or the input ends."""
        self._card = await self._service.card()
        past = await self._service.history()
        self.pace.remember(vote.seconds for vote in past if vote.seconds is not None and not vote.undone)
        self._write(f"{full_stop(one_line(self._card.title))} {one_line(self._card.question)}")
        self._write("Every vote is saved at once. q quits.")
        await self._show(await self._service.turn())
        while True:
            line = await self._read()
            self.pace.touch()
            if line is None:
                return
            word, _, rest = line.strip().partition(" ")
            try:
                if await self._obey(line.strip().lower(), word.lower(), rest.strip()):
                    return
            except (BadInputError, ConnectionError) as error:
                self._write(f"That did not work: {full_stop(one_line(str(error)))} Saved votes are safe.")

    async def _obey(self, line: str, word: str, rest: str) -> bool:
        """Do what a line says; True: quit."""
        key = _VOTE_WORDS.get(line, line)
        command = _WORDS.get(word, word)
        if key in VOTES:
            await self._vote(key)
        elif self._card.tuned and await self._board.obey(command, rest):
            pass
        elif command == "unacceptable" and self._card.guarded:
            self._refuse(rest.lower())
        elif command == "quit":
            return True
        elif command == "undo":
            await self._undo()
        elif command == "reasons":
            await self._pick_reasons(rest)
        elif command == "note":
            await self._write_note(rest)
        elif command == "diff":
            self._differences()
        elif command == "guidelines":
            self._write(harmless(self._card.guidelines).strip() or "This study has no guidelines.")
        elif command == "prompt":
            ballot = self._turn.ballot
            none = f"This pair has no {self._above.lower()}."
            self._write(harmless(ballot.context).strip() if ballot and ballot.context else none)
        elif command == "again" or (not line and self._turn.again is not None):
            await self._show(self._turn if self._turn.ballot else await self._service.turn())
        elif command == "overview":
            await self._overview()
        elif command == "history":
            await self._history()
        elif command == "router":
            await self._router()
        elif command == "help":
            self._help()
        elif line:
            self._write(f"There is no {one_line(line)!r}. ? lists what there is.")
        return False

    @property
    def _above(self) -> str:
        """What stands above both texts."""
        return "Input" if self._card.tuned else "Prompt"

    async def _show(self, turn: Turn) -> None:
        shown_task = ""
        while turn.doing and turn.again is not None:
            if (doing := turn.doing.partition(",")[0]) != shown_task:
                shown_task = doing
                self._write(f"{sentence(doing).rstrip('.')} …")
            await asyncio.sleep(turn.again)
            turn = await self._service.turn()
        self._turn = turn
        progress, ballot = turn.progress, turn.ballot
        if progress.stop and ballot is not None and not self._announced_enough:
            self._announced_enough = True
            self._write(f"You can stop here: {sentence(progress.why)} You may go on; overview shows the result.")
        if turn.notice:
            self._write(sentence(turn.notice))
        if ballot is None and turn.again is not None:
            why = sentence(progress.why)
            self._write(f"Nothing to vote on now. {why} An empty line asks again, undo takes back, q quits.")
            return
        if ballot is None:
            self._write(f"All done. {sentence(progress.why)} overview shows the result, q quits.")
            return
        self._write("")
        self._write(f"Pair {ballot.number}. {progress.votes} of {progress.target} votes; {self.pace.to_go(progress)}.")
        if ballot.context:
            self._write(f"{self._above}:\n{harmless(ballot.context).strip()}\n")
        for side, text, image in (
            ("LEFT", ballot.left, ballot.left_image),
            ("RIGHT", ballot.right, ballot.right_image),
        ):
            words = harmless(text).strip() or ("" if image else "(empty)")
            picture = f"Picture: {one_line(image)}" if image else ""
            self._write(f"{side}:\n{chr(10).join(part for part in (picture, words) if part)}\n")
        self._write(_ASK)
        self.pace.painted()

    def _open(self) -> Ballot:
        if self._turn.ballot is None:
            raise BadInputError("no pair is open; undo opens the last one again")
        return self._turn.ballot

    async def _vote(self, key: str) -> None:
        ballot, vote = self._open(), VOTES[key]
        seconds = round(self.pace.seconds, 3)
        extras = (self._reasons, self._note, self._unacceptable)
        turn = await self._service.vote(Answer(ballot.query, vote.choice, vote.strength, seconds, *extras))
        self.pace.voted(seconds)
        choice = (
            f"{vote_in_words(vote.choice, vote.strength)}{f', {unacceptable_in_words(extras[2])}' if extras[2] else ''}"
        )
        self._reasons, self._note, self._unacceptable = (), "", ()
        self._write(f"Saved vote {ballot.number}: {choice}.")
        await self._show(turn)

    async def _undo(self) -> None:
        last = next((vote for vote in await self._service.history() if not vote.undone), None)
        turn = await self._service.undo()
        if turn is None:
            self._write("There is no vote of yours to take back.")
            return
        self.pace.took_back()
        which = f" {last.number}: {vote_in_words(last.choice, last.strength)}" if last else ""
        self._write(f"Took back vote{which}.")
        await self._show(turn)

    async def _pick_reasons(self, numbers: str) -> None:
        reasons = self._card.reasons
        self._open()
        if not reasons:
            self._write("This study has no list of reasons; note writes one.")
            return
        if not numbers:
            reason_list = full_stop(", ".join(f"{n} {one_line(reason)}" for n, reason in enumerate(reasons, 1)))
            self._write(f"Reasons: {reason_list} Type their numbers with blanks between; an empty line for none.")
            numbers = await self._read() or ""
        picked = numbers.replace(",", " ").split()
        if not all(word.isascii() and word.isdigit() and 1 <= int(word) <= len(reasons) for word in picked):
            self._write(f"Reasons are numbers from 1 to {len(reasons)}; nothing changed.")
            return
        self._reasons = tuple(reason for n, reason in enumerate(reasons, 1) if str(n) in picked)
        self._write(full_stop(f"With your next vote: {', '.join(map(one_line, self._reasons)) or 'no reasons'}"))

    async def _write_note(self, text: str) -> None:
        self._open()
        if not text:
            self._write("Type the note on one line; an empty line for none.")
            text = (await self._read() or "").strip()
        self._note = harmless(text)
        self._write("The note goes with your next vote." if text else "No note.")

    def _refuse(self, side: str) -> None:
        self._open()
        if side not in ("left", "right"):
            self._write("Say which: unacceptable left, or unacceptable right; the same again takes it back.")
            return
        self._unacceptable = tuple(name for name in ("left", "right") if (name in self._unacceptable) != (name == side))
        self._write(f"With your next vote: {unacceptable_in_words(self._unacceptable) or 'no side is unacceptable'}.")

    def _differences(self) -> None:
        ballot = self._open()
        left, right = harmless(ballot.left), harmless(ballot.right)
        marks = difference(left, right)
        if not marks.left and not marks.right:
            self._write("The two texts have the same words.")
        elif not marks.helpful:
            self._write("The two texts have few words in common.")
        else:
            for name, text, spans in (("LEFT", left, marks.left), ("RIGHT", right, marks.right)):
                pieces = "; ".join(one_line(text[start:end]) for start, end in spans)
                self._write(f"Only in {name}: {pieces or 'nothing'}.")

    async def _overview(self) -> None:
        overview = await self._service.show(views.overview)
        self._write(f"{state_of(overview.progress)}{sentence(overview.progress.why)}")
        if overview.labels is not None:
            self._write(shares(overview.labels))
        for place, pair in enumerate(overview.pairs[:10], start=1):
            if pair.pair:
                label = f"{label_of(pair)} by {in_number(pair.votes, 'vote') if pair.votes else pair.source}"
                self._write(f"Pair {one_line(pair.pair)}: {label}, {percent(pair.probability)} sure.")
            else:
                self._write(f"Pair {place} is before you now, so nothing more of it is told.")
        for row in overview.leaders[:10]:
            if not row.item:
                self._write(f"{row.rank}. This one is before you now, so nothing more of it is told.")
                continue
            sure = sure_of(row, overview)
            chance = "" if sure is None else f"{sentence(f'{sureness(overview)[1]} {percent(sure)}')[:-1]}, "
            self._write(
                f"{row.rank}. {one_line(row.item)}: {sentence(row.text)} {chance}utility {row.utility:+.2f}, "
                f"between {row.low:+.2f} and {row.high:+.2f}, {row.votes} votes."
            )
        self._write(f"Left was chosen in {percent(overview.left_share)} of decided votes.")

    async def _history(self) -> None:
        votes = await self._service.history(10)
        for vote in votes:
            undone = ", taken back" if vote.undone else ""
            seconds = "" if vote.seconds is None else f", {vote.seconds:.1f} seconds"
            note = f" Note: {full_stop(one_line(vote.note))}" if vote.note else ""
            choice = vote_in_words(vote.choice, vote.strength)
            why = f" Why asked: {sentence(vote.why)}" if vote.why else ""
            self._write(f"Vote {vote.number}: {choice}{seconds}{undone}.{note}{why}")
        if not votes:
            self._write("No votes yet.")

    async def _router(self) -> None:
        routing = await self._service.show(views.routing)
        if routing is None:
            self._write(NO_ROUTER)
            return
        self._write(standing(routing)[1])
        counts = f"Machines labelled {routing.machines} queries, people {routing.people}, nobody {routing.nobody}"
        self._write(f"{counts}; {routing.waiting} wait for people.")
        budget = "" if routing.budget is None else f" of {money(routing.budget)}"
        each = "" if routing.per_vote is None else f", {money(routing.per_vote)} a vote"
        each += "" if routing.per_bit is None else f", {money(routing.per_bit)} a bit"
        self._write(f"Spent {money(routing.spent)}{budget}{each}.")
        self._write(
            f"Audits: {routing.read} of {routing.epoch} for the next certificate, "
            f"{routing.wrong} of {routing.audits} wrong."
        )
        self._write(sentence(routing.certificate))
        for row in routing.judges:
            agrees = f", agrees with people on {row.same} of {row.both}" if row.both else ""
            leans = "".join(f"; {one_line(lean.name)} {lean.value:+.2f}: {lean_in_words(lean)}" for lean in row.leans)
            self._write(
                f"{one_line(row.judge)}: {row.verdicts} verdicts, {row.failed} failed, cost {money(row.cost)}, orders "
                f"differ on {row.flips} of {row.swapped}{agrees}{leans}."
            )
        for decision in routing.decisions:
            audit = f" A blind audit found it {decision.audit}." if decision.audit else ""
            self._write(f"To {decision.to}, chance {percent(decision.chance)}: {sentence(decision.reason)}{audit}")

    def _help(self) -> None:
        left_out = {"Read"}
        for title, keys in HELP:
            if title not in left_out:
                for key, words in keys:
                    self._write(f"{key}: {words}")
        self._write("d: the words only one text has")
        self._write("a: read the pair again")
        self._write(
            "Words work too: left, right, tie, bad, skip, undo, reasons, note, overview, history, router, quit."
        )
        if self._card.guarded:
            self._write("unacceptable left, unacceptable right: that side must not be, whichever is better")
        for line in BOARD_HELP if self._card.tuned else ():
            self._write(line)


def _stdin() -> Read:
    """Lines of standard input, each read by a thread that dies with the process, so that an interrupt ends it all. None
    is read before it is asked for: what follows the session is for whoever asks next."""
    loop = asyncio.get_running_loop()

    async def read() -> str | None:
        future: asyncio.Future[str] = loop.create_future()

        def settle(line: str) -> None:
            if not future.done():
                future.set_result(line)

        def pump() -> None:
            try:
                line = sys.stdin.readline()
            except ValueError:  # closed, or no text
                line = ""
            with suppress(RuntimeError):  # the loop has ended, nobody waits for lines any more
                loop.call_soon_threadsafe(settle, line)

        threading.Thread(target=pump, daemon=True).start()
        line = await future
        return line.rstrip("\n") if line else None

    return read


def _stdout(text: str) -> None:
    print(text, flush=True)


async def _run(start: Callable[[], Awaitable[StudyService]], opening: str, paces: list[VotingPace]) -> None:
    _stdout(f"{opening}. This takes a few seconds.")
    service = await start()
    try:
        session = PlainVoting(service, _stdin(), _stdout)
        paces.append(session.pace)
        await session.run()
    finally:
        await service.close()


def run(start: Callable[[], Awaitable[StudyService]], opening: str = OPENING) -> int:
    """Let a person vote by lines; gives the exit code: 0 done, 3 interrupted, 2 not started (with a sentence)."""
    paces: list[VotingPace] = []
    code = 0
    try:
        asyncio.run(_run(start, opening, paces))
    except KeyboardInterrupt:
        code = 3
    except (BadInputError, ConnectionError) as error:
        print(f"elicit: {one_line(str(error))}", file=sys.stderr)
        return 2
    _stdout(farewell(paces[0].count if paces else 0))
    return code
