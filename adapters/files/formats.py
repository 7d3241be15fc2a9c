"""Items, pairs and judgments out of files: `.jsonl`, `.csv` and `.parquet` by ending, `-` for jsonl on standard input.

Whatever is wrong with a file is a `BadInputError` in one sentence: where (file, line or row, field), what, and
what to do. A file is read whole or not at all.

In csv and parquet the columns `features.NAME` and `meta.NAME` stand beside (or instead of) a JSON object in
`features` and `meta`, and a column of any other name goes into `meta`, from csv as text. In jsonl an item has
the known fields only, so that a slip of the pen is caught. Null and an empty csv cell mean: not given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from adapters.files import fields, images
from adapters.files.tables import Row, Skipped, keep_good, quote, read_table
from elicit.types import BadInputError, Item

JudgeKind = Literal["human", "llm"]
Preferred = Literal["a", "b", "tie"]
OrderShown = Literal["ab", "ba", "both", "unknown"]

ITEM_FIELDS = ("id", "text", "messages", "payload", "image", "context", "display", "features", "embedding", "meta")
ID_DIGITS = 10
"""Hex digits of the content hash that become the id of an item without one."""

_PAIR_FIELDS = ("pair_id", "prompt", "response_a", "response_b")
_JUDGMENT_FIELDS = ("pair_id", "judge_id", "judge_kind", "preference", "order")


class PairRow(msgspec.Struct, frozen=True):
    """Two responses to one prompt. `meta` holds every other column (category, model_a, prev_prompt, ...), if filled."""

    pair_id: str
    prompt: str
    response_a: str
    response_b: str
    meta: dict[str, Any] = {}

    @property
    def same_text(self) -> bool:
        """Whether the responses read the same, so that a vote can say nothing about the texts."""
        return self.response_a == self.response_b


class JudgmentRow(msgspec.Struct, frozen=True):
    """One verdict. `preference` is about the pair's a and b, whatever order was shown; `order` says who came first.

    `both` is a verdict merged over the two orders. `meta` holds every other column, if filled.
    """

    pair_id: str
    judge_id: str
    judge_kind: JudgeKind
    preference: Preferred
    order: OrderShown = "unknown"
    meta: dict[str, Any] = {}


def read_items(
    path: str | Path, columns: Mapping[str, str] | None = None, skipped: Skipped | None = None
) -> list[Item]:
    """The items of a file, two or more, in the file's order.

    An item without an id gets the first `ID_DIGITS` digits of its content hash. All items have the same features and
    embeddings of one length, ids differ, and so do contents. An image is a file, named relative to this one, and comes
    as an absolute path. columns, skipped: as `adapters.files.tables.read_table` has them. Raises `BadInputError`.
    """
    rows = read_table(path, columns, skipped).rows
    return _items(rows, Path() if str(path) == "-" else Path(path).parent, skipped)


def items_of(values: Iterable[Item | str | Mapping[str, Any]]) -> list[Item]:
    """The same checks for items that are in memory: `Item`s, texts, or mappings with an item's fields."""
    plain: list[dict[str, Any]] = []
    for value in values:
        if isinstance(value, Item):
            plain.append(msgspec.to_builtins(value))
        else:
            item_fields = {"text": value} if isinstance(value, str) else msgspec.to_builtins(value, enc_hook=_plain)
            if not isinstance(item_fields, dict):
                raise BadInputError(f"{value!r} is no item; give texts, mappings with an item's fields, or Items")
            plain.append(item_fields)
    if not plain:
        raise BadInputError("there are no items; give two or more")
    return _items([Row("the items", "jsonl", number, value) for number, value in enumerate(plain, start=1)], Path())


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy as Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise BadInputError(f"an item holds a {type(value).__name__}, which is not plain data; give text, numbers, lists")


