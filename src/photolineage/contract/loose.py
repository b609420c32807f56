"""Compares definitions without the casts that the server prints because of a column's type."""

import json
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

_SPREAD_CAST = re.compile(r"\(ARRAY\[((?:'(?:[^']|'')*'::[a-z ]+(?:, )?)+)\]\)::([a-z ]+)\[\]")
_ELEMENT = re.compile(r"'(?:[^']|'')*'::[a-z ]+")
_CONSTANT = re.compile(
    r"\(?(?:'(?P<text>(?:[^']|'')*)'|(?P<number>-?\d+(?:\.\d+)?))\)?(?:::(?P<type>[a-z ]+))?"
)
_STRING_TYPES = ("text", "character varying")
_INTEGER_TYPES = ("smallint", "integer", "bigint")
_JSON_TYPES = ("json", "jsonb")
_SHORTEST_JSON = re.compile(r'\[\]|\{\}|null|true|false|"[^"\\\\]*"')

_NOW = {
    "postgresql": re.compile(r"\b(?:CURRENT_TIMESTAMP\b(?!\()|transaction_timestamp\(\))"),
    "sqlite": re.compile(r"^datetime \( 'now' \)$"),
}
_NOW_AS = {"postgresql": "now()", "sqlite": "current_timestamp"}
_OTHER_SQLITE_NOWS = {"date ( 'now' )": "current_date", "time ( 'now' )": "current_time"}


def same_default(one: str | None, other: str | None, dialect: str) -> bool:
    """Whether two defaults are equal apart from how they call the current time."""
    if one is None or other is None:
        return one is other
    return _with_one_now(one, dialect) == _with_one_now(other, dialect)


def _with_one_now(default: str, dialect: str) -> str:
    if dialect == "sqlite":
        return _OTHER_SQLITE_NOWS.get(default, _NOW[dialect].sub(_NOW_AS[dialect], default))
    parts = _LITERAL.split(default)  # every second part is the text of a literal
    spelled = [
        part if place % 2 else _NOW[dialect].sub(_NOW_AS[dialect], part) for place, part in enumerate(parts)
    ]
    return "'".join(spelled)


def same_constant(one: str | None, other: str | None, column_type: str) -> bool:
    """Whether two defaults of PostgreSQL are one constant with different casts, such as 0 and '0'::bigint.

    Both give the same value in a column of this type. True only if the text shows it: nothing is evaluated.
    """
    constants = [_CONSTANT.fullmatch(default or "") for default in (one, other)]
    if constants[0] is None or constants[1] is None:
        return False
    texts = [constant["text"] or constant["number"] or "" for constant in constants if constant is not None]
    casts = {constant["type"] for constant in constants if constant is not None}
    if column_type in _INTEGER_TYPES:
        return all(re.fullmatch(r"-?\d+", each) for each in texts) and int(texts[0]) == int(texts[1])
    if column_type in _STRING_TYPES:
        return texts[0] == texts[1] and casts <= set(_STRING_TYPES)
    if column_type not in _JSON_TYPES or not casts <= set(_JSON_TYPES):
        return False
    if column_type == "jsonb":
        return _parsed_json(texts[0]) == _parsed_json(texts[1])
    return texts[0] == texts[1] and _SHORTEST_JSON.fullmatch(texts[0]) is not None


def _parsed_json(text: str) -> object:
    """The value as jsonb stores it: 1 and 1.0 are two values. The text itself if it is not JSON."""
    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except ValueError:
        return text


def with_casts_inside(definition: str) -> str:
    """The definition with `(ARRAY[a, b])::text[]` as `ARRAY[(a)::text, (b)::text]`.

    PostgreSQL prints the second for a CHECK on a column whose type was changed.
    """
    return _SPREAD_CAST.sub(
        lambda found: "ARRAY[" + _ELEMENT.sub(rf"(\g<0>)::{found[2]}", found[1]) + "]", definition
    )


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


def same_view(one: str | None, other: str | None) -> bool:
    """Whether two queries of views are equal, apart from the order of the columns that they select."""
    if one is None or other is None:
        return one is other
    return one == other or _columns_in_order(one) == _columns_in_order(other)


def _columns_in_order(query: str) -> tuple[list[str], str]:
    selected, _, rest = query.strip().partition("\n   FROM ")
    return sorted(selected.removeprefix("SELECT ").split(",\n    ")), rest
