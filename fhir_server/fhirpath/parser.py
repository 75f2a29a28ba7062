"""FHIRPath text into its syntax tree, by precedence climbing over the N1 grammar. https://hl7.org/fhirpath/N1/#grammar"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.lexer import FhirPathSyntaxError, Token, tokenize

MAX_DEPTH = 120
"""Levels that the tree may have, so that everything that walks it may recurse."""

_TYPE_FUNCTIONS = frozenset(("as", "is", "ofType"))
_UNARY_BINDING = 10


@lru_cache(maxsize=4096)
def parse(expression: str) -> ast.Node:
    """Parse one expression, and remember it: for those of the specification, which are few.

    Raises FhirPathSyntaxError, a ValueError, with the position of what cannot be read.
    """
    return parse_once(expression)


def parse_once(expression: str) -> ast.Node:
    """Parse one expression that a client sent, so that clients cannot fill the memory. Raises as ``parse``."""
    parser = _Parser(tokenize(expression))
    tree = parser.expression(0, 0)
    parser.expect_end()
    _check_depth(tree)
    return tree


def _check_depth(tree: ast.Node) -> None:
    # Chains such as a.b.c grow the tree without recursion in the parser, so its depth is checked on the result.
    level: list[ast.Node] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in node.children()]
        if not level:
            return
    raise FhirPathSyntaxError(f"The expression is nested more than {MAX_DEPTH} levels", level[0].position)


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.index = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def advance(self) -> Token:
        token = self.tokens[self.index]
        self.index += 1
        return token

    def at_symbol(self, text: str) -> bool:
        return self.token.kind == "symbol" and self.token.text == text

    def unexpected(self, expected: str) -> FhirPathSyntaxError:
        token = self.token
        found = "the end" if token.kind == "end" else f"'{token.text[:40]}'"
        return FhirPathSyntaxError(f"Expected {expected}, found {found}", token.position)

    def expect_symbol(self, text: str) -> Token:
        if not self.at_symbol(text):
            raise self.unexpected(f"'{text}'")
        return self.advance()

    def expect_end(self) -> None:
        if self.token.kind != "end":
            raise self.unexpected("an operator or the end")

    def expression(self, binding: int, depth: int) -> ast.Node:
        if depth > MAX_DEPTH:
            raise FhirPathSyntaxError(f"The expression is nested more than {MAX_DEPTH} levels", self.token.position)
        if self.at_symbol("-") or self.at_symbol("+"):
            sign = self.advance()
            operand = self.expression(_UNARY_BINDING, depth + 1)
            left: ast.Node = ast.Unary(sign.text, operand, position=sign.position)
        else:
            left = self.postfix(self.term(depth), depth)
        while True:
            token = self.token
            own = ast.PRECEDENCE.get(token.text) if token.kind in ("symbol", "identifier") else None
            if own is None or own < binding:
                return left
            self.advance()
            if token.text in ("is", "as"):
                left = ast.TypeOperation(token.text, left, self.type_name(), position=token.position)
            else:
                right = self.expression(own + 1, depth + 1)
                left = ast.Operator(token.text, left, right, position=token.position)

    def postfix(self, node: ast.Node, depth: int) -> ast.Node:
        while True:
            if self.at_symbol("."):
                self.advance()
                if self.token.kind == "special":
                    raise self.unexpected("the name of an element or function")
                node = self.invocation(node, depth)
            elif self.at_symbol("["):
                bracket = self.advance()
                index = self.expression(0, depth + 1)
                self.expect_symbol("]")
                node = ast.Indexer(node, index, position=bracket.position)
            else:
                return node

    def term(self, depth: int) -> ast.Node:
        token = self.token
        literal = self.literal(token)
        if literal is not None:
            return literal
        if token.kind == "special":
            self.advance()
            return ast.Special(token.text, position=token.position)
        if self.at_symbol("("):
            self.advance()
            inner = self.expression(0, depth + 1)
            self.expect_symbol(")")
            return inner
        if self.at_symbol("{"):
            self.advance()
            self.expect_symbol("}")
            return ast.Empty(position=token.position)
        if self.at_symbol("%"):
            self.advance()
            if self.token.kind not in ("identifier", "delimited", "string"):
                raise self.unexpected("the name of a variable")
            return ast.Variable(self.advance().text, position=token.position)
        return self.invocation(None, depth)

    def literal(self, token: Token) -> ast.Node | None:
        at = token.position
        if token.kind == "string":
            node: ast.Node = ast.Literal(token.text, position=at)
        elif token.kind == "number":
            return self.number(self.advance())
        elif token.kind in ("date", "datetime", "time"):
            kind = "dateTime" if token.kind == "datetime" else token.kind
            node = ast.DateTimeLiteral(kind, token.text, position=at)
        elif token.kind == "identifier" and token.text in ("true", "false"):
            node = ast.Literal(token.text == "true", position=at)
        else:
            return None
        self.advance()
        return node

    def number(self, token: Token) -> ast.Node:
        unit = self.token
        if unit.kind == "string" or (unit.kind == "identifier" and unit.text in ast.CALENDAR_UNITS):
            self.advance()
            calendar = unit.kind == "identifier"
            return ast.QuantityLiteral(Decimal(token.text), unit.text, calendar, position=token.position)
        value = Decimal(token.text) if "." in token.text else int(token.text)
        return ast.Literal(value, position=token.position)

    def identifier(self, expected: str) -> Token:
        token = self.token
        if token.kind == "delimited" or (token.kind == "identifier" and token.text not in ast.RESERVED):
            return self.advance()
        raise self.unexpected(expected)

    def invocation(self, source: ast.Node | None, depth: int) -> ast.Node:
        token = self.identifier("an expression" if source is None else "the name of an element or function")
        if not self.at_symbol("("):
            return ast.Member(source, token.text, position=token.position)
        self.advance()
        arguments: list[ast.Node] = []
        if not self.at_symbol(")"):
            arguments.append(self.type_name() if token.text in _TYPE_FUNCTIONS else self.expression(0, depth + 1))
            while self.at_symbol(","):
                self.advance()
                arguments.append(self.expression(0, depth + 1))
        self.expect_symbol(")")
        return ast.Function(source, token.text, tuple(arguments), position=token.position)

    def type_name(self) -> ast.TypeName:
        first = self.identifier("the name of a type")
        if not self.at_symbol("."):
            return ast.TypeName(first.text, position=first.position)
        self.advance()
        return ast.TypeName(self.identifier("the name of a type").text, first.text, position=first.position)
