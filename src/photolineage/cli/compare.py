"""`photolineage compare`: compare a candidate model with the current serving model."""

from pathlib import Path
from typing import Annotated

import typer

from photolineage.cli.app import (
    AsJson,
    app,
    chosen_settings,
    known_model,
    open_catalog,
    reported_errors,
)
from photolineage.cli.terminal import console, linked, print_json, shown, table


@app.command()
def compare(
    model: Annotated[str, typer.Argument(help="The key of the candidate model.")],
    sheet: Annotated[
        Path | None, typer.Option(help="Write a picture with the hits of both models to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a model with the current serving model on the same images and texts. This changes nothing."""
    from photolineage.steps.embed import Stores
    from photolineage.stores.embeddings import EmbeddingStore
    from photolineage.stores.files import open_files
    from photolineage.stores.pictures import read_previews, save_picture
    from photolineage.stores.previews import PreviewStore
    from photolineage.stores.vector_index import VectorIndexes
    from photolineage.upgrade.comparing import (
        compare_models,
        comparison_sheet,
        figure_rows,
        sentences,
        shown_images,
    )

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        candidate = known_model(settings, engine, model)
        files = open_files(settings)
        stores = Stores(PreviewStore(files), EmbeddingStore(files))
        comparison = compare_models(
            engine, stores, VectorIndexes(settings.home), settings.models, candidate, settings.comparison
        )
        if sheet is not None:
            jpegs = read_previews(engine, stores.previews, shown_images(comparison))
            save_picture(comparison_sheet(comparison, jpegs), sheet)
    if as_json:
        print_json(comparison)
        return
    old, new = comparison.serving.model_key, comparison.candidate.model_key
    console.print(table("Comparison", ["", f"{old} (serving)", new], figure_rows(comparison)))
    for sentence in sentences(comparison):
        console.print(shown(sentence))
    if sheet is not None:
        console.print("Contact sheet:", linked(sheet.resolve()))
