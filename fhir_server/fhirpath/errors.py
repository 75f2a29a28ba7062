"""What can go wrong with an expression once it has been parsed. https://hl7.org/fhirpath/N1/"""

from __future__ import annotations


class Unsupported(ValueError):
    """The expression asks for something this engine does not do; raised when compiling, never when evaluating."""


class EvaluationError(ValueError):
    """The expression cannot be evaluated on this input, for instance where one item is needed and several are found."""
