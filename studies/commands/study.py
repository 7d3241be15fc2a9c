"""The commands that need no screen; each is a thin skin on a method of `Study` or a function beside it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from adapters.files.tables import Written
from elicit.safe_text import quantity
from elicit.types import BadInputError
from studies.commands.option_types import SEED, IntegerRange, Real
from studies.commands.options import JSON, STUDY, example, progress, say, show_result

if TYPE_CHECKING:
    from adapters.files.formats import JudgmentRow
    from adapters.files.tables import Skipped
    from elicit.routing.judging import CostEstimate
    from studies.study import Study


TABLES = ["votes", "items", "labels", "prompt", "promptfoo", "trl"]


def _columns(_: click.Context, option: click.Parameter, text: str | None) -> dict[str, str] | None:
    """The columns by the field that each is."""
    if text is None:
        return None
    parts = [part.partition("=") for part in text.split(",")]
    if not all(field.strip() and sign and column.strip() for field, sign, column in parts):
        raise BadInputError(f"--columns is {text!r}; give fields with their columns, such as text=joke,id=number")
    return {field.strip(): column.strip() for field, _, column in parts}


@click.command(epilog=example("elicit init jokes --items jokes.jsonl --goal best"))
@STUDY
@click.option("--items", type=str, help="Candidates: .jsonl, .csv, .parquet, or - for JSON lines on stdin.")
@click.option("--pairs", type=str, help="Pairs of responses to label.")
@click.option(
    "--columns",
    metavar="FIELD=COLUMN,...",
    callback=_columns,
    help="What the file calls its fields, such as text=joke,id=number.",
)
@click.option("--skip-bad", is_flag=True, help="Leave rows that cannot be used out, and say how many.")
@click.option("--judgments", type=str, help="Recorded judgments of the pairs, replayed by 'elicit run'.")
@click.option(
    "--goal", type=click.Choice(["best", "top", "rank", "label"]), help="Default: best for items, label for pairs."
)
@click.option("--top", type=IntegerRange(1), help="How many items --goal top is to find; default 10.")
@click.option("--title", help="Default: the folder's name.")
@click.option("--question", help="Asked above the two panes.")
@click.option("--guidelines", type=click.Path(path_type=Path), help="A Markdown file, shown on the g key.")
@click.option("--votes", type=IntegerRange(1), help="The budget; default 200.")
@click.option("--seed", type=IntegerRange(0, SEED), help="Same seed, same answers: same queries. Default 0.")
@click.option("--selector", help="What is asked next; default by goal.")
@click.option("--model", help="Utility model.")
@click.option("--embedder", type=click.Choice(["wordllama", "none"]), help="How texts become features.")
@click.option("--score", "scores", multiple=True, metavar="NAME", help="A feature that should go up with quality.")
@click.option("--prior", type=click.Path(path_type=Path), help="A study whose preferences are likely to be alike.")
@click.option("--simulate", metavar="FIELD", help="A simulated judge for 'elicit run', e.g. meta.score.")
@click.option("--tune", is_flag=True, help="Tune prompts: asks for the task, the model and the inputs.")
@click.option("--task", help="A task file (.toml) instead of questions; 'example' is the one they start from.")
@JSON
def init(
    study: Path,
    items: str | None,
    pairs: str | None,
    columns: dict[str, str] | None,
    skip_bad: bool,
    judgments: str | None,
    as_json: bool,
    simulate: str | None,
    prior: Path | None,
    tune: bool,
    task: str | None,
    **spec: Any,
) -> None:
    """Make STUDY, a folder, from a file of items (to find the best or the top, or rank all) or of pairs (to label), or
    to tune prompts."""
    if tune or task:
        if other := [
            name for name, value in {"items": items, "pairs": pairs, "columns": columns, **spec}.items() if value
        ]:
            raise BadInputError(f"--tune takes no --{other[0]}; say it in the task file")
        _init_tuning(study, task, as_json)
        return
    from adapters.files.export import write_rows
    from adapters.files.formats import check_judgments, read_items, read_judgments, read_pairs
    from adapters.judges.simulated import Simulated
    from studies.prior import PRIOR, expected_by
    from studies.study import Study

    if (items is None) == (pairs is None):
        raise BadInputError("a study is made of --items or of --pairs; give one of them")
    if simulate and items is None:
        raise BadInputError("--simulate goes with --items; replay recorded --judgments of the pairs instead")
    if judgments == "-":
        raise BadInputError("--judgments must be a file, because the study keeps a copy; save standard input to one")
    if judgments and pairs is None:
        raise BadInputError("--judgments goes with --pairs; items have no pairs to judge yet")
    if prior is not None and items is None:
        raise BadInputError("--prior goes with --items; pairs are labelled one by one")
    fields = {name: value for name, value in spec.items() if value is not None}
    if guidelines := fields.get("guidelines"):
        fields["guidelines"] = _text(guidelines)
    judges = []
    skipped: Skipped | None = [] if skip_bad else None
    listed = read_pairs(pairs, columns, skipped) if pairs is not None else None
    valid: list[JudgmentRow] = []  # where some were of pairs that are left out
    if judgments and listed is not None:
        recorded = read_judgments(judgments)
        if skipped is None:
            check_judgments(listed, recorded)
        ids = {pair.pair_id for pair in listed}
        if any(row.pair_id not in ids for row in recorded):
            valid = [row for row in recorded if row.pair_id in ids]
            say(f"left out {len(recorded) - len(valid)} judgments of pairs that are not there")
        name = "judgments.jsonl" if valid else f"judgments{Path(judgments).suffix}"
        judges.append({"name": "recorded", "kind": "replayed", "options": {"file": name}})
    if simulate:
        judges.append({"name": "simulated", "kind": "simulated", "options": {"utility": simulate}})
    rows = read_items(items, columns, skipped) if items is not None else None
    if simulate:
        Simulated(simulate).begin("simulated", rows or [], [], study)
    if prior is not None and rows is not None:
        rows = expected_by(prior, rows)
        fields["scores"] = (*fields["scores"], PRIOR)
    with Study.create(study, items=rows, pairs=listed, judges=judges, **fields) as new_study:
        if valid:
            write_rows(study / name, valid)
        elif judgments:
            shutil.copyfile(judgments, study / name)
        count = {"study": str(study), "goal": new_study.spec.goal, "items": len(new_study.state.items)}
        if new_study.state.pairs:
            count["pairs"] = len(new_study.state.pairs)
        if skipped:
            count["skipped"] = len(skipped)
            rest = f"; and {len(skipped) - 1} more" if len(skipped) > 1 else ""
            say(f"left out {len(skipped)} bad row{'' if len(skipped) == 1 else 's'}: {skipped[0]}{rest}")
    what = f"{count['pairs']} pairs" if "pairs" in count else f"{count['items']} items"
    show_result(
        as_json, count, f"{study}: {what}, goal {count['goal']}. Next: elicit {'run' if judges else 'vote'} {study}"
    )


def _init_tuning(study: Path, task: str | None, as_json: bool) -> None:
    from studies.study import Study
    from studies.tuning.setup import EXAMPLE, ask_study, read_task
    from studies.tuning.tuner import Tuner

    if task is None and not sys.stdin.isatty():
        raise BadInputError("--tune asks questions in a terminal; without one, give --task FILE, or --task example")
    if task is None:
        setup = ask_study(lambda question, usual: str(click.prompt(question, default=usual, err=True)))
    else:
        setup = read_task(EXAMPLE if task == "example" else Path(task))
    with Study.create(study, items=setup.items, inputs=setup.inputs, **setup.spec) as new_study:
        try:
            Tuner(new_study)  # what cannot be run is said now
        except BadInputError:
            shutil.rmtree(study)
            raise
        count = {"study": str(study), "prompts": len(new_study.state.items), "inputs": len(new_study.state.inputs)}
        count["held_out"] = sum(entry.held_out for entry in new_study.state.inputs)
    prompts = f"{count['prompts']} prompt{'' if count['prompts'] == 1 else 's'}"
    inputs = f"{count['inputs']} inputs, {count['held_out']} of them held out"
    show_result(as_json, count, f"{study}: {prompts}, {inputs}. Next: elicit tune {study}")


@click.command(epilog=example("elicit run jokes --votes 50"))
@STUDY
@click.option("--votes", type=IntegerRange(1), help="Stop after so many queries; default: when the stop rule is met.")
@click.option("--budget", type=Real(0), help="Money to spend at most, all runs together.")
@click.option("--estimate", is_flag=True, help="Say what it would cost, and ask nobody.")
@JSON
def run(study: Path, votes: int | None, budget: float | None, estimate: bool, as_json: bool) -> int:
    """Let the judges configured in study.toml answer what the engine asks. Interrupt and run again to go on.

    With a router in [routing], each query goes to machine judges, to people or to nobody; queries for people wait for
    'elicit vote'. A failure of a judge is no vote, and five in a row pause the judge; the next run asks again. Exit
    code 3: votes or money were spent before the stop rule was met, or judges that failed left queries open.

    Beside 'elicit vote' and 'elicit serve' it works too; where a process that has the study lets its judges answer
    already, it says so.
    """
    from studies.run import estimates, result_elsewhere
    from studies.run import open_for_judges as opened_to_judge
    from studies.run import run as run_study
    from studies.study import Study

    if estimate:
        with Study.open(study, writable=False) as opened:
            _show_estimates(estimates(opened, max(1, votes or to_ask(opened))), as_json)
        return 0
    with opened_to_judge(study) as (opened, mine):
        with progress(max(1, votes or to_ask(opened)), "queries") as step:
            result = run_study(opened, votes, step, budget=budget) if mine else result_elsewhere(opened)
        if as_json:
            ending = {"reason": result.reason, "why": result.why, "failed": result.failed, "open": result.left}
            from studies.reporting.status import status_of

            click.echo(json.dumps(status_of(opened) | ending))
        else:
            following = "run" if result.left else "status"
            say(f"{result.summary(len(opened.state.votes))}. Next: elicit {following} {study}")
        return result.exit_code


def to_ask(study: Study) -> int:
    """How many queries there may still be: votes, or pairs without a label."""
    from studies.decisions import labelled_pairs

    budget = study.spec.votes - len(study.state.votes)
    return min(budget, len(study.state.listed_pairs() - labelled_pairs(study.state)) if study.state.pairs else budget)


def _show_estimates(costs: dict[str, CostEstimate], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"judges": {name: msgspec.to_builtins(cost) for name, cost in costs.items()}}))
        return
    for name, cost in costs.items():
        tokens = f"{cost.tokens_in:,} tokens read, up to {cost.tokens_out:,} written"
        money = "no prices configured" if cost.cost is None else f"at most {cost.cost:.4g}"
        click.echo(f"{name}: {cost.queries} queries, {cost.calls} calls, {tokens}: {money}")
    if not costs:
        click.echo("no configured judge asks a model; nothing is to be paid")


@click.command(epilog=example("elicit status jokes"))
@STUDY
@JSON
def status(study: Path, as_json: bool) -> None:
    """Say where STUDY stands: the recommendation, how sure it is, and how many votes are left."""
    from studies.reporting.status import status_of
    from studies.reporting.status_lines import status_lines
    from studies.study import Study

    with Study.open(study, writable=False) as opened:
        values = status_of(opened)
    if as_json:
        click.echo(json.dumps(values))
        return
    click.echo("\n".join(status_lines(values)))


@click.command(epilog=example("elicit report jokes -o jokes.html"))
@STUDY
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The HTML file to write.")
@JSON
def report(study: Path, output: Path, as_json: bool) -> None:
    """Write one self-contained HTML file about STUDY."""
    from studies.reporting.report_data import write_report
    from studies.study import Study

    with Study.open(study, writable=False) as opened:
        write_report(opened, output)
        state = opened.state
        values = {"study": str(study), "output": str(output), "votes": len(state.votes), "items": len(state.items)}
    show_result(as_json, values, f"wrote {output}")


@click.command(epilog=example("elicit export jokes -o votes.csv"))
@STUDY
@click.option("-o", "--output", required=True, help="The file to write; - is stdout.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", "parquet", "excel"]),
    help="Default: by the file's ending. excel: text that Excel opens as it is, in every language.",
)
@click.option("--table", type=click.Choice(TABLES), default="votes", show_default=True)
@JSON
def export(study: Path, output: str, form: Written | None, table: str, as_json: bool) -> None:
    """Write the votes, the items with their utilities, or the labels of the pairs; where prompts are tuned, the best
    prompt, a promptfoo configuration, or preferences to train on with TRL's DPO (.jsonl)."""
    from studies.reporting import exports
    from studies.study import Study

    if output == "-" and as_json:
        raise BadInputError("--json and -o - both write to stdout; give a file to -o")
    with Study.open(study, writable=False) as opened:
        rows = exports.export(opened, output, table, form)
    what = {"prompt": "the prompt", "promptfoo": "the configuration"}.get(table, quantity(rows, "row"))
    values = {"study": str(study), "output": output, "table": table, "rows": rows}
    show_result(as_json, values, f"wrote {what} to {'stdout' if output == '-' else output}")


