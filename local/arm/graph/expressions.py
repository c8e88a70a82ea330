"""Expressions: parsed by precedence and compiled to closures over a row, with every column resolved."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from local.arm.graph.functions import COMPARISONS, SCALARS, Evaluate, Expression, Row, number, text
from local.arm.graph.lexer import QueryError, Token, tokens

Schema = dict[str, str]
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right if right else None,
}
_MEMBERSHIP = {"in": (False, True), "in~": (True, True), "!in": (False, False), "!in~": (True, False)}


class Reader:
    """Walks over a query's tokens; `schema` is the columns and types that expressions may name."""

    def __init__(self, query: str) -> None:
        self._tokens = tokens(query)
        self._next = 0
        self.schema: Schema = {}

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._next]

    def advance(self) -> Token:
        """The next token, taken."""
        token = self.token
        self._next += 1
        return token

    def at(self, *texts: str) -> bool:
        """Whether the next token is one of these words (in any case) or signs."""
        return self.token.kind in {"word", "sign"} and self.token.text.lower() in texts

    def ahead(self, offset: int = 1) -> Token:
        """The token after the next one."""
        return self._tokens[min(self._next + offset, len(self._tokens) - 1)]

    def accept(self, *texts: str) -> bool:
        """Take the next token if it is one of these."""
        if self.at(*texts):
            self._next += 1
            return True
        return False

    def expect(self, sign: str) -> None:
        """Take this token or refuse the query."""
        if not self.accept(sign):
            raise self.error(f"expected '{sign}'")

    def name(self) -> str:
        """A name, taken."""
        if self.token.kind != "word":
            raise self.error("expected a name")
        return self.advance().text

    def integer(self) -> int:
        """A whole number, taken."""
        if self.token.kind != "number" or not self.token.text.isdigit():
            raise self.error("expected a whole number")
        return int(self.advance().text)

    def error(self, message: str) -> QueryError:
        """A refusal at the next token."""
        return QueryError(message, self.token.position, self.token.text)

    # Expressions, loosest binding first.

    def expression(self) -> Expression:
        """An expression."""
        left = self._conjunction()
        while self.accept("or"):
            left = _either(left, self._conjunction())
        return left

    def _conjunction(self) -> Expression:
        left = self._comparison()
        while self.accept("and"):
            left = _both(left, self._comparison())
        return left

    def _comparison(self) -> Expression:
        left = self._sum()
        sign = self.token.text.lower() if self.token.kind in {"word", "sign"} else ""
        if sign in _MEMBERSHIP:
            self.advance()
            return self._membership(left, *_MEMBERSHIP[sign])
        if sign in COMPARISONS:
            self.advance()
            return _compared(sign, left, self._sum())
        return left

    def _membership(self, left: Expression, folded: bool, wanted: bool) -> Expression:
        self.expect("(")
        values = set()
        while not self.accept(")"):
            item = self._sum()
            if not item.literal:
                raise self.error("only literals are emulated inside in (...)")
            value = text(item.evaluate({}))
            values.add(value.lower() if folded else value)
            if not self.accept(","):
                self.expect(")")
                break
        evaluate = left.evaluate
        if folded:
            return Expression(lambda row: (text(evaluate(row)).lower() in values) is wanted, "bool")
        return Expression(lambda row: (text(evaluate(row)) in values) is wanted, "bool")

    def _sum(self) -> Expression:
        left = self._product()
        while self.at("+", "-"):
            left = _computed(self.advance().text, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._postfix()
        while self.at("*", "/"):
            left = _computed(self.advance().text, left, self._postfix())
        return left

    def _postfix(self) -> Expression:
        value = self._primary()
        while self.at(".", "["):
            if self.accept("."):
                value = self._member(value, self.name())
            else:
                self.expect("[")
                index = self.expression()
                self.expect("]")
                if not index.literal:
                    raise self.error("only literals are emulated as an index")
                value = self._member(value, index.evaluate({}))
        return value

    def _member(self, owner: Expression, key: Any) -> Expression:
        if owner.type != "dynamic":
            raise self.error(f"a {owner.type} has no members")
        evaluate = owner.evaluate
        if isinstance(key, int):
            return Expression(lambda row: _item(evaluate(row), key), "dynamic")
        return Expression(lambda row: value.get(key) if isinstance(value := evaluate(row), dict) else None, "dynamic")

    def _primary(self) -> Expression:
        token = self.token
        if self.accept("("):
            inner = self.expression()
            self.expect(")")
            return inner
        if token.kind == "string":
            value: Any = self.advance().text
            return Expression(lambda _row: value, "string", literal=True)
        if token.kind == "number":
            parsed = number(self.advance().text)
            return Expression(lambda _row: parsed, "real" if isinstance(parsed, float) else "long", literal=True)
        if token.kind != "word":
            raise self.error("expected an expression")
        if self.ahead().text == "(" and self.ahead().kind == "sign":
            return self._call()
        self.advance()
        if token.text in {"true", "false"}:
            return Expression(lambda _row: token.text == "true", "bool", literal=True)
        return self.column(token)

    def column(self, token: Token) -> Expression:
        """A column by name; names are told apart by case."""
        if token.text not in self.schema:
            raise QueryError(f"Failed to resolve scalar expression named '{token.text}'", token.position, token.text)
        name = token.text
        return Expression(itemgetter(name), self.schema[name], column=name)

    def _call(self) -> Expression:
        token = self.advance()
        if token.text not in SCALARS:
            raise QueryError(f"function '{token.text}' is unknown or not emulated", token.position, token.text)
        function, kind, fewest, most = SCALARS[token.text]
        arguments = self.arguments()
        if not fewest <= len(arguments) <= most:
            raise QueryError(f"{token.text}() takes {fewest} to {most} arguments", token.position, token.text)
        if kind == "last":
            kind = arguments[-1].type
        return Expression(_applied(function, [one.evaluate for one in arguments]), kind)

    def arguments(self) -> list[Expression]:
        """A call's arguments in parentheses, taken."""
        self.expect("(")
        found: list[Expression] = []
        if self.accept(")"):
            return found
        while True:
            found.append(self.expression())
            if self.accept(")"):
                return found
            self.expect(",")


def _item(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) and index < len(value) else None


def _applied(function: Callable[..., Any], arguments: list[Evaluate]) -> Evaluate:
    if len(arguments) == 1:
        only = arguments[0]
        return lambda row: function(only(row))
    return lambda row: function(*[one(row) for one in arguments])


def _either(left: Expression, right: Expression) -> Expression:
    first, second = left.evaluate, right.evaluate
    return Expression(lambda row: bool(first(row) or second(row)), "bool")


def _both(left: Expression, right: Expression) -> Expression:
    first, second = left.evaluate, right.evaluate
    return Expression(lambda row: bool(first(row) and second(row)), "bool")


def _compared(sign: str, left: Expression, right: Expression) -> Expression:
    first, second, compare = left.evaluate, right.evaluate, COMPARISONS[sign]
    if right.literal:
        wanted = second({})
        if sign == "=~":
            folded = text(wanted).lower()
            return Expression(lambda row: text(first(row)).lower() == folded, "bool")
        return Expression(lambda row: compare(first(row), wanted), "bool")
    return Expression(lambda row: compare(first(row), second(row)), "bool")


def _computed(sign: str, left: Expression, right: Expression) -> Expression:
    first, second, compute = left.evaluate, right.evaluate, _ARITHMETIC[sign]

    def evaluate(row: Row) -> Any:
        one, other = number(first(row)), number(second(row))
        return None if one is None or other is None else compute(one, other)

    return Expression(evaluate, "real" if "real" in {left.type, right.type} or sign == "/" else "long")
