"""Takes a CREATE TABLE statement apart and puts parts of two statements together, each as it is written."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

from .tokens import Token, TokenKind, closing, fold, split_at_commas, tokenize

_TABLE_CONSTRAINT_WORDS = ("constraint", "primary", "unique", "check", "foreign")


@dataclass(frozen=True)
class CreateTable:
    """The parts of a CREATE TABLE statement. `columns` by folded name; `options` follow the closing parenthesis."""

    name: str
    columns: dict[str, str]
    constraints: tuple[str, ...]
    options: str

    @classmethod
    @lru_cache(maxsize=1024)
    def parsed(cls, sql: str) -> "CreateTable":
        """The parts of the statement. They are cached: do not change them."""
        tokens = tokenize(sql)
        opening = next(place for place, token in enumerate(tokens) if token.text == "(")
        end = closing(tokens, opening)
        columns: dict[str, str] = {}
        constraints: list[str] = []
        for part in split_at_commas(tokens[opening + 1 : end]):
            if part[0].is_word(*_TABLE_CONSTRAINT_WORDS):
                constraints.append(_text(sql, part))
            else:
                columns[fold(part[0].text)] = _text(sql, part)
        return cls(tokens[opening - 1].text, columns, tuple(constraints), sql[tokens[end].end :].strip())

    def written(self, name: str) -> str:
        """The statement, for a table with another name (quoted, with its schema)."""
        parts = ",\n\t".join([*self.columns.values(), *self.constraints])
        return f"CREATE TABLE {name} (\n\t{parts}\n) {self.options}".rstrip()

    def constraints_on(self, names: Collection[str]) -> Iterator[str]:
        """The UNIQUEs, CHECKs and foreign keys that use one of the columns, but do not belong to one of them."""
        for constraint in self.constraints:
            tokens = tokenize(constraint)
            opening = next((place for place, token in enumerate(tokens) if token.text == "("), 0)
            own = tokens[opening + 1 : closing(tokens, opening)]
            if not any(token.is_word("primary") for token in tokens[:3]) and _uses(own, names):
                yield constraint
        for name, column in self.columns.items():
            if name not in names:
                yield from _checks_on(column, names)


def without_constraint(column: str, *words: str) -> str:
    """A column without its PRIMARY KEY or its NOT NULL, given by their first two words in lower case."""
    tokens = tokenize(column)
    for place in range(len(tokens) - 1):
        if _depth(tokens, place) == 0 and all(
            token.is_word(word) for token, word in zip(tokens[place:], words, strict=False)
        ):
            end = _end_of_constraint(tokens, place + len(words))
            named = place >= 2 and tokens[place - 2].is_word("constraint")
            begin = place - 2 if named else place
            rest = column[tokens[end].begin :] if end < len(tokens) else ""
            return f"{column[: tokens[begin].begin]}{rest}".strip()
    return column


def _end_of_constraint(tokens: list[Token], place: int) -> int:
    if place < len(tokens) and tokens[place].is_word("asc", "desc"):
        place += 1
    if place + 2 < len(tokens) and tokens[place].is_word("on") and tokens[place + 1].is_word("conflict"):
        place += 3
    if place < len(tokens) and tokens[place].is_word("autoincrement"):
        place += 1
    return place


def _text(sql: str, part: list[Token]) -> str:
    return sql[part[0].begin : part[-1].end]


def _depth(tokens: list[Token], end: int) -> int:
    signs = [token.text for token in tokens[:end] if token.kind is TokenKind.SIGN]
    return signs.count("(") - signs.count(")")


def _uses(tokens: list[Token], names: Collection[str]) -> bool:
    return any(
        token.kind in (TokenKind.WORD, TokenKind.QUOTED) and fold(token.text) in names for token in tokens
    )


def _checks_on(column: str, names: Collection[str]) -> Iterator[str]:
    """The CHECKs of a column that use one of the names."""
    tokens = tokenize(column)
    for place, token in enumerate(tokens[:-1]):
        if token.is_word("check") and _depth(tokens, place) == 0:
            end = closing(tokens, place + 1)
            if _uses(tokens[place + 1 : end], names):
                named = place >= 2 and tokens[place - 2].is_word("constraint")
                begin = place - 2 if named else place
                yield column[tokens[begin].begin : tokens[end].end]
