"""A ValueSet: which codes it is composed of, and an expansion that came with it. https://hl7.org/fhir/R4/valueset.html"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fhir_server.terminology.budget import Budget


class ConceptReference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A code listed one by one. https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.compose.include.concept"""

    code: str = ""


class Filter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A condition on concepts. https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.compose.include.filter"""

    property: str = ""
    op: str = ""
    value: str = ""


class ConceptSet(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """An include or exclude, whose parts are all to hold.

    https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.compose.include
    """

    system: str = ""
    version: str = ""
    concept: tuple[ConceptReference, ...] = ()
    filter: tuple[Filter, ...] = ()
    value_set: tuple[str | None, ...] = ()


class Compose(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a value set is made. https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.compose"""

    inactive: bool | None = None
    include: tuple[ConceptSet, ...] = ()
    exclude: tuple[ConceptSet, ...] = ()


class Contains(msgspec.Struct, frozen=True, omit_defaults=True):
    """A code of an expansion. https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.expansion.contains"""

    system: str = ""
    code: str = ""
    abstract: bool = False
    contains: tuple[Contains, ...] = ()


class Expansion(msgspec.Struct, frozen=True, omit_defaults=True):
    """Codes that somebody else has worked out.

    https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.expansion
    """

    total: int | None = None
    offset: int | None = None
    contains: tuple[Contains, ...] = ()

    def codes(self, budget: Budget) -> Iterator[tuple[str, str]]:
        """The (system, code) pairs in their order; entries that cannot be selected are passed over."""
        waiting = list(reversed(self.contains))
        while waiting:
            one = waiting.pop()
            budget.spend(1)
            if one.code and not one.abstract:
                yield one.system, one.code
            waiting.extend(reversed(one.contains))


class ValueSet(msgspec.Struct, frozen=True, omit_defaults=True):
    """The elements of a ValueSet that matter here; the others are skipped while reading.

    https://hl7.org/fhir/R4/valueset-definitions.html
    """

    url: str = ""
    version: str = ""
    status: str = ""
    date: str = ""
    compose: Compose | None = None
    expansion: Expansion | None = None
