"""`photolineage compare`: a model that may serve next beside the one that serves."""

from pathlib import Path
from typing import Annotated

import typer

from cli.app import AsJson, app, fail, known_model, open_catalog, reported_errors
from cli.terminal import console, linked, print_json, table
from resources.settings import load_settings


@app.command()
def compare(
    model: Annotated[str, typer.Argument(help="The key of the candidate.")],
    sheet: Annotated[
        Path | None, typer.Option(help="Write the hits of both models as a contact sheet picture.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a model with the serving one, on the same images and texts. Nothing is changed."""
    from pipeline.comparing import (
        NothingToCompareError,
        compare_models,
        comparison_sheet,
        figure_rows,
        sentences,
        shown_images,
    )
    from pipeline.embedding import Stores
    from pipeline.pictures import read_previews
    from resources.embedding_store import EmbeddingStore
    from resources.preview_store import PreviewStore
    from resources.vector_index_home import VectorIndexes

    with reported_errors(as_json):
        settings = load_settings()
        engine = open_catalog(settings)
        candidate = known_model(settings, engine, model)
        stores = Stores(PreviewStore(settings.home), EmbeddingStore(settings.home))
        try:
            comparison = compare_models(
                engine, stores, VectorIndexes(settings.home), settings.models, candidate, settings.comparison
            )
        except NothingToCompareError as error:
            fail(error, as_json)
        if sheet is not None:
            jpegs = read_previews(engine, stores.previews, shown_images(comparison))
            comparison_sheet(comparison, jpegs).save(sheet)
    if as_json:
        print_json(comparison)
        return
    old, new = comparison.serving.model_key, comparison.candidate.model_key
    console.print(table("Comparison", ["", f"{old} (serves)", new], figure_rows(comparison)))
    for sentence in sentences(comparison):
        console.print(sentence, markup=False, highlight=False)
    if sheet is not None:
        console.print(f"Contact sheet: {linked(sheet.resolve())}")
