"""What a rule may demand of a resource, each evaluated twice: here in memory, in SQL by store/restriction.py.

docs/access.md; a property test holds that both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Facts(Protocol):
    """What the conditions ask of one resource. store/facts.py has them of a resource that is about to be written."""

    @property
    def resource_type(self) -> str:
        """Its type."""

    def about(self, patient: str) -> bool:
        """Is it about this patient ("Patient/1")?"""

    def related(self, persons: Sequence[str], kinds: Sequence[int]) -> bool:
        """Is one of these persons related to its patient, now, by one of these kinds (access/care.py)?"""

    def names(self, persons: Sequence[str]) -> bool:
        """Does it refer to one of these persons?"""

    def labelled(self, labels: Sequence[str]) -> bool:
        """Has it one of these security labels ("system|code")?"""

    def has_any(self, tokens: Sequence[int], targets: Sequence[tuple[int, int]]) -> bool:
        """Has it one of these tokens, or one of these references (param, target)?"""

    def withheld(self, persons: Sequence[str]) -> bool:
        """Does a consent of its patient withhold it from these persons?"""


@dataclass(frozen=True, slots=True)
class About:
    """The resource is about this patient ("Patient/1"), by what compartments.py says of its type."""

    patient: str

    def met(self, facts: Facts) -> bool:
        """Whether the condition holds."""
        return facts.about(self.patient)


@dataclass(frozen=True, slots=True)
class Related:
    """One of ``persons`` is related to the resource's patient by one of ``kinds``, now."""

    persons: tuple[str, ...]
    kinds: tuple[int, ...]

    def met(self, facts: Facts) -> bool:
        """Whether the condition holds."""
        return facts.related(self.persons, self.kinds)


@dataclass(frozen=True, slots=True)
class Names:
    """The resource refers to one of ``persons``: a task of mine, a message to me."""

    persons: tuple[str, ...]

    def met(self, facts: Facts) -> bool:
        """Whether the condition holds."""
        return facts.names(self.persons)


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """The resource has none of these security labels ("system|code").
    https://hl7.org/fhir/R4/security-labels.html"""

    labels: tuple[str, ...]

    def met(self, facts: Facts) -> bool:
        """Whether the condition holds."""
        return not facts.labelled(self.labels)


@dataclass(frozen=True, slots=True)
class HasAny:
    """One parameter of a scope's constraint: the resource has one of its values, as the index holds them.

    https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters
    """

    tokens: tuple[int, ...] = ()
    targets: tuple[tuple[int, int], ...] = ()

    def met(self, facts: Facts) -> bool:
        """Whether the condition holds."""
        return facts.has_any(self.tokens, self.targets)


@dataclass(frozen=True, slots=True)
class Consented:
    """No consent of the resource's patient withholds it from ``persons``. docs/care.md"""

    persons: tuple[str, ...]

    def met(self, facts: Facts) -> bool:
        """Whether the condition holds."""
        return not facts.withheld(self.persons)


Condition = About | Related | Names | Unlabelled | HasAny | Consented