def _items(rows: Sequence[Row], folder: Path, skipped: Skipped | None = None) -> list[Item]:
    first: list[tuple[Row, Item]] = []
    by_id: dict[str, Row] = {}
    by_content: dict[str, tuple[Row, Item]] = {}

    def make(row: Row) -> Item:
        item = _item(row, folder)
        _check_same_shape(row, item, *(first[0] if first else (row, item)))
        content = images.content_hash(item)
        item = item if item.id else msgspec.structs.replace(item, id=content[:ID_DIGITS])
        if content in by_content:
            twin_row, twin = by_content[content]
            ids = "" if twin.id == item.id else f" (ids {quote(twin.id)} and {quote(item.id)})"
            raise row.error(f"this is the same item as in {twin_row.where}{ids}; keep one of the two")
        if item.id in by_id:
            raise _id_twice(row, "id", item.id, by_id[item.id])
        by_id[item.id], by_content[content] = row, (row, item)
        first[:] = first or [(row, item)]
        return item

    items = keep_good(rows, make, skipped)
    if len(items) < 2:
        left_out = f" that can be used ({skipped[0]})" if skipped else ""
        count = "only one item" if items else "no item"
        raise BadInputError(f"{rows[0].table}: there is {count}{left_out}, and a comparison needs two; add another")
    return items


def read_pairs(
    path: str | Path, columns: Mapping[str, str] | None = None, skipped: Skipped | None = None
) -> list[PairRow]:
    """The pairs of a file, in the file's order; `pair_id` is unique.

    A response may be empty, and two may read the same if something else tells the sides apart, such as ids `a` and `b`,
    `model_a` and `model_b` or `prev_response_a` and `prev_response_b`. columns, skipped: as
    `adapters.files.tables.read_table` has them. Raises `BadInputError`.
    """
    rows: dict[str, Row] = {}

    def make(row: Row) -> PairRow:
        fields.need_all(row, _PAIR_FIELDS)
        pair = PairRow(
            pair_id=fields.needed_name(row, "pair_id"),
            prompt=fields.needed_text(row, "prompt"),
            response_a=fields.needed_text(row, "response_a"),
            response_b=fields.needed_text(row, "response_b"),
            meta=fields.others(row, _PAIR_FIELDS),
        )
        if pair.pair_id in rows:
            raise _id_twice(row, "pair_id", pair.pair_id, rows[pair.pair_id])
        if pair.same_text and _sides_equal(pair.meta):
            raise row.error("the two responses are equal; leave the pair out, or name what differs", "response_b")
        rows[pair.pair_id] = row
        return pair

    pairs = keep_good(read_table(path, columns, skipped).rows, make, skipped)
    if not pairs and skipped:
        raise BadInputError(f"{path}: there is no pair that can be used ({skipped[0]}); give at least one")
    return pairs


def read_judgments(path: str | Path) -> list[JudgmentRow]:
    """The judgments of a file, in the file's order; a judge may have judged a pair more than once.

    Whether the pairs exist is checked by `check_judgments`. Raises `BadInputError`.
    """
    return [
        JudgmentRow(
            pair_id=fields.needed_name(row, "pair_id"),
            judge_id=fields.needed_name(row, "judge_id"),
            judge_kind=cast(JudgeKind, fields.one_of(row, "judge_kind", ("human", "llm"))),
            preference=cast(Preferred, fields.one_of(row, "preference", ("a", "b", "tie"))),
            order=cast(OrderShown, fields.one_of(row, "order", ("ab", "ba", "both", "unknown"), default="unknown")),
            meta=fields.others(row, _JUDGMENT_FIELDS),
        )
        for row in read_table(path).rows
    ]


