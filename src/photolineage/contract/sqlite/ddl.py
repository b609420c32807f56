"""Parses CREATE statements for what SQLite reports nowhere else: names of constraints, CHECKs, collations."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ..schema import Constraint, ConstraintKind, Index
from .tokens import (
    Token,
    TokenKind,
    closing,
    fold,
    normal_form,
    split_at_commas,
    tokenize,
)

_CONSTRAINT_WORDS = (
    "constraint",
    "primary",
    "not",
    "null",
    "unique",
    "check",
    "default",
    "collate",
    "references",
    "foreign",
    "generated",
    "as",
)
_TABLE_CONSTRAINT_WORDS = ("constraint", "primary", "unique", "check", "foreign")
_BINARY = "binary"


@dataclass
class ParsedTable:
    """The parts of a CREATE TABLE statement. Column names are folded.

    The `definition` of a foreign key is only its actions. Its `target_columns` are empty if the statement names
    none and so means the target's primary key. `descending_key`: a column is declared PRIMARY KEY DESC, which
    SQLite does not use as the row id.
    """

    constraints: list[Constraint] = field(default_factory=list)
    collations: dict[str, str] = field(default_factory=dict)
    computed: dict[str, str] = field(default_factory=dict)
    autoincrement: bool = False
    descending_key: bool = False


@lru_cache(maxsize=1024)
def parse_table(sql: str, columns: frozenset[str]) -> ParsedTable:
    """The parts of a CREATE TABLE statement from sqlite_master. `columns` are folded names.

    Results are cached, because the live and the expected statement are mostly the same text. Do not change them.
    """
    tokens = tokenize(sql)
    opening = next(place for place, token in enumerate(tokens) if token.text == "(")
    parts = list(split_at_commas(tokens[opening + 1 : closing(tokens, opening)]))
    table = ParsedTable()
    for part in parts:
        if part and not part[0].is_word(*_TABLE_CONSTRAINT_WORDS):
            _ConstraintParser(part[1:], table, columns, fold(part[0].text)).parse()
        else:
            _ConstraintParser(part, table, columns, None).parse()
    return table


def parse_index(name: str, sql: str, table: ParsedTable, columns: Collection[str]) -> Index:
    """An index from its CREATE INDEX statement, without collations that repeat the column's own."""
    tokens = tokenize(sql)
    unique = tokens[1].is_word("unique")
    opening = next(place for place, token in enumerate(tokens) if token.text == "(")
    end = closing(tokens, opening)
    keys = _keys(tokens[opening + 1 : end], columns, table.collations)
    predicate = tokens[end + 2 :]
    where = f" WHERE {normal_form(predicate, columns)}" if predicate else ""
    return Index(
        name=name,
        unique=unique,
        columns=_columns_read(tokens[opening:], columns),
        definition=f"{'UNIQUE ' if unique else ''}({keys}){where}",
    )


def _keys(tokens: Sequence[Token], columns: Collection[str], collations: Mapping[str, str]) -> str:
    return ", ".join(_key(part, columns, collations) for part in split_at_commas(tokens))


def _key(part: list[Token], columns: Collection[str], collations: Mapping[str, str]) -> str:
    descending = part[-1].is_word("desc")
    if part[-1].is_word("asc", "desc"):
        part = part[:-1]
    collation = ""
    if len(part) > 2 and part[-2].is_word("collate"):
        collation, part = fold(part[-1].text), part[:-2]
    key = normal_form(part, columns)
    if collation and collation != collations.get(key, _BINARY):
        key += f" COLLATE {collation.upper()}"
    return key + (" DESC" if descending else "")


def _columns_read(tokens: Sequence[Token], columns: Collection[str]) -> tuple[str, ...]:
    names = (fold(token.text) for token in tokens if token.kind in (TokenKind.WORD, TokenKind.QUOTED))
    return tuple(dict.fromkeys(name for name in names if name in columns))


