"""What every library of the random sequences begins with, and what it is compared with: made once, for all of them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from photolineage.catalog.engine import create_catalog_engine
from photolineage.catalog.migrate import upgrade
from photolineage.media import content_hash
from photolineage.settings import load_settings
from workloads import REPOSITORY_ROOT
from workloads.stateful.disk import SEEDS, drawn_photo
from workloads.stateful.examine import Vectors, embeddings_of, images_by_place
from workloads.upkeep import bring_up_to_date

CATALOG = "catalog.db"
MODELS = {"first": "demo-clip-v1", "second": "demo-clip-v2"}


@cache
def new_catalog() -> bytes:
    """A catalog that was just made."""
    with TemporaryDirectory(prefix="photolineage-catalog-") as folder:
        engine = create_catalog_engine(f"sqlite:///{folder}/{CATALOG}")
        upgrade(engine)
        engine.dispose()
        return Path(folder, CATALOG).read_bytes()


def undisturbed_vectors(folder: Path) -> Mapping[str, Vectors]:
    """The embeddings of all photos by all models, by content, from a library to which nothing happens."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    for seed in range(SEEDS):
        (photos / f"{seed}.jpg").write_bytes(drawn_photo(seed))
        (photos / f"{seed} changed.jpg").write_bytes(drawn_photo(seed, is_edited=True))
    models = REPOSITORY_ROOT / "src/photolineage/demo/models"
    config = folder / "photolineage.toml"
    config.write_text(
        "home = 'home'\n[sources.photos]\nroot = 'photos'\n"
        + "".join(
            f"[models.{key}]\narchitecture = 'local-dir:{models / name}'\n" for key, name in MODELS.items()
        )
    )
    settings = load_settings(config, environment=False)
    engine = settings.catalog.open_engine()
    upgrade(engine)
    bring_up_to_date(settings, engine)
    with engine.connect() as connection:
        content = {
            row.id: content_hash((photos / row.path).read_bytes())
            for row in images_by_place(connection, {"photos": "photos"}).values()
        }
        found = {
            model: {
                content[image]: vector
                for image, vector in embeddings_of(connection, settings, model)[0].items()
            }
            for model in MODELS
        }
    engine.dispose()
    return found
