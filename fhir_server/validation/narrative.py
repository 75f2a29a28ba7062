"""Which XHTML a narrative may hold (txt-1, txt-2): formatting, links and images, nothing that acts. https://hl7.org/fhir/R4/narrative.html

A scanner of our own reads the div in one pass: it knows no entity definitions, so nothing expands, and what it does not
know is refused.
"""

from __future__ import annotations

import re
from html.entities import name2codepoint
from typing import Any

from fhir_server.validation.primitives import MAX_STRING

XHTML = "http://www.w3.org/1999/xhtml"
MAX_TAG_DEPTH = 100

# HTML 4.0 chapters 7 to 11 (without 9.4, changes) and 15, and a and img: https://www.w3.org/TR/html401/
ELEMENTS = frozenset(
    {"a", "abbr", "acronym", "address", "area", "b", "bdo", "big", "blockquote", "br", "caption", "cite", "code", "col"}
    | {"colgroup", "dd", "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "kbd"}
    | {"li", "map", "ol", "p", "pre", "q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td"}
    | {"tfoot", "th", "thead", "tr", "tt", "ul", "var"}
)
COMMON_ATTRIBUTES = frozenset({"accesskey", "class", "dir", "id", "lang", "style", "tabindex", "title", "xml:lang"})
_CELLS = frozenset({"align", "char", "charoff", "valign"})
_CELL = _CELLS | {"abbr", "axis", "bgcolor", "colspan", "headers", "height", "nowrap", "rowspan", "scope", "width"}
ATTRIBUTES: dict[str, frozenset[str]] = {
    "a": frozenset({"charset", "coords", "href", "hreflang", "name", "rel", "rev", "shape", "target", "type"}),
    "area": frozenset({"alt", "coords", "href", "nohref", "shape"}),
    "blockquote": frozenset({"cite"}),
    "br": frozenset({"clear"}),
    "caption": frozenset({"align"}),
    "col": _CELLS | {"span", "width"},
    "colgroup": _CELLS | {"span", "width"},
    "div": frozenset({"align", "xmlns"}),
    "h1": frozenset({"align"}),
    "h2": frozenset({"align"}),
    "h3": frozenset({"align"}),
    "h4": frozenset({"align"}),
    "h5": frozenset({"align"}),
    "h6": frozenset({"align"}),
    "hr": frozenset({"align", "noshade", "size", "width"}),
    "img": frozenset(
        {"align", "alt", "border", "height", "hspace", "ismap", "longdesc", "src", "usemap", "vspace", "width"}
    ),
    "li": frozenset({"type", "value"}),
    "map": frozenset({"name"}),
    "ol": frozenset({"compact", "start", "type"}),
    "p": frozenset({"align"}),
    "pre": frozenset({"width", "xml:space"}),
    "q": frozenset({"cite"}),
    "table": frozenset(
        {"align", "bgcolor", "border", "cellpadding", "cellspacing", "frame", "rules", "summary", "width"}
    ),
    "tbody": _CELLS,
    "td": _CELL,
    "tfoot": _CELLS,
    "th": _CELL,
    "thead": _CELLS,
    "tr": _CELLS | {"bgcolor"},
    "ul": frozenset({"compact", "type"}),
}
LINKS = frozenset({"cite", "href", "longdesc", "src", "usemap"})
SAFE_SCHEMES = frozenset({"http", "https", "ftp", "ftps", "mailto", "tel", "sms", "urn", "oid", "cid"})

# A token is a comment, a tag or a run of text; the possessive "++" keeps each alternative linear.
COMMENT = re.compile(r"<!--(?:(?!--)[^\x00-\x08\x0b\x0c\x0e-\x1f])*+-->")
TOKEN = re.compile(rf"{COMMENT.pattern}|<(?:[^<>\"']++|\"[^<\"]*+\"|'[^<']*+')*+>|[^<]++")
TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)((?:\s++[A-Za-z_][\w.:\-]*+\s*+=\s*+(?:\"[^<\"]*+\"|'[^<']*+'))*+)\s*+(/?)>")
ATTRIBUTE = re.compile(r"([A-Za-z_][\w.:\-]*+)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')")
TEXT = re.compile(
    r"(?:[^<&\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]++|&(?:[A-Za-z][A-Za-z0-9]{1,9}|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)*+"
)
ENTITY = re.compile(r"&(?:(\w+)|#([0-9]+)|#x([0-9A-Fa-f]+));")
SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):", re.IGNORECASE)
DATA_IMAGE = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp|bmp);base64,", re.IGNORECASE)
STYLE_REFUSED = re.compile(r"\\|/\*|@|url\s*\(|expression|script|behavio|-moz-binding", re.IGNORECASE)
_INVISIBLE = re.compile(r"[\s\x00-\x20\x7f-\xa0\u200b-\u200f\u2028\u2029\ufeff]")

Tag = tuple[str, str, bool]
"""What a tag does (open, close, empty), its element's name, and whether it declares the namespace."""

_KNOWN_TAGS: dict[str, Tag] = {}
_MOST_KNOWN_TAGS = 2000
_LONGEST_KNOWN_TAG = 120


class Refused(Exception):
    """Why the scanner stopped: the sentence for diagnostics."""


def is_acceptable(div: Any) -> bool:
    """Whether Narrative.div is well-formed, allowed and not empty. https://hl7.org/fhir/R4/narrative.html#xhtml"""
    return fault(div) is None


