"""`photolineage init`: write a configuration file to edit."""

import shutil
from pathlib import Path

from rich.text import Text

from photolineage.cli.app import app, fail
from photolineage.cli.terminal import console, linked
from photolineage.settings.locate import BUILT_IN, FILE_NAME, photo_in


@app.command()
def init() -> None:
    """Write a commented photolineage.toml into the current folder."""
    file = Path.cwd() / FILE_NAME
    if file.exists():
        fail(f"{file} already exists. It was not changed.")
    if photo := photo_in(file.parent):
        fail(
            f"{file.parent} contains photos ({photo}). A configuration in a folder of photos is ignored, because "
            "it may have come with the photos. Run `photolineage init` in another folder."
        )
    shutil.copyfile(BUILT_IN, file)
    console.print(Text.assemble("Wrote ", linked(file), ". Commands that you run in this folder use it."))