def check_judgments(
    pairs: Iterable[PairRow], judgments: Sequence[JudgmentRow], file: str | Path = "the judgments"
) -> None:
    """Raise `BadInputError` at the first judgment, counted from 1, of a pair that is not there."""
    pair_ids = {pair.pair_id for pair in pairs}
    for count, judgment in enumerate(judgments, 1):
        if judgment.pair_id not in pair_ids:
            # Looking for a near name takes 50 µs for each pair: worth it until a person would notice the wait.
            close = fields.close_to(judgment.pair_id, pair_ids) if len(pair_ids) <= 10_000 else ""
            raise BadInputError(
                f"{file}, judgment {count} by {quote(judgment.judge_id)}: there is no pair"
                f" {quote(judgment.pair_id)}{close}; correct the pair_id or add the pair"
            )


def _item(row: Row, folder: Path) -> Item:
    if row.kind == "jsonl":
        for field in row.values:
            if field not in ITEM_FIELDS:
                close = fields.close_to(field, ITEM_FIELDS)
                raise row.error(f"this field is not known{close}; use {', '.join(ITEM_FIELDS)}", field)
    text, payload = _shown_text(row), fields.json_value(row, "payload")
    image = _image(row, folder)
    if not text and payload is None and not image:
        if row.kind != "jsonl" and not {"text", "payload", "image"} & row.values.keys():
            raise fields.missing(row, "text", ", or say with --columns which it is")
        problem = "is empty" if row.values.get("text") == "" else "is missing, and so is payload"
        raise row.error(f"it {problem}; give the item a text, a payload or an image", "text")
    if text and payload is not None:
        raise row.error("there is a text as well; keep one of the two", "payload")
    return item_of(row, image)


def item_of(row: Row, image: str = "") -> Item:
    """The item on a row, which may have nothing to be shown. Raises `BadInputError`."""
    features = fields.with_prefix(row, "features")
    known = (*ITEM_FIELDS, *(column for column in row.values if column.startswith("features.")))
    return Item(
        id=fields.name(row, "id"),
        text=_shown_text(row),
        display=fields.text(row, "display"),
        payload=fields.json_value(row, "payload"),
        image=image,
        context=fields.text(row, "context"),
        features={
            key: fields.number(row, f"features.{key}", value) for key, value in features.items() if value is not None
        },
        embedding=fields.numbers(row, "embedding"),
        meta=fields.others(row, known),
    )


def _shown_text(row: Row) -> str:
    """The text of an item, or the chat messages that stand in its place."""
    return fields.text(row, "text") or fields.text(row, "messages")


def _image(row: Row, folder: Path) -> str:
    """The picture's file as an absolute path, once it is known to be a picture; empty where the item has none."""
    path = fields.text(row, "image")
    if not path:
        return ""
    try:
        file = images.named_in(folder, path)
        images.read(file)
    except BadInputError as error:
        raise row.error(f"{quote(path)}: {error}", "image") from None
    return str(file)


def _check_same_shape(row: Row, item: Item, first: Row, like: Item) -> None:
    """Raise `BadInputError` unless the item has the features, and as long an embedding, as the first one has."""
    for name in sorted(like.features.keys() ^ item.features.keys()):
        there, here = ("has", "has not") if name in like.features else ("has not", "has")
        difference = f"{first.where} {there} the feature {quote(name)}, and this one {here}"
        raise row.error(f"{difference}; give every item the same features", "features")
    length, size = len(item.embedding or ()), len(like.embedding or ())
    if length != size:
        difference = f"{length or 'no'} numbers here, but {size or 'none'} in {first.where}"
        raise row.error(f"{difference}; give every item an embedding of the same length", "embedding")


def _id_twice(row: Row, field: str, name: str, first: Row) -> BadInputError:
    return row.error(f"{quote(name)} is the {field} of {first.where} already; give each its own", field)


def _sides_equal(meta: Mapping[str, Any]) -> bool:
    """Whether nothing beside the responses tells side a from side b."""
    starts = {key[:-1] for key in meta if key in ("a", "b") or key.endswith(("_a", "_b"))}
    return all(meta.get(f"{start}a") == meta.get(f"{start}b") for start in starts)
