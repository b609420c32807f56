"""`photolineage covered`: whether a disk may be wiped."""

from typing import TYPE_CHECKING, Annotated

import typer

from photolineage.cli.app import AsJson, app, chosen_settings, open_catalog, reported_errors
from photolineage.cli.terminal import console, print_json, shown, table
from photolineage.plain_text import printable

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

    The exit code is 0 if everything stands intact on another disk, and 1 if something would be lost or an error occurs.
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
    title = f"{coverage.source}: {len(coverage.images):,} images in {printable(coverage.root)}"
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
                f"{len(lost):,} images would be lost",
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
    for name, counts in (
        ("Other files that would be lost", coverage.other_files),
        ("Files of programs and systems, which do not count", coverage.of_programs),
    ):
        if counts:
            console.print(
                table(name, ["kind", "files#"], [(printable(k), count) for k, count in counts.items()])
            )
    if coverage.unreadable:
        places = [(printable(path), reason) for path, reason in coverage.unreadable.items()]
        console.print(table("Cannot be read", ["place", "reason"], places[:LISTED]))
        _print_more(len(places))
    console.print(
        shown("Covered." if coverage.covered else "NOT covered: something would be lost."), style="bold"
    )
    for step in coverage.plan:
        console.print(shown(f"- {step}"), soft_wrap=True)


def _print_more(count: int) -> None:
    if count > LISTED:
        console.print(f"… and {count - LISTED:,} more: --json lists all")
