"""What the assets ask of the catalog."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, insert

from photolineage.catalog.coverage import free_bit
from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import MlJob, MlModel, Shard, ShardFile, Source
from photolineage.catalog.queries import (
    CommittedFile,
    EmbeddableImage,
    ShardRow,
    UnknownPartitionError,
    committed_files,
    embeddable_images,
    failures,
    find_model,
    find_shard,
    materialized_version,
    materialized_versions,
    newest_file_id,
    serving_model_key,
    shard_keys,
    shard_revisions,
    shard_sizes,
)
from photolineage.catalog.vocabulary import FailureReason, FileKind, ImageState, JobState
from photolineage.lineage import JobKind
from tests.catalog.conftest import NOW

AddImage = Callable[..., int]


def add_job(engine: Engine, kind: JobKind, subject: str, state: JobState, version: str) -> int:
    with write_transaction(engine) as connection:
        job_id: int = connection.execute(
            insert(MlJob)
            .values(
                kind=kind, subject=subject, state=state, input_version=version, run_id="run", host="host",
                pid=1, process_started_at=0.0, total=0, done=0, resumed=0, failed=0, started_at=NOW, heartbeat_at=NOW,
            )
            .returning(MlJob.id)
        ).scalar_one()  # fmt: skip
    return job_id


def add_model(engine: Engine, key: str, *, serving: bool = False) -> int:
    with write_transaction(engine) as connection:
        model_id: int = connection.execute(
            insert(MlModel)
            .values(
                key=key, architecture="ViT", embedding_dim=8, image_size=64, weights_digest="d",
                embedded_bit=free_bit(connection), first_loaded_at=NOW, serving=serving,
            )
            .returning(MlModel.id)
        ).scalar_one()  # fmt: skip
    return model_id


def test_a_shard_is_found_with_its_source(catalog_engine: Engine, shard_id: int) -> None:
    with catalog_engine.connect() as connection:
        assert find_shard(connection, "photos-00000") == ShardRow(
            shard_id, "photos-00000", 1, "photos", "/photos"
        )
        with pytest.raises(UnknownPartitionError, match=r"shard 'photos-00001': missing from the catalog"):
            find_shard(connection, "photos-00001")


def test_shards_are_listed_by_source(catalog_engine: Engine, shard_id: int) -> None:
    with write_transaction(catalog_engine) as connection:
        connection.execute(insert(Source).values(key="scans", root="/scans", created_at=NOW))
        connection.execute(
            insert(Shard).values(
                source_id=2, number=0, key="scans-00000", capacity=5, image_count=3, revision=4
            )
        )
    with catalog_engine.connect() as connection:
        assert shard_keys(connection) == ["photos-00000", "scans-00000"]
        assert shard_keys(connection, ["scans"]) == ["scans-00000"]
        assert shard_keys(connection, []) == []
        assert shard_revisions(connection) == {"photos-00000": 1, "scans-00000": 4}
        assert shard_sizes(connection) == {"photos-00000": 0, "scans-00000": 3}


def test_only_registered_first_images_must_have_an_embedding(
    catalog_engine: Engine, shard_id: int, add_image: AddImage
) -> None:
    late = add_image("b.jpg", state=ImageState.REGISTERED, content_hash="2")
    early = add_image("a.jpg", state=ImageState.REGISTERED, content_hash="1")
    add_image("copy.jpg", state=ImageState.REGISTERED, content_hash="1", duplicate_of_id=early)
    for state in (ImageState.DISCOVERED, ImageState.FAILED, ImageState.MISSING):
        add_image(f"{state}.jpg", state=state, content_hash="3")
    with catalog_engine.connect() as connection:
        assert embeddable_images(connection, shard_id) == [
            EmbeddableImage(early, "a.jpg", "1", 0),
            EmbeddableImage(late, "b.jpg", "2", 0),
        ]


def test_failures_are_listed_in_path_order(
    catalog_engine: Engine, shard_id: int, add_image: AddImage
) -> None:
    for path in ("b.jpg", "a.jpg", "c.jpg"):
        add_image(
            path, state=ImageState.FAILED, failure_reason=FailureReason.CORRUPT, failure_detail=f"bad {path}"
        )
    add_image("d.jpg", state=ImageState.REGISTERED)
    with catalog_engine.connect() as connection:
        assert [tuple(row) for row in failures(connection, shard_id=shard_id, limit=2)] == [
            ("a.jpg", FailureReason.CORRUPT, "bad a.jpg"),
            ("b.jpg", FailureReason.CORRUPT, "bad b.jpg"),
        ]


def test_the_materialized_version_is_that_of_the_newest_success(catalog_engine: Engine) -> None:
    add_job(catalog_engine, JobKind.REGISTER, "photos-00000", JobState.SUCCEEDED, "1")
    add_job(catalog_engine, JobKind.REGISTER, "photos-00000", JobState.SUCCEEDED, "2")
    add_job(catalog_engine, JobKind.REGISTER, "photos-00000", JobState.FAILED, "3")
    add_job(catalog_engine, JobKind.REGISTER, "photos-00001", JobState.RUNNING, "1")
    add_job(catalog_engine, JobKind.EMBED, "photos-00000", JobState.SUCCEEDED, "9")
    with catalog_engine.connect() as connection:
        assert materialized_versions(connection, JobKind.REGISTER) == {"photos-00000": "2"}
        assert materialized_version(connection, JobKind.REGISTER, "photos-00000") == "2"
        assert materialized_version(connection, JobKind.REGISTER, "photos-00001") is None
        assert materialized_version(connection, JobKind.EMBED, "photos-00000") == "9"


def test_committed_files_are_those_of_their_kind_shard_and_model(
    catalog_engine: Engine, shard_id: int
) -> None:
    job_id = add_job(catalog_engine, JobKind.EMBED, "x", JobState.SUCCEEDED, "1")
    models = [add_model(catalog_engine, key) for key in ("a", "b")]
    with write_transaction(catalog_engine) as connection:
        for path, kind, model_id in (
            ("files/p", FileKind.PREVIEW, None),
            ("files/a1", FileKind.EMBEDDING, models[0]),
            ("files/b1", FileKind.EMBEDDING, models[1]),
            ("files/a2", FileKind.EMBEDDING, models[0]),
        ):
            connection.execute(
                insert(ShardFile).values(
                    kind=kind, shard_id=shard_id, model_id=model_id, job_id=job_id, path=path, row_count=3,
                    size_bytes=9, committed_at=NOW,
                )
            )  # fmt: skip
    with catalog_engine.connect() as connection:
        assert committed_files(connection, FileKind.PREVIEW, shard_id=shard_id) == [
            CommittedFile(1, shard_id, "files/p", 3, 9)
        ]
        of_a = committed_files(connection, FileKind.EMBEDDING, shard_id=shard_id, model_id=models[0])
        assert [file.path for file in of_a] == ["files/a1", "files/a2"]
        assert committed_files(connection, FileKind.EMBEDDING, shard_id=shard_id + 1) == []
        assert newest_file_id(connection, FileKind.EMBEDDING, models[0]) == 4
        assert newest_file_id(connection, FileKind.EMBEDDING, 99) is None


def test_models_are_found_by_key_and_at_most_one_serves(catalog_engine: Engine) -> None:
    with catalog_engine.connect() as connection:
        assert find_model(connection, "a") is None
        assert serving_model_key(connection) is None
    add_model(catalog_engine, "a")
    add_model(catalog_engine, "b", serving=True)
    with catalog_engine.connect() as connection:
        found = find_model(connection, "b")
        assert found is not None
        assert (found.id, found.key, found.embedding_dim) == (2, "b", 8)
        assert serving_model_key(connection) == "b"
    with pytest.raises(Exception, match=r"(?i)unique"):
        add_model(catalog_engine, "c", serving=True)
