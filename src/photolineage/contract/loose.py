"""Compares definitions without the casts that the server prints because of a column's type."""

import re

_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
_CAST = re.compile(
    rf"::{_NAME}(?:\.{_NAME})*"
    r"(?: varying| precision| (?:with|without) time zone)?(?:\(\d+(?:,\s*\d+)?\))?"
    r"(?: (?:with|without) time zone)?(?:\[\])*"
)
_NUMBER_IN_QUOTES = re.compile(r"'([+-]?\d+(?:\.\d+)?)'")
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_NO_LIST = re.compile(r"\b(?:and|or|not|like|is)\b", re.IGNORECASE)


def equal_but_for_types(one: str | None, other: str | None) -> bool:
    """Whether two definitions are equal apart from their casts, parentheses and spaces."""
    if one is None or other is None:
        return one is other
    return _without_types(one) == _without_types(other)


def _without_types(definition: str) -> str:
    bare = _CAST.sub("", definition)
    return re.sub(r"[()\s]", "", _NUMBER_IN_QUOTES.sub(r"\1", bare))


def listed_values(check: str) -> tuple[str, ...] | None:
    """The strings of a CHECK that only lists the values a column may hold; None for any other CHECK."""
    if _NO_LIST.search(_LITERAL.sub("", check)):
        return None
    values = tuple(value.replace("''", "'") for value in _LITERAL.findall(_CAST.sub("", check)))
    lists = " in (" in check or "ANY (" in check or " = " in check
    return values if values and lists else None
