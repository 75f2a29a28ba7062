"""Narratives: what is allowed, and expat as a second opinion on well-formedness. https://hl7.org/fhir/R4/narrative.html"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.validation import narrative
from fhir_server.validation.narrative import XHTML, fault, is_acceptable


def div(inner: str) -> str:
    return f'<div xmlns="{XHTML}">{inner}</div>'


@pytest.mark.parametrize(
    "text",
    [
        div("text"),
        f"<div xmlns='{XHTML}'>text</div>",
        " \n" + div("text") + "\n",
        div("<p>a<br/>b</p><hr />"),
        div('<table border="1"><tr><td colspan="2">a</td></tr></table>'),
        div('<p style="color: red; width: 10px">a</p>'),
        div('<a href="http://example.org/?a=b&amp;c">a</a><a name="x">b</a>'),
        div('<a href="Patient/1">a</a><a href="#x">a</a><a href="mailto:a@example.org">b</a>'),
        div('<img src="data:image/png;base64,AAAA" alt="x"/>'),
        div('<img src="#pic"/>'),
        div("a &lt; b &amp;&nbsp;&#xE4;&#228; &copy;"),
        div("<!-- comment -->text"),
        div('<span title="a > b">x</span>'),
        div("<p>\u00e4\U0001f600</p>"),
        div("<div><ul><li>a</li></ul></div>"),
        f'<div xmlns="{XHTML}" lang="en" xml:lang="en">x</div>',
    ],
)
def test_formatting_links_and_images_are_allowed(text: str) -> None:
    assert fault(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "text",
        "<div>text</div>",
        "<p>text</p>",
        f'<p xmlns="{XHTML}">text</p>',
        '<div xmlns="http://example.org">text</div>',
        f'<div xmlns="{XHTML}"/>',
        f"<div title='xmlns=\"{XHTML}\"'>text</div>",
        div(""),
        div(" \n"),
        div("<p> </p><br/>"),
        div("&nbsp;&#160;"),
        div("<!-- only a comment -->"),
        div("x") + div("y"),
        div("x") + "y",
        "y" + div("x"),
        "<!-- a -->y" + div("x"),
        # not well-formed
        div("<p>text"),
        div("text</p>"),
        div("<b><i>text</b></i>"),
        div("a & b"),
        div("a &unknown; b"),
        div("&#0;x"),
        div("&#xD800;x"),
        div("&#x110000;x"),
        div("<p class=a>x</p>"),
        div('<p class="a" class="b">x</p>'),
        div('<p class="a"id="b">x</p>'),
        div("<P>x</P>"),
        div("<p>x</p "),
        div("a\u0000b"),
        div('<p title="a<b">x</p>'),
        div("<!-- a -- b -->x"),
        div("]]>x<![CDATA[x]]>"),
        '<?xml version="1.0"?>' + div("x"),
        '<!DOCTYPE div [<!ENTITY a "b">]>' + div("&a;"),
        # not allowed
        div("<script>alert(1)</script>x"),
        div('<p onclick="alert(1)">x</p>'),
        div('<a href="javascript:alert(1)">x</a>'),
        div('<a href="java\tscript:alert(1)">x</a>'),
        div('<a href=" &#106;avascript:alert(1)">x</a>'),
        div('<a href="JAVASCRIPT:alert(1)">x</a>'),
        div('<a href="data:text/html,x">x</a>'),
        div('<img src="data:image/svg+xml;base64,AAAA"/>'),
        div('<img src="vbscript:x"/>'),
        div('<iframe src="http://example.org"></iframe>x'),
        div('<object data="x"></object>x'),
        div('<embed src="x"/>x'),
        div('<form action="x"><input/></form>x'),
        div('<link rel="stylesheet" href="x"/>x'),
        div("<style>p {}</style>x"),
        div('<meta charset="utf-8"/>x'),
        div('<base href="http://example.org"/>x'),
        div("<svg><circle/></svg>x"),
        div('<p style="background: url(http://example.org)">x</p>'),
        div('<p style="background: u&#114;l(http://example.org)">x</p>'),
        div('<p style="width: expression(alert(1))">x</p>'),
        div('<p style="w\\69 dth: 1">x</p>'),
        div('<p style="@import x">x</p>'),
        div('<p style="a: ex/**/pression(1)">x</p>'),
        div('<video src="x"/>x'),
        div('<p xlink:href="x">x</p>'),
        div('<a href="x" onmouseover="y">x</a>'),
        div("<font>x</font>"),
        div('<p><span xmlns="http://example.org">x</span></p>'),
        div("<p>" * 101 + "x" + "</p>" * 101),
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    assert fault(text) is not None
    assert not is_acceptable(text)


@pytest.mark.parametrize("value", [None, 1, True, [], {}])
def test_other_json_types_are_refused(value: object) -> None:
    assert not is_acceptable(value)


TAGS = ["<p>", "</p>", "<b>", "</b>", "<br/>", "</p >", "< p>", "<!-- x -->", "<!-- x -- y -->", "<!-- > -->"]
WITH_ATTRIBUTES = [
    '<p class="a">',
    "<p class='a\"b'>",
    '<a href="x"/>',
    '<p id="1" id="2">',
    "<p a>",
    '<p title="]]>">',
]
TEXTS = ["a", " ", "&amp;", "&#65;", "&", "<", ">", '"', "'", "--", "]]>", "\u00e4", "="]
PIECES = st.sampled_from([*TAGS, *WITH_ATTRIBUTES, *TEXTS])


@settings(max_examples=500)
@given(st.lists(PIECES, max_size=12))
def test_what_is_accepted_is_well_formed(pieces: list[str]) -> None:
    text = div("x" + "".join(pieces))
    accepted = fault(text) is None
    try:
        ElementTree.fromstring(text)  # noqa: S314 - our own text
    except ElementTree.ParseError:
        assert not accepted
    else:
        # Of these pieces everything that is well-formed is allowed.
        assert accepted


@pytest.mark.parametrize(
    "inner",
    [
        "<" * 100_000,
        "<p " * 50_000,
        '<p a="' * 30_000,
        "<p" + " " * 100_000,
        '<p class="' + "a" * 100_000,
        "&" * 100_000,
        "&#" * 50_000,
        "<!--" * 30_000,
        "<!-- " + "-" * 100_000,
        "<b>" * 30_000,
        "<p " + "a" * 100_000 + ">",
        "<p" + ' id="a"' * 20_000 + ">",
        "<p>x</p>" * 20_000,
    ],
    ids=lambda inner: repr(inner[:12]),
)
def test_hostile_text_takes_linear_time(inner: str) -> None:
    start = time.process_time()
    is_acceptable(div(inner))
    assert time.process_time() - start < 1


def test_remembered_tags_are_bounded() -> None:
    for number in range(3000):
        assert is_acceptable(div(f'<p id="p{number}">x</p>'))
    assert len(narrative._KNOWN_TAGS) <= narrative._MOST_KNOWN_TAGS
    assert not is_acceptable(div('<p onclick="x">y</p>'))
