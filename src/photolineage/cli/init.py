"""`photolineage init`: a configuration to edit."""

import shutil
from pathlib import Path

from photolineage.cli.app import app, fail
from photolineage.cli.terminal import console, linked
from photolineage.settings.locate import BUILT_IN, FILE_NAME, photo_in


@app.command()
def init() -> None:
    """Write a commented photolineage.toml into the current folder."""
    file = Path.cwd() / FILE_NAME
    if file.exists():
        fail(f"{file} exists already; it is kept as it is")
    if photo := photo_in(file.parent):
        fail(
            f"{file.parent} holds photos ({photo}), and a configuration among photos is not used: it may have "
            "come with them. Run `photolineage init` in another folder."
        )
    shutil.copyfile(BUILT_IN, file)
    console.print(f"Wrote {linked(file)}. Commands that you start in this folder use it.")
