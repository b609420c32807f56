"""Retiring a model: all of it goes, nothing of another, and a kill in between leaves only garbage."""

import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select, update

from photolineage.catalog.coverage import clear_bits_of_no_model, free_bit
from photolineage.catalog.engine import run_in_transaction, write_transaction
from photolineage.catalog.leases import LeaseHeldError, acquire_lease
from photolineage.catalog.orm import Event, EventImage, Image, MlJob, MlModel, ShardFile
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from photolineage.models.registry import ModelNotLoadedError, record_serving_model
from photolineage.models.text_encoder import ensure_text_encoder, find_text_encoder
from photolineage.steps.cluster import cluster_model
from photolineage.steps.freshness import find_stale_embeddings
from photolineage.stores.event_segments import SegmentStore
from photolineage.upgrade import retire as retiring
from photolineage.upgrade.retire import (
    ModelInUseError,
    ModelStores,
    Retirement,
    plan_retirement,
    retire_model,
)
from tests.library import Library

OLD, NEW = "tiny-a", "tiny-b"
FOLDERS = ("embeddings", "events", "index")


@pytest.fixture
def upgraded(library: Library) -> Library:
    """Built for both models, with events; the new one serves."""
    return upgrade(library)


@pytest.fixture
def upgraded_anywhere(any_library: Library) -> Library:
    """On each database in turn."""
    return upgrade(any_library)


def upgrade(library: Library) -> Library:
    library.build(OLD, NEW)
    for key in (OLD, NEW):
        embedder, _ = library.embedder(key)
        cluster_model(
            library.context(),
            library.embeddings,
            SegmentStore(library.files),
            key,
            embedder.encode_text,
            library.settings.events,
        )
    run_in_transaction(library.engine, lambda connection: record_serving_model(connection, NEW))
    return library


def stores(library: Library) -> ModelStores:
    return ModelStores(library.files, library.indexes)


def plan(library: Library, model_key: str = OLD) -> Retirement:
    with library.engine.connect() as connection:
        return plan_retirement(connection, stores(library), model_key)


def retire(library: Library, model_key: str = OLD, *, configured: tuple[str, ...] = (NEW,)) -> Retirement:
    return retire_model(library.context(), stores(library), model_key, configured=configured)


def files(library: Library) -> Mapping[str, bytes]:
    home = library.settings.home
    found = [path for name in FOLDERS for path in (home / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(home)): path.read_bytes() for path in found}


def of(model_key: str, paths: Mapping[str, bytes]) -> dict[str, bytes]:
    prefixes = (f"embeddings/{model_key}/", f"events/{model_key}.", f"index/{model_key}.")
    return {path: content for path, content in paths.items() if path.startswith(prefixes)}


def rows(library: Library) -> dict[str, int]:
    """The rows of each table that names a model, by table and model."""
    with library.engine.connect() as connection:
        return {
            f"{table.__tablename__} {key}": count
            for table in (ShardFile, Event, EventImage)
            for key, count in connection.execute(
                select(MlModel.key, func.count())
                .join(table, table.model_id == MlModel.id)
                .group_by(MlModel.key)
            )
        }


def bits(library: Library) -> dict[str, int]:
    """The bit of each model."""
    with library.engine.connect() as connection:
        return dict(connection.execute(select(MlModel.key, MlModel.embedded_bit)).tuples().all())


def embedded_bits(library: Library) -> set[int]:
    """What the images have of them."""
    with library.engine.connect() as connection:
        return set(connection.execute(select(Image.embedded_models)).scalars())


def next_bit(library: Library) -> int:
    with library.engine.connect() as connection:
        return free_bit(connection)


def test_a_plan_lists_what_there_is_and_changes_nothing(upgraded: Library) -> None:
    before = (files(upgraded), rows(upgraded))
    found = plan(upgraded)
    home = upgraded.settings.home
    assert [Path(stored.location) for stored in found.stored] == [
        home / "embeddings" / OLD,
        home / f"events/{OLD}.parquet",
        home / f"index/{OLD}.lance",
        home / f"index/{OLD}.lock",
    ]
    assert found.committed_files == 7
    assert found.events == before[1][f"event {OLD}"] > 0
    stored = of(OLD, before[0])
    assert sum(entry.files for entry in found.stored) == len(stored)
    assert found.size_bytes == sum(map(len, stored.values())) > 0
    assert (files(upgraded), rows(upgraded)) == before


def test_everything_of_the_model_goes_and_nothing_of_the_other(upgraded_anywhere: Library) -> None:
    before, counted = files(upgraded_anywhere), rows(upgraded_anywhere)
    bit = bits(upgraded_anywhere)
    assert embedded_bits(upgraded_anywhere) == {0, bit[OLD] | bit[NEW]}

    retire(upgraded_anywhere)

    assert embedded_bits(upgraded_anywhere) == {0, bit[NEW]}
    assert next_bit(upgraded_anywhere) == bit[OLD]

    assert files(upgraded_anywhere) == of(NEW, before)
    assert rows(upgraded_anywhere) == {name: count for name, count in counted.items() if name.endswith(NEW)}
    with pytest.raises(ModelNotLoadedError, match="has nothing to retire"):
        plan(upgraded_anywhere)