class _ConstraintParser:
    """Reads the constraints of one column, or of the table, in the order of the statement."""

    def __init__(
        self, tokens: list[Token], table: ParsedTable, columns: Collection[str], column: str | None
    ) -> None:
        self._tokens = tokens
        self._table = table
        self._columns = columns
        self._column = column
        self._name: str | None = None

    def parse(self) -> None:
        self._skip_type()
        while self._tokens:
            token = self._tokens.pop(0)
            if token.is_word("constraint"):
                self._name = self._tokens.pop(0).text
                continue
            self._constraint(token)
            self._name = None

    def _skip_type(self) -> None:
        while self._column is not None and self._tokens and not self._tokens[0].is_word(*_CONSTRAINT_WORDS):
            self._tokens.pop(0)

    def _constraint(self, token: Token) -> None:
        if token.is_word("primary"):
            self._primary_key()
        elif token.is_word("unique"):
            self._keyed(ConstraintKind.UNIQUE, "UNIQUE")
        elif token.is_word("check"):
            self._check()
        elif token.is_word("foreign"):
            self._accept("key")
            self._references(self._identifiers())
        elif token.is_word("references"):
            self._tokens.insert(0, token)
            self._references((self._column or "",))
        elif token.is_word("default"):
            self._default()
        elif token.is_word("collate"):
            self._table.collations[self._column or ""] = fold(self._tokens.pop(0).text)
        elif token.is_word("as") and self._column is not None:
            self._computed(self._column)

    def _primary_key(self) -> None:
        self._accept("key")
        if self._column is not None:
            self._table.descending_key = self._accept("desc")
            self._accept("asc")
        self._keyed(ConstraintKind.PRIMARY_KEY, "PRIMARY KEY")
        self._table.autoincrement |= self._accept("autoincrement")

    def _keyed(self, kind: ConstraintKind, words: str) -> None:
        if self._column is not None:
            columns: tuple[str, ...] = (self._column,)
            keys = self._column
        else:
            group = self._group()
            columns, keys = (
                _columns_read(group, self._columns),
                _keys(group, self._columns, self._table.collations),
            )
            self._table.autoincrement |= bool(group) and group[-1].is_word("autoincrement")
        self._add(kind, columns, f"{words} ({keys}){self._on_conflict()}")

    def _check(self) -> None:
        group = self._group()
        expression = normal_form(group, self._columns)
        self._add(ConstraintKind.CHECK, _columns_read(group, self._columns), f"CHECK ({expression})")

    def _references(self, columns: tuple[str, ...]) -> None:
        self._accept("references")
        target = fold(self._tokens.pop(0).text)
        target_columns = self._identifiers() if self._tokens and self._tokens[0].text == "(" else ()
        constraint = Constraint(
            kind=ConstraintKind.FOREIGN_KEY,
            name=self._name,
            columns=columns,
            definition=self._actions(),
            target=(None, target),
            target_columns=target_columns,
        )
        self._table.constraints.append(constraint)

    def _actions(self) -> str:
        """ON DELETE, ON UPDATE and the deferral, without SQLite's defaults."""
        actions: dict[str, str] = {}
        deferred = False
        while self._tokens:
            if self._accept("on"):
                event = self._tokens.pop(0).text.upper()
                action = self._tokens.pop(0).text.upper()
                if action in ("SET", "NO"):
                    action += f" {self._tokens.pop(0).text.upper()}"
                actions[event] = action
            elif self._accept("match"):
                self._tokens.pop(0)
            elif self._accept_pair("not", "deferrable"):
                self._deferral()
            elif self._accept("deferrable"):
                deferred = self._deferral()
            else:
                break
        texts = [
            f" ON {event} {action}" for event, action in sorted(actions.items()) if action != "NO ACTION"
        ]
        return "".join(texts) + (" DEFERRABLE INITIALLY DEFERRED" if deferred else "")

    def _deferral(self) -> bool:
        return self._accept("initially") and self._tokens.pop(0).is_word("deferred")

    def _default(self) -> None:
        if self._tokens[0].text == "(":
            self._group()
            return
        if self._tokens.pop(0).text in ("+", "-"):
            self._tokens.pop(0)

    def _computed(self, column: str) -> None:
        expression = normal_form(self._group(), self._columns)
        stored = self._accept("stored")
        self._accept("virtual")
        self._table.computed[column] = f"{expression} {'STORED' if stored else 'VIRTUAL'}"

    def _on_conflict(self) -> str:
        if not self._accept_pair("on", "conflict"):
            return ""
        action = self._tokens.pop(0).text.upper()
        return "" if action == "ABORT" else f" ON CONFLICT {action}"

    def _add(self, kind: ConstraintKind, columns: tuple[str, ...], definition: str) -> None:
        self._table.constraints.append(Constraint(kind, self._name, columns, definition))

    def _group(self) -> list[Token]:
        """Removes the next parenthesized group and returns the tokens inside it."""
        end = closing(self._tokens, 0)
        inner, self._tokens[:] = self._tokens[1:end], self._tokens[end + 1 :]
        return inner

    def _identifiers(self) -> tuple[str, ...]:
        return tuple(fold(part[0].text) for part in split_at_commas(self._group()))

    def _accept(self, word: str) -> bool:
        if self._tokens and self._tokens[0].is_word(word):
            self._tokens.pop(0)
            return True
        return False

    def _accept_pair(self, first: str, second: str) -> bool:
        if len(self._tokens) > 1 and self._tokens[0].is_word(first) and self._tokens[1].is_word(second):
            del self._tokens[:2]
            return True
        return False
