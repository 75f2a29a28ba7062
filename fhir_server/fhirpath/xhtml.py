"""The XHTML that a narrative may hold. https://hl7.org/fhir/R4/narrative.html#xhtml"""

from __future__ import annotations

from xml.parsers import expat

XHTML = "http://www.w3.org/1999/xhtml"

# fmt: off
_ELEMENTS = frozenset((
    "a", "abbr", "acronym", "address", "b", "bdo", "big", "blockquote", "br", "caption", "cite", "code", "col",
    "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img",
    "ins", "kbd", "li", "ol", "p", "pre", "q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
))
_ATTRIBUTES = frozenset((
    "abbr", "accesskey", "align", "alt", "axis", "border", "cellhalign", "cellpadding", "cellspacing", "cellvalign",
    "char", "charoff", "charset", "cite", "class", "colspan", "compact", "coords", "datetime", "dir", "frame",
    "headers", "height", "href", "hreflang", "hspace", "id", "lang", "longdesc", "name", "nowrap", "rel", "rev",
    "rowspan", "rules", "scope", "shape", "span", "src", "start", "style", "summary", "tabindex", "title", "type",
    "usemap", "valign", "value", "vspace", "width", "xml:lang", "xml:space",
))
# fmt: on
_LINKS = frozenset(("href", "src", "cite", "longdesc", "usemap"))
_XML = "http://www.w3.org/XML/1998/namespace"


class _Refused(Exception):
    """Stops the XML parser at the first thing that a narrative may not have."""


def is_safe_narrative(text: str) -> bool:
    """Whether the text is one XHTML div of permitted elements and attributes, with some content in it.

    No script, style sheet, form, frame, event attribute, document type or processing instruction; no javascript: link.
    """
    return _Checker().accepts(text)


class _Checker:
    def __init__(self) -> None:
        self.depth = 0
        self.content = False

    def accepts(self, text: str) -> bool:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters
        parser.StartDoctypeDeclHandler = self.refuse
        parser.ProcessingInstructionHandler = self.refuse
        try:
            parser.Parse(text.encode(), True)
        except (_Refused, expat.ExpatError, UnicodeEncodeError):
            return False
        return self.content

    def refuse(self, *_: object) -> None:
        raise _Refused

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, element = name.rpartition(" ")
        self.depth += 1
        if namespace != XHTML or element not in _ELEMENTS or (self.depth == 1 and element != "div"):
            raise _Refused
        self.content = self.content or element == "img"
        for attribute, value in attributes.items():
            plain = attribute.replace(f"{_XML} ", "xml:")
            if plain not in _ATTRIBUTES:
                raise _Refused
            scheme = "".join(value.split()).lower()
            if plain in _LINKS and scheme.startswith(("javascript:", "vbscript:")):
                raise _Refused

    def end(self, _name: str) -> None:
        self.depth -= 1

    def characters(self, text: str) -> None:
        self.content = self.content or not text.isspace()
