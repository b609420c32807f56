"""`photolineage init`: write a configuration file to edit."""

import shutil
from pathlib import Path

from rich.text import Text

from photolineage.cli.app import app, fail, reported_errors
from photolineage.cli.terminal import console, linked
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
    console.print(Text.assemble("Wrote ", linked(file), ". Commands that you run in this folder use it."))