def test_the_text_halves_that_searches_use_go_too(upgraded: Library) -> None:
    stored, digests = upgraded.files, {}
    for key in (OLD, NEW):
        embedder, _ = upgraded.embedder(key)
        digests[key] = embedder.facts.weights_digest
        assert ensure_text_encoder(stored, key, digests[key], embedder.export_text_encoder) is None
    retire(upgraded)
    assert find_text_encoder(stored, OLD, digests[OLD]) is None
    assert find_text_encoder(stored, NEW, digests[NEW]) is not None


def test_a_retired_model_that_comes_back_starts_from_nothing(upgraded: Library) -> None:
    for _ in range(2):
        retire(upgraded)
        with upgraded.engine.connect() as connection:
            stale = find_stale_embeddings(connection, [OLD, NEW])
        assert [one.subject for one in stale] == [f"{OLD}|{shard}" for shard in upgraded.shard_keys()]
        assert all(one.version.startswith("1-retired-") for one in stale)
        reports = upgraded.embed_all(OLD)
        assert [(report.embedded, report.resumed) for report in reports.values()] == [(10, 0), (8, 0), (8, 0)]
        assert upgraded.index(OLD).change.added == 26
        with upgraded.engine.connect() as connection:
            assert find_stale_embeddings(connection, [OLD, NEW]) == []


def test_a_kill_before_the_files_are_gone_is_completed_by_the_next_attempt(
    upgraded: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def die(path: Path) -> None:
        raise KilledError(path)

    before = files(upgraded)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", die)
        with pytest.raises(KilledError):
            retire(upgraded)
    assert files(upgraded) == before
    found = plan(upgraded)
    assert (found.committed_files, found.events) == (0, 0)
    assert found.size_bytes == sum(map(len, of(OLD, before).values()))

    retire(upgraded)

    assert files(upgraded) == of(NEW, before)


def test_a_kill_before_all_bits_are_cleared_gives_none_away_and_the_next_attempt_clears_them(
    upgraded: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    cleared: list[int] = []

    def die_at_the_second(connection: Connection, shard_id: int) -> None:
        if cleared:
            raise KilledError
        cleared.append(shard_id)
        clear_bits_of_no_model(connection, shard_id)

    bit = bits(upgraded)
    with monkeypatch.context() as patched:
        patched.setattr(retiring, "clear_bits_of_no_model", die_at_the_second)
        with pytest.raises(KilledError):
            retire(upgraded)
    assert embedded_bits(upgraded) == {0, bit[NEW], bit[OLD] | bit[NEW]}
    assert next_bit(upgraded) > max(bit.values())

    retire(upgraded)

    assert embedded_bits(upgraded) == {0, bit[NEW]}
    assert next_bit(upgraded) == bit[OLD]


def test_a_model_in_use_is_refused(upgraded: Library) -> None:
    before = (files(upgraded), rows(upgraded))
    with pytest.raises(ModelInUseError, match=r"tiny-b is the serving model: .* First promote another model"):
        retire(upgraded, NEW, configured=(OLD,))
    with pytest.raises(
        ModelInUseError, match=r"tiny-a is still configured: .* First remove \[models\.tiny-a\] from"
    ):
        retire(upgraded, OLD, configured=(OLD, NEW))
    assert (files(upgraded), rows(upgraded)) == before


def test_a_key_of_no_model_removes_nothing(upgraded: Library) -> None:
    before = files(upgraded)
    for key in ("", "..", "../home", "tiny-a/photos-00000"):
        with pytest.raises(ModelNotLoadedError, match="is not a valid model key"):
            retire(upgraded, key)
    with pytest.raises(ModelNotLoadedError, match="has nothing to retire"):
        retire(upgraded, "never-loaded")
    assert files(upgraded) == before


def take_lease(library: Library) -> int:
    """The job of another run that embeds by the old model."""
    return acquire_lease(
        library.engine,
        JobKind.EMBED,
        f"{OLD}|photos-00000",
        run_id="the-other-run",
        input_version="1",
        timeout=timedelta(minutes=5),
    ).job_id


def test_a_model_that_a_run_works_on_is_refused(upgraded: Library) -> None:
    take_lease(upgraded)
    before = (files(upgraded), rows(upgraded))
    with pytest.raises(LeaseHeldError, match="run the-other-run"):
        retire(upgraded)
    assert (files(upgraded), rows(upgraded)) == before


def test_a_run_that_is_gone_holds_up_nothing(upgraded: Library) -> None:
    job_id = take_lease(upgraded)
    with write_transaction(upgraded.engine) as connection:
        connection.execute(update(MlJob).where(MlJob.id == job_id).values(process_started_at=0.0))
    retire(upgraded)
    assert of(OLD, files(upgraded)) == {}
    with upgraded.engine.connect() as connection:
        running = connection.execute(select(MlJob.id).where(MlJob.state == JobState.RUNNING)).all()
    assert running == []
