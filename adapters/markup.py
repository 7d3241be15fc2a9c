"""From Markdown to HTML that is safe to put into a page, whatever the text says.

A response is hostile input. Markdown's parser passes no HTML through and builds no tag that loads or runs anything;
what it makes is sanitised once more, with a list of tags of its own (nh3, on html5ever, which reads HTML as browsers
do); and what could hide or turn text is made visible. The page's Content-Security-Policy is the third wall.
"""

from __future__ import annotations

from functools import lru_cache
from html import escape

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

from elicit.safe_text import harmless

LONGEST = 20_000
"""Markdown's parser is quadratic in the worst case; longer texts (characters) are shown as they are written."""
_TOP_HEADING = 3
"""Above a text stand the page's own headings, the study's and the pane's."""

_TAGS = {
    *("p", "br", "hr", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"),
    *("pre", "code", "em", "strong", "s", "a", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}}
_ALIGNED = {tag: {"align": {"left", "center", "right"}} for tag in ("th", "td")}
_LINK = {"a": {"target": "_blank"}}


@lru_cache(maxsize=512)
def render(markdown: str) -> str:
    """The text as HTML made of harmless tags alone: no script, style, image, form, or link but to http and https.

    CommonMark with tables and strikethrough; line ends are kept, tags are text, images are their source. Headings
    start below the page's and skip no level. A text above 20,000 characters is shown as it is written. Never raises.
    """
    text = harmless(markdown)
    html = f"<pre>{escape(text)}</pre>" if len(text) > LONGEST else _PARSER.render(text)
    # Character references have turned into characters by now.
    return nh3.clean(
        harmless(html),
        tags=_TAGS,
        clean_content_tags=set(),
        attributes=_ATTRIBUTES,
        tag_attribute_values=_ALIGNED,
        set_tag_attribute_values=_LINK,
        link_rel="noopener noreferrer nofollow",
        url_schemes={"http", "https"},
        attribute_filter=lambda _tag, name, value: value if name != "href" or _outside(value) else None,
    )


def markdown_parser() -> MarkdownIt:
    """CommonMark with tables and strikethrough, in which tags are text, line ends are kept, and images are their
    source."""
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    parser.core.ruler.push("keep", _keep)
    return parser


def _keep(state: StateCore) -> None:
    for token in state.tokens:
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"
            elif child.type == "image":
                child.type, child.content = "text", f"![{child.content}]({child.attrs.get('src', '')})"


def _outside(url: str) -> bool:
    """Whether a link leads to a page of the web, and not into this one or to a program."""
    return url.lower().startswith(("http://", "https://"))


def _adapt(state: StateCore) -> None:
    """Fit the parsed text into a page."""
    above: list[int] = []
    for token in state.tokens:
        if token.type == "heading_open":
            level = int(token.tag[1])
            above = [*(other for other in above if other < level), level]
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(_TOP_HEADING + len(above) - 1, 6)}"
        if "style" in token.attrs:  # how a table's column is aligned; the page's policy refuses styles
            token.attrs = {"align": str(token.attrs["style"]).removeprefix("text-align:")}
        for child in token.children or ():
            child.attrs.pop("title", None)


def _page_parser() -> MarkdownIt:
    parser = markdown_parser()
    parser.disable("reference")  # a definition would vanish from the text
    parser.validateLink = _outside  # type: ignore[method-assign]
    parser.core.ruler.push("adapt", _adapt)
    return parser


_PARSER = _page_parser()
