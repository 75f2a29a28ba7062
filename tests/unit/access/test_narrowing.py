"""What a clinic takes from roles leaves less, whatever it takes and from whom. docs/access.md"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.access.permissions import REACHES
from fhir_server.access.policy import LETTERS, Access, decide
from fhir_server.access.principal import Principal
from fhir_server.access.roles import ROLES
from fhir_server.access.scopes import parse

TYPES = ("Patient", "Observation", "Encounter", "Organization", "Task", "Claim")
keys = st.tuples(
    st.sampled_from(("*", *REACHES)), st.sampled_from(("*", *TYPES)),
    st.sampled_from(("*", "create", "read", "update", "delete", "search", "access", "break-glass")),
).map(":".join)  # fmt: skip
taken = st.dictionaries(st.sampled_from(sorted(ROLES)), st.lists(keys, max_size=3).map(tuple), max_size=3)
people = st.builds(
    lambda roles, scope, person, patient: Principal("t", "s", "c", parse(scope), tuple(roles), person, patient),
    st.lists(st.sampled_from(sorted(ROLES)), min_size=1, max_size=2, unique=True),
    st.sampled_from(("user/*.cruds", "patient/*.rs user/Task.cu", "user/Observation.rs user/Encounter.rs")),
    st.sampled_from(("", "Practitioner/p", "Patient/p")),
    st.sampled_from(("", "p")),
)


def within(narrow: Access, wide: Access) -> bool:
    """Whether each rule lets nothing through that none of the others' rules does."""
    return all(
        any(
            (other.types is None or (rule.types is not None and rule.types <= other.types))
            and set(other.conditions) <= set(rule.conditions)
            and (other.elements, other.counts) in ((rule.elements, rule.counts), ("", False))
            for other in wide.rules
        )
        for rule in narrow.rules
    )


@given(people, st.sampled_from(sorted(LETTERS)), st.sampled_from((None, *TYPES)), taken)
@settings(max_examples=150)
def test_taking_permissions_never_widens(
    who: Principal, interaction: str, kind: str | None, what: dict[str, tuple[str, ...]]
) -> None:
    whole = decide(who, interaction, kind)
    assert within(decide(who, interaction, kind, taken=tuple(sorted(what.items()))), whole)
    everything = tuple((role, ("*:*:*",)) for role in sorted(ROLES))
    assert decide(who, interaction, kind, taken=everything).nothing
