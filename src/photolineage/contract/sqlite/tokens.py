"""Splits SQLite's SQL text into tokens, and writes it in one spelling so that equal meanings are equal texts."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

_TOKEN = re.compile(
    r"""
      (?P<SPACE>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<LITERAL>[xX]?'(?:[^']|'')*'|0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<QUOTED>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    | (?P<WORD>[^\W\d][\w$]*)
    | (?P<SIGN>\|\||<<|>>|<=|>=|<>|!=|==|->>|->|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SYNONYMS = {"!=": "<>", "==": "="}
_ASCII_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})


class TokenKind(Enum):
    """LITERAL: a string or number. QUOTED: a quoted identifier. WORD: a keyword or bare identifier. SIGN: the rest."""

    LITERAL = auto()
    QUOTED = auto()
    WORD = auto()
    SIGN = auto()


@dataclass(frozen=True)
class Token:
    """`text` is the text as written, but without the quotes of an identifier.

    `begin` and `end`: where it stands in the SQL.
    """

    kind: TokenKind
    text: str
    string_if_unknown: bool = False
    begin: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    def is_word(self, *words: str) -> bool:
        """Whether this is one of the keywords, given in lower case."""
        return self.kind is TokenKind.WORD and fold(self.text) in words


def fold(name: str) -> str:
    """The name as SQLite compares names: with ASCII letters in lower case, other letters unchanged."""
    return name.translate(_ASCII_LOWER)


def tokenize(sql: str) -> list[Token]:
    """The tokens of the text, without spaces and comments."""
    return [_token(match) for match in _TOKEN.finditer(sql) if match.lastgroup != "SPACE"]


def _token(match: re.Match[str]) -> Token:
    kind, text, place = TokenKind[match.lastgroup or ""], match.group(), match.span()
    if kind is TokenKind.QUOTED:
        close = "]" if text[0] == "[" else text[0]
        return Token(kind, text[1:-1].replace(close * 2, close), text[0] == '"', *place)
    return Token(kind, _SYNONYMS.get(text, text), False, *place)


def normal_form(tokens: Sequence[Token], columns: Collection[str] = ()) -> str:
    """The text in one spelling of case, quotes and spaces, without needless parentheses.

    `columns` are the folded names of the table's columns: SQLite reads any other name in double quotes as a
    string.
    """
    return " ".join(_spelling(token, columns) for token in _without_needless_parentheses(tokens))


def _spelling(token: Token, columns: Collection[str]) -> str:
    if token.kind is TokenKind.QUOTED and token.string_if_unknown and fold(token.text) not in columns:
        return "'" + token.text.replace("'", "''") + "'"
    return token.text if token.kind is TokenKind.LITERAL else fold(token.text)


def _without_needless_parentheses(tokens: Sequence[Token]) -> list[Token]:
    kept = list(tokens)
    while len(kept) > 2 and kept[0].text == "(" and closing(kept, 0) == len(kept) - 1:
        kept = kept[1:-1]
    place = 0
    while place + 2 < len(kept):
        opens, inner, closes = kept[place : place + 3]
        called = place > 0 and kept[place - 1].kind in (TokenKind.WORD, TokenKind.QUOTED)
        if not called and _is_sign(opens, "(") and _is_sign(closes, ")") and inner.kind is not TokenKind.SIGN:
            kept[place : place + 3] = [inner]
        else:
            place += 1
    return kept


def _is_sign(token: Token, text: str) -> bool:
    return token.kind is TokenKind.SIGN and token.text == text


def closing(tokens: Sequence[Token], opening: int) -> int:
    """The index of the parenthesis that closes the one at `opening`; the last index if none does."""
    depth = 0
    for place in range(opening, len(tokens)):
        depth += _is_sign(tokens[place], "(") - _is_sign(tokens[place], ")")
        if depth == 0:
            return place
    return len(tokens) - 1


def split_at_commas(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The parts between the commas outside parentheses."""
    part: list[Token] = []
    depth = 0
    for token in tokens:
        depth += _is_sign(token, "(") - _is_sign(token, ")")
        if depth == 0 and _is_sign(token, ","):
            yield part
            part = []
        else:
            part.append(token)
    yield part