@click.command(epilog=example("elicit backup jokes jokes-backup"))
@STUDY
@click.argument("target", type=click.Path(path_type=Path))
@JSON
def backup(study: Path, target: Path, as_json: bool) -> None:
    """Copy STUDY to the new folder TARGET, also while somebody votes in it."""
    from studies.study import Study

    with Study.open(study, writable=False) as opened:
        opened.backup(target)
    show_result(as_json, {"study": str(study), "output": str(target)}, f"copied {study} to {target}")


@click.command(epilog=example("elicit forget jokes --judge maya"))
@STUDY
@click.option("--judge", required=True, help="The name to remove.")
@JSON
def forget(study: Path, judge: str, as_json: bool) -> None:
    """Remove a judge's name and notes from STUDY for good; the votes stay, under a pseudonym."""
    from elicit.log.events import JOINED
    from studies.storage import forgetting
    from studies.study import Study

    begun = forgetting.interrupted_forgetting(study)
    with Study.open(study) as opened:  # which finishes what was begun
        pseudonym = begun.pseudonym if begun and begun.judge == judge else opened.forget(judge)
        votes = sum(pseudonym in live.vote.judge.split(JOINED) for live in opened.state.votes)
    files = [str(path.relative_to(study)) for path in forgetting.files_with(study, judge)]
    values = {"study": str(study), "judge": judge, "pseudonym": pseudonym, "votes": votes, "left": files}
    still = f" the name still stands in what {', '.join(files)} says of other things;" if files else ""
    show_result(
        as_json,
        values,
        f"{judge} is now {pseudonym};{still} reports, exports and backups made elsewhere before still hold it",
    )


@click.command(epilog=example("elicit doctor jokes"))
@click.argument("study", required=False, type=click.Path(path_type=Path))
@JSON
def doctor(study: Path | None, as_json: bool) -> int:
    """Check versions, device and installation, and every byte of STUDY where one is given; say what to do about each
    problem."""
    from studies.commands.doctor import examine, examine_study

    checks = examine() + (examine_study(study) if study else [])
    if as_json:
        click.echo(json.dumps({"ok": all(c["ok"] for c in checks), "checks": checks}))
    else:
        for check in checks:
            click.echo(f"{'ok ' if check['ok'] else 'BAD'}  {check['name']}: {check['found']}")
            if not check["ok"]:
                click.echo(f"     {check['do']}")
    return 0 if all(c["ok"] for c in checks) else 2


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} cannot be read ({error}); give a Markdown file") from None