def fault(div: Any) -> str | None:
    """The first thing wrong with a Narrative.div, in words; None where it is acceptable."""
    if type(div) is not str:
        return "the narrative must be text in quotes"
    if len(div) > MAX_STRING:
        return f"the narrative is longer than {MAX_STRING} characters"
    try:
        _scan(div)
    except Refused as refused:
        return str(refused)
    return None


def _scan(div: str) -> None:
    tokens = _tokens(div.strip(" \t\r\n"))
    open_tags, content = [_root(tokens[0])], False
    for token in tokens[1:]:
        if not open_tags:
            raise Refused("nothing may stand outside the <div>")
        if token[0] != "<":
            content = _text(token) or content
        elif token[:4] == "<!--":
            _comment(token)
        else:
            kind, name, _ = _KNOWN_TAGS.get(token) or _tag(token)
            content = content or name == "img"
            if kind == "open":
                open_tags.append(name)
                if len(open_tags) > MAX_TAG_DEPTH:
                    raise Refused(f"elements are nested more than {MAX_TAG_DEPTH} deep")
            elif kind == "close" and open_tags.pop() != name:
                raise Refused(f"</{name}> closes an element that is not open here; elements must nest")
    if open_tags:
        raise Refused(f"<{open_tags[-1]}> is not closed")
    if not content:
        raise Refused("txt-2: the narrative must have some text or an image")


def _tokens(text: str) -> list[str]:
    tokens: list[str] = TOKEN.findall(text)
    # findall skips what fits no alternative; together the tokens must be the whole text.
    if not tokens or sum(map(len, tokens)) != len(text):
        raise Refused("the narrative is not well-formed XHTML; write < as &lt; and put attribute values in quotes")
    return tokens


def _root(token: str) -> str:
    """Check the first token: the div that declares the namespace."""
    kind, name, declares = (_KNOWN_TAGS.get(token) or _tag(token)) if token[:4] == "<div" else ("", "", False)
    if kind != "open" or name != "div" or not declares:
        raise Refused(f'the narrative must be one <div xmlns="{XHTML}"> with content')
    return name


def _comment(token: str) -> None:
    if not COMMENT.fullmatch(token):
        raise Refused("a comment must not hold -- or control characters")


def _text(token: str) -> bool:
    """Check a run of text; whether it holds anything to read."""
    if not TEXT.fullmatch(token):
        raise Refused("text holds a control character or an & that is not part of an entity; write & as &amp;")
    if "]]>" in token:
        raise Refused("text must not hold ]]>; write > as &gt;")
    if "&" in token:
        token = _decoded(token)
    return not token.isspace()


def _decoded(text: str) -> str:
    return ENTITY.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    name, decimal, hexadecimal = match.groups()
    if name:
        if name not in name2codepoint and name != "apos":
            raise Refused(f"&{name}; is not an entity of XHTML")
        return "'" if name == "apos" else chr(name2codepoint[name])
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if (
        code > 0x10FFFF
        or 0xD800 <= code <= 0xDFFF
        or code in (0xFFFE, 0xFFFF)
        or (code < 0x20 and code not in (9, 10, 13))
    ):
        raise Refused(f"{match[0]} is not a character of XML")
    return chr(code)


def _tag(token: str) -> Tag:
    """Check one tag and read it. Short ones are remembered."""
    match = TAG.fullmatch(token)
    if match is None:
        if token[1] in "!?":
            raise Refused("declarations, CDATA and processing instructions are not allowed")
        raise Refused(f"{token[:40]} is not a well-formed lower-case tag; attribute values must be in quotes")
    closing, name, attributes, empty = match.groups()
    if name not in ELEMENTS:
        raise Refused(
            f"txt-1: <{name}> is not allowed; narratives hold formatting, tables, lists, links and images only"
        )
    if closing:
        if attributes or empty:
            raise Refused(f"</{name}> must not have attributes")
        known = ("close", name, False)
    else:
        declares = "xmlns" in _attributes(name, attributes)
        known = ("empty" if empty else "open", name, declares)
    if len(token) <= _LONGEST_KNOWN_TAG and len(_KNOWN_TAGS) < _MOST_KNOWN_TAGS:
        _KNOWN_TAGS[token] = known
    return known


def _attributes(element: str, attributes: str) -> set[str]:
    """Check a tag's attributes; their names."""
    own = ATTRIBUTES.get(element, frozenset())
    seen: set[str] = set()
    for name, double, single in ATTRIBUTE.findall(attributes):
        raw = double or single
        if name in seen:
            raise Refused(f"<{element}> has the attribute {name} twice")
        seen.add(name)
        if name not in own and name not in COMMON_ATTRIBUTES:
            raise Refused(f"txt-1: the attribute {name} is not allowed on <{element}>")
        if not TEXT.fullmatch(raw):
            raise Refused(f"{name} of <{element}> holds an & that is not part of an entity; write & as &amp;")
        value = _decoded(raw)
        if name in LINKS:
            _link(element, name, value)
        elif name == "style" and STYLE_REFUSED.search(value):
            raise Refused(
                "txt-1: style may set colours and sizes only, without url(), expression(), @, comments or escapes"
            )
        elif name == "xmlns" and value != XHTML:
            raise Refused(f'xmlns must be "{XHTML}"')
    return seen


def _link(element: str, name: str, value: str) -> None:
    plain = _INVISIBLE.sub("", value)
    match = SCHEME.match(plain)
    if match is None or match[1].lower() in SAFE_SCHEMES:
        return
    if element == "img" and name == "src" and DATA_IMAGE.match(plain):
        return
    raise Refused(f"txt-1: {name} of <{element}> may not use {match[1][:20]}:")
