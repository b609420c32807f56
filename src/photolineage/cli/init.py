"""`photolineage init` and `photolineage trust`: a configuration for the commands of one folder."""

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from photolineage.cli.app import app, fail, reported_errors
from photolineage.cli.consent import show_what_it_names
from photolineage.cli.terminal import console, linked
from photolineage.settings import trust
from photolineage.settings.locate import BUILT_IN, FILE_NAME, why_among_photos
from photolineage.stores.files import write_atomically


@app.command()
def init() -> None:
    """Write a commented photolineage.toml into the current folder."""
    file = Path.cwd() / FILE_NAME
    if file.exists():
        fail(f"{file} already exists. It was not changed.")
    if (reason := why_among_photos(file.parent)) is not None:
        fail(
            f"{file} would be ignored, because {reason}: somebody else may have written a configuration that "
            "comes with photos. Run `photolineage init` in another folder."
        )
    with reported_errors(False):
        write_atomically(file, lambda partial: shutil.copyfile(BUILT_IN, partial))
        trust(file)
    console.print(
        Text.assemble(
            "Wrote ",
            linked(file),
            ". Commands that you run in this folder use it. "
            "After you change it, they ask once whether to use it.",
        )
    )


@app.command("trust")
def trust_file(
    file: Annotated[
        Path, typer.Argument(help="The configuration file.", show_default=f"./{FILE_NAME}")
    ] = Path(FILE_NAME),
) -> None:
    """Use this photolineage.toml for commands in its folder, until the file changes."""
    file = file.expanduser().parent.resolve() / file.name
    if file.name != FILE_NAME or not file.is_file():
        fail(
            f"{file} is no file called {FILE_NAME}: commands look for nothing else in the current folder. Name other "
            "files with --config."
        )
    with reported_errors(False):
        trust(file)
    show_what_it_names(file)
    console.print(Text.assemble("Trusted: ", linked(file), ". Commands that you run in this folder use it."))
