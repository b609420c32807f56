"""A report on pinned searches in words: a sentence, rows of a table, and the reasons against a promotion."""

from collections.abc import Callable, Sequence
from typing import Final

from photolineage.pins.judging import Answer, JudgedPin, PinReport, Verdict
from photolineage.plain_text import markdown_code, printable

LISTED: Final = 5
HOW_TO_PIN: Final = "To pin one, run `photolineage pin TEXT --expect PHOTO`."
HOW_TO_LOSE: Final = (
    "the check pinned_searches of model_comparison shows the pictures. To promote the model all the same, set "
    "`force: true`; to give a search up, run `photolineage pin --remove <number>`"
)


def summary(report: PinReport, *, as_markdown: bool = False) -> str:
    """The report in one or two sentences: plain text for a terminal, or Markdown in which a search is code."""
    quoted = markdown_code if as_markdown else str
    if not report.pins:
        return f"No searches are pinned. {HOW_TO_PIN}"
    lost, missed, unchecked = (
        report.having(verdict) for verdict in (Verdict.LOST, Verdict.NOT_FOUND, Verdict.UNCHECKED)
    )
    key = report.model_key

    def counted(pins: Sequence[JudgedPin]) -> str:
        return (
            f"{len(pins)} of {len(report.pins)} pinned searches"
            if len(report.pins) > 1
            else "the pinned search"
        )

    said = []
    if lost:
        said.append(f"{key} loses {counted(lost)} that {report.serving_key} finds: {_listed(lost, quoted)}.")
    if missed:
        both_miss = all(judged.serving and judged.serving.is_found is False for judged in missed)
        nor = f", and neither does {report.serving_key}" if both_miss else ""
        said.append(f"{key} does not find the photo of {counted(missed)}{nor}: {_listed(missed, quoted)}.")
    if unchecked:
        first = unchecked[0]
        said.append(
            f"{key} could not be checked with {counted(unchecked)}: {quoted(_searched(first))}: "
            f"{quoted(printable(first.reason.rstrip('.')))}."
        )
    each = f"each of {len(report.pins)} pinned searches" if len(report.pins) > 1 else "the pinned search"
    return " ".join(said) or f"{key} finds the photo of {each}."


def losses(report: PinReport) -> list[str]:
    """The reason against a promotion, for each search that the model loses. Empty if it loses none."""
    lost = report.having(Verdict.LOST)
    return [
        f"it loses the pinned search {judged.pin.id}, {_searched(judged)}: {printable(judged.path)} has "
        f"{_rank(judged.serving)} with {report.serving_key} and {_rank(judged.answer)} with {report.model_key}, and is "
        f"expected within {judged.pin.within}"
        for judged in lost[:LISTED]
    ] + ([f"and {len(lost) - LISTED} more pinned searches"] if len(lost) > LISTED else [])


def inability(report: PinReport) -> list[str]:
    """The reason against a promotion if the model cannot search at all. Empty if it can."""
    notes = [judged.answer.note for judged in report.pins if judged.answer.no_search]
    return [f"it cannot search: {notes[0].rstrip('.')}"] if notes else []


def unchecked(report: PinReport) -> list[str]:
    """A warning for a promotion if some pins could not be compared. Empty if all were."""
    unknown = [
        judged
        for judged in report.pins
        if judged.verdict is not Verdict.FOUND and None in (judged.answer.is_found, _is_found(judged.serving))
    ]
    if not unknown:
        return []
    count = len(unknown)
    searches = f"{count} pinned {_searches(count)} could not be compared with the serving model before"
    return [f"{searches}: {_searched(unknown[0])}: {unknown[0].reason.rstrip('.')}"]


def columns(report: PinReport) -> list[str]:
    """The names of the columns of `rows`. Those with numbers end in `#`."""
    models = [key for key in (report.serving_key, report.model_key) if key is not None]
    return ["pin#", "search", "result", *(f"rank with {key}#" for key in models), "within#", "photo"]


def rows(report: PinReport) -> list[tuple[str, ...]]:
    """A row for each pin; what is wrong comes first. No cell has a control character."""
    return [
        (
            "" if judged.pin.id is None else str(judged.pin.id),
            judged.pin.query.in_words(),
            printable(": ".join(filter(None, (str(judged.verdict), judged.reason)))),
            *([] if judged.serving is None else [_number(judged.serving)]),
            _number(judged.answer),
            f"{judged.pin.within:,}",
            printable(judged.path),
        )
        for judged in report.having(*Verdict)
    ]


def heading(report: PinReport, judged: JudgedPin) -> str:
    """The lines of Markdown over the pictures of a pin: the search, the ranks of its photo, and the path."""
    before = "" if judged.serving is None else f"{_rank(judged.serving)} with {report.serving_key}, "
    return (
        f"**{judged.verdict}:** {markdown_code(_searched(judged))}: {before}{_rank(judged.answer)} with "
        f"{report.model_key}; expected within {judged.pin.within}. Expected photo: "
        f"{markdown_code(judged.path)}"
    )


def _listed(pins: Sequence[JudgedPin], quoted: Callable[[str], str]) -> str:
    more = f" and {len(pins) - LISTED} more" if len(pins) > LISTED else ""
    return "; ".join(quoted(_searched(judged)) for judged in pins[:LISTED]) + more


def _searched(judged: JudgedPin) -> str:
    return judged.pin.query.in_words()


def _is_found(answer: Answer | None) -> bool | None:
    return None if answer is None else answer.is_found


def _searches(count: int) -> str:
    return "search" if count == 1 else "searches"


def _rank(answer: Answer | None) -> str:
    return "no rank" if answer is None or answer.rank is None else f"rank {answer.rank:,}"


def _number(answer: Answer) -> str:
    return "–" if answer.rank is None else f"{answer.rank:,}"
