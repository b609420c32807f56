"""`photolineage covered`: whether a disk may be wiped."""

from typing import TYPE_CHECKING, Annotated

import typer

from photolineage.cli.app import AsJson, app, chosen_settings, open_catalog, reported_errors
from photolineage.cli.terminal import console, print_json, shown, table
from photolineage.plain_text import counted, printable

if TYPE_CHECKING:
    from photolineage.steps.covered import Coverage

LISTED = 50


@app.command()
def covered(
    source: Annotated[str, typer.Argument(help="The source on the disk that you want to wipe.")],
    by: Annotated[
        list[str] | None,
        typer.Option(help="A source whose copies count. Repeat it. Default: all other sources."),
    ] = None,
    verified_within: Annotated[
        int, typer.Option(min=1, help="A copy counts if it was verified within so many days.")
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """Tell whether the disk of a source may be wiped: what would be lost, and what to do first. Deletes nothing.

    Only images are compared, by their content. Sidecars, videos and other files are listed by kind.

    The exit code is 0 if every image stands intact on another disk and there are no other files, else 1.
    """
    from photolineage.steps.covered import find_coverage

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        coverage = find_coverage(engine, source, by or (), verified_within_days=verified_within)
    if as_json:
        print_json(coverage)
    else:
        _print_coverage(coverage)
    if not coverage.covered:
        raise typer.Exit(1)


def _print_coverage(coverage: "Coverage") -> None:
    lost = coverage.lost
    kept = [image for image in coverage.images if image.problem is None]
    title = f"{coverage.source}: {counted(len(coverage.images), 'image')} in {printable(coverage.root)}"
    if kept:
        rows = [
            (printable(image.path), printable(copy.path), f"{copy.verified_at:%Y-%m-%d}")
            for image in kept[:LISTED]
            for copy in image.copies[:1]
        ]
        console.print(table(title, ["covered image", "its copy", "verified"], rows))
        _print_more(len(kept))
    if lost:
        console.print(
            table(
                f"{counted(len(lost), 'image')} would be lost",
                ["image", "why", "copy"],
                [
                    (
                        printable(image.path),
                        image.problem or "",
                        printable(image.copies[0].path) if image.copies else "",
                    )
                    for image in lost[:LISTED]
                ],
            )
        )
        _print_more(len(lost))
    for name, kinds in (
        ("Other files, which are not compared: you may have no copy of them", coverage.not_compared),
        ("Files of programs and systems, which are not compared and do not count", coverage.of_programs),
    ):
        if kinds:
            rows_of_kinds = [
                (printable(kind), files.count, "\n".join(map(printable, files.examples)))
                for kind, files in kinds.items()
            ]
            console.print(table(name, ["kind", "files#", "examples"], rows_of_kinds))
    if coverage.unreadable:
        places = [(printable(path), reason) for path, reason in coverage.unreadable.items()]
        console.print(table("Cannot be read", ["place", "reason"], places[:LISTED]))
        _print_more(len(places))
    console.print(shown(_verdict(coverage)), style="bold")
    for step in coverage.plan:
        console.print(shown(f"- {step}"), soft_wrap=True)


def _verdict(coverage: "Coverage") -> str:
    if coverage.covered:
        return "Covered."
    reasons = []
    if coverage.lost:
        reasons.append(f"{counted(len(coverage.lost), 'image')} would be lost")
    if others := sum(files.count for files in coverage.not_compared.values()):
        reasons.append(f"{counted(others, 'other file')} cannot be compared")
    if coverage.unreadable:
        reasons.append(
            f"{counted(len(coverage.unreadable), 'folder or file', 'folders or files')} cannot be read"
        )
    return f"NOT covered: {', '.join(reasons)}."


def _print_more(count: int) -> None:
    if count > LISTED:
        console.print(f"… and {count - LISTED:,} more: --json lists all")
