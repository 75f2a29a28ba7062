"""References between the entries of a transaction, found wherever one can stand, and written anew.

https://hl7.org/fhir/R4/http.html#trules: references, elements of type uri and url, and the links of narratives that
name an entry by its fullUrl come to name the resource that the server makes of it. The walk knows the type of each
element, so a string that merely looks like a link (an Identifier's value) stays as it is. These stay too:

- canonicals, which the specification exempts, and the uris that canonicals refer to: the ``url`` of a resource, an
  extension's ``url``, every ``system``;
- oid and uuid elements: a URL in their place would be invalid;
- what a Bundle within an entry contains, whose fullUrls are a namespace of their own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_server.r4 import definitions
from fhir_server.r4.references import parse

MAX_DEPTH = 64
"""Objects within objects; validation refuses what is deeper."""

RESOLVE_VERSION = "http://hl7.org/fhir/StructureDefinition/resolve-as-version-specific"
"""The extension of a Reference that is to name the version which the transaction makes."""

_LINK, _REFERENCE, _CONDITIONAL, _NARRATIVE, _RESOURCE = "link", "reference", "conditional", "narrative", "resource"

# One start tag with the attributes before its end, each a name and a quoted value: no way to match it twice.
_TAG = re.compile(r"""<(?:a|img)(?:\s+[^\s"'<>=/]+\s*=\s*(?:"[^"]*"|'[^']*'))+""")
_ATTRIBUTE = re.compile(r"""(\s(?:href|src)\s*=\s*)("[^"]*"|'[^']*')""")


Steps = dict[str, Any]
"""Property name to a kind of leaf, or to the steps of the type of its value."""


class Name(NamedTuple):
    """What an entry's resource is called on this server: "Patient/1", and its version once that is known.

    ``assigned``: the server chose the id, so a version that the client wrote beside its own id means nothing here.
    """

    path: str
    version: int | None = None
    assigned: bool = False


@dataclass(slots=True, eq=False)
class Occurrence:
    """One place where a resource names entries of its bundle, or resources that match a query.

    ``holder[key]`` is the place and ``text`` what the client wrote there. ``targets`` are the fullUrls named, or the
    one conditional reference. ``version`` and ``fragment`` ("#...") are what stood behind the fullUrl. ``resolve``: the
    reference asks to name the version that the transaction makes.
    """

    holder: Any
    key: str | int
    text: str
    kind: str
    targets: tuple[str, ...]
    version: str = ""
    fragment: str = ""
    resolve: bool = False

    @property
    def conditional(self) -> bool:
        """Whether this is a reference by query: ``Patient?identifier=123``."""
        return self.kind == _CONDITIONAL

    def write(self, names: Mapping[str, Name]) -> None:
        """Put the names of the targets in their place. May be done again with other names.

        Raises KeyError where a target has no name.
        """
        if self.kind == _NARRATIVE:
            self.holder[self.key] = _TAG.sub(lambda tag: _renamed(tag[0], names), self.text)
            return
        name = names[self.targets[0]]
        version: str | int | None = self.version
        if self.resolve or (version and name.assigned):
            version = name.version
        self.holder[self.key] = (
            f"{name.path}/_history/{version}{self.fragment}" if version else name.path + self.fragment
        )


def find(resource: dict[str, Any], links: Container[str], base: str = "") -> list[Occurrence]:
    """Every place in a resource that names one of ``links`` (fullUrls), and every conditional reference.

    ``base`` is the base of the fullUrl of the resource's own entry, without a trailing slash, which relative references
    are resolved against; "" where it has none. https://hl7.org/fhir/R4/bundle.html#references
    """
    found: list[Occurrence] = []
    steps = _of_resource(resource)
    if steps is not None:
        _Walk(links, base, found).object(resource, steps, 1)
    return found


def path_to(resource: dict[str, Any], occurrence: Occurrence) -> str:
    """Where an occurrence stands below its resource, for messages: "subject.reference"; "" if it is gone."""
    waiting: list[tuple[Any, str]] = [(resource, "")]
    while waiting:
        value, path = waiting.pop()
        if value is occurrence.holder:
            key = occurrence.key
            return (f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}").lstrip(".")
        children = value.items() if type(value) is dict else enumerate(value)
        for key, item in children:
            if type(item) is dict or type(item) is list:
                waiting.append((item, f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"))
    return ""


class _Walk:
    __slots__ = ("base", "found", "links")

    def __init__(self, links: Container[str], base: str, found: list[Occurrence]) -> None:
        self.links = links
        self.base = base
        self.found = found

    def object(self, value: dict[str, Any], steps: Steps, depth: int) -> None:
        # This is run for every object of every resource of a transaction, so the common cases are written out.
        if depth > MAX_DEPTH:
            return
        get = steps.get
        for name, item in value.items():
            step = get(name)
            if step is None:
                continue
            kind = type(item)
            if kind is dict:
                if type(step) is dict:
                    self.object(item, step, depth + 1)
                elif step == _RESOURCE:
                    self.resource(item, depth)
            elif kind is str:
                if type(step) is str:
                    self.leaf(value, name, item, step)
            elif kind is list:
                if type(step) is dict:
                    for one in item:
                        if type(one) is dict:
                            self.object(one, step, depth + 1)
                else:
                    self.leaves(item, step, depth)

    def leaves(self, items: list[Any], step: str | Steps, depth: int) -> None:
        for position, item in enumerate(items):
            if type(item) is dict:
                if step == _RESOURCE:
                    self.resource(item, depth)
            elif type(item) is str and type(step) is str:
                self.leaf(items, position, item, step)

    def resource(self, item: dict[str, Any], depth: int) -> None:
        steps = _of_resource(item)
        if steps is not None:
            self.object(item, steps, depth + 1)

    def leaf(self, holder: Any, key: str | int, text: str, step: str) -> None:
        if step == _REFERENCE:
            self.reference(holder, key, text)
        elif step == _LINK:
            self.link(holder, key, text)
        elif step == _NARRATIVE:
            self.narrative(holder, key, text)

    def link(self, holder: Any, key: str | int, text: str) -> None:
        if text in self.links:
            self.found.append(Occurrence(holder, key, text, _LINK, (text,)))
        elif "#" in text:
            target, _, fragment = text.partition("#")
            if target in self.links:
                self.found.append(Occurrence(holder, key, text, _LINK, (target,), fragment="#" + fragment))

    def reference(self, holder: Any, key: str | int, text: str) -> None:
        if text in self.links:
            self.found.append(Occurrence(holder, key, text, _REFERENCE, (text,), resolve=_asks_version(holder)))
            return
        if text.startswith("#"):
            return
        plain, sharp, fragment = text.partition("#")
        target, _, version = plain.partition("/_history/")
        if target not in self.links:
            if "?" in text and parse(text).kind == "conditional":
                self.found.append(Occurrence(holder, key, text, _CONDITIONAL, (text,), resolve=_asks_version(holder)))
                return
            target = f"{self.base}/{target}"
            if not self.base or ":" in plain or target not in self.links:
                return
        self.found.append(
            Occurrence(holder, key, text, _REFERENCE, (target,), version, sharp + fragment, _asks_version(holder))
        )

    def narrative(self, holder: Any, key: str | int, text: str) -> None:
        if "href" not in text and "src" not in text:
            return
        targets = dict.fromkeys(
            target
            for tag in _TAG.finditer(text)
            for attribute in _ATTRIBUTE.finditer(tag[0])
            if (target := html.unescape(attribute[2][1:-1]).partition("#")[0]) in self.links
        )
        if targets:
            self.found.append(Occurrence(holder, key, text, _NARRATIVE, tuple(targets)))


_LINK_TYPES = frozenset(("uri", "url"))


def _asks_version(reference: Any) -> bool:
    extensions = reference.get("extension") if type(reference) is dict else None
    if type(extensions) is not list:
        return False
    return any(
        type(e) is dict and e.get("url") == RESOLVE_VERSION and e.get("valueBoolean") is True for e in extensions
    )


def _renamed(tag: str, names: Mapping[str, Name]) -> str:
    def attribute(match: re.Match[str]) -> str:
        target, sharp, fragment = html.unescape(match[2][1:-1]).partition("#")
        name = names.get(target)
        if name is None:
            return match[0]
        quote = match[2][0]
        return f"{match[1]}{quote}{html.escape(name.path + sharp + fragment)}{quote}"

    return _ATTRIBUTE.sub(attribute, tag)


@lru_cache(maxsize=1)
def _graph() -> dict[str, Steps]:
    """What to do with each JSON property of each type: a kind of leaf to look at, or the steps of a type to walk into.

    Properties that hold nothing of interest are left out; ``_name`` of a primitive may have extensions.
    """
    pack = definitions.load()
    graph: dict[str, Steps] = {name: {} for name, found in pack.types.items() if found.kind != "primitive"}
    for type_name, steps in graph.items():
        definition = pack.types[type_name]
        for element in definition.elements.values():
            for name, ref in element.json_names().items():
                if ref.code in ("Resource", "DomainResource"):
                    steps[name] = _RESOURCE
                elif ref.code in graph:
                    steps[name] = graph[ref.code]
                else:
                    steps["_" + name] = graph["Element"]
                    if ref.code == "xhtml":
                        steps[name] = _NARRATIVE
                    elif ref.code in _LINK_TYPES and not _is_identity(definition, name):
                        steps[name] = _LINK
    graph["Reference"]["reference"] = _REFERENCE
    # A Bundle is a package: its fullUrls and what refers to them belong to it alone.
    del graph["Bundle"]["entry"]
    return graph


def _of_resource(resource: dict[str, Any]) -> Steps | None:
    resource_type = resource.get("resourceType")
    if isinstance(resource_type, str) and resource_type in definitions.load().type_ids:
        return _graph()[resource_type]
    return None


def _is_identity(definition: definitions.TypeDefinition, name: str) -> bool:
    """Whether an element of type uri is what canonicals, extensions or codes refer to: a name, not a link."""
    if name == "system":
        return True
    return name == "url" and (definition.kind == "resource" or definition.name == "Extension")
