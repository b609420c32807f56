"""Drifts that were found in real databases, on both databases if they apply to both."""

from enum import Enum

import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from photolineage.contract.drift import DriftKind as K
from workloads.contract_cases.case import Case


class VideoState(Enum):
    """States with names that differ from their values."""

    QUEUED = "queued"
    ENCODED = "encoded"


def archive() -> sa.MetaData:
    """Scenes, videos, faces and the jobs that find them."""
    metadata = sa.MetaData()
    sa.Table("ml_job", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("model", sa.Text))
    sa.Table(
        "scenes",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("thumbnail_key", sa.Text),
    )
    sa.Table(
        "videos",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "state",
            sa.Enum(
                VideoState,
                name="videostate",
                create_constraint=True,
                values_callable=lambda members: [member.value for member in members],
            ),
            nullable=False,
        ),
        sa.Column("duration", sa.Float),
    )
    sa.Table(
        "embeddings",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("vector", VECTOR(1152), nullable=False),
    )
    sa.Table(
        "face_profiles",
        metadata,
        sa.Column("face_profile_id", sa.Integer, primary_key=True),
        sa.Column("person_id", sa.Integer, unique=True),
    )
    sa.Table(
        "faces",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("profile_id", sa.ForeignKey("face_profiles.face_profile_id", ondelete="CASCADE")),
    )
    return metadata


_JOB_GONE = Case(
    "ml_job_gone", archive, statements=("DROP TABLE ml_job",), found=((K.MISSING_TABLE, "ml_job", "ml_job"),)
)
_COLUMN_GONE = Case(
    "thumbnail_key_gone",
    archive,
    statements=("ALTER TABLE scenes DROP COLUMN thumbnail_key",),
    found=((K.MISSING_COLUMN, "scenes", "thumbnail_key"),),
)
_OTHER_DIMENSION = Case(
    "vector_1024_for_1152",
    archive,
    edits=(("VECTOR(1152)", "VECTOR(1024)"),),
    found=((K.DIMS, "embeddings", "vector"),),
)
_COLUMN_ELSEWHERE = Case(
    "column_in_another_table",
    archive,
    statements=(
        "ALTER TABLE scenes DROP COLUMN thumbnail_key",
        "ALTER TABLE videos ADD COLUMN thumbnail_key TEXT",
    ),
    found=((K.MISSING_COLUMN, "scenes", "thumbnail_key"), (K.EXTRA_COLUMN, "videos", "thumbnail_key")),
)


def _other_target(name: str) -> Case:
    return Case(
        "foreign_key_to_person_id",
        archive,
        edits=(("REFERENCES face_profiles (face_profile_id)", "REFERENCES face_profiles (person_id)"),),
        found=((K.FK_CHANGED, "faces", name),),
    )


SQLITE_FIELD_DRIFTS = (
    _JOB_GONE,
    _COLUMN_GONE,
    Case(
        "video_state_for_videostate",
        archive,
        edits=(("CONSTRAINT videostate", "CONSTRAINT video_state"),),
        found=((K.ENUM_NAME, "videos", "videostate"),),
    ),
    Case(
        "enum_names_for_values",
        archive,
        edits=(("('queued', 'encoded')", "('QUEUED', 'ENCODED')"),),
        found=((K.ENUM_VALUES, "videos", "videostate"),),
    ),
    _OTHER_DIMENSION,
    _other_target("profile_id"),
    _COLUMN_ELSEWHERE,
)
POSTGRESQL_FIELD_DRIFTS = (
    _JOB_GONE,
    _COLUMN_GONE,
    Case(
        "video_state_for_videostate",
        archive,
        statements=("ALTER TYPE videostate RENAME TO video_state",),
        found=((K.ENUM_NAME, "videos", "videostate"),),
    ),
    Case(
        "enum_names_for_values",
        archive,
        edits=(("('queued', 'encoded')", "('QUEUED', 'ENCODED')"),),
        found=((K.ENUM_VALUES, "videos", "videostate"),),
    ),
    _OTHER_DIMENSION,
    _other_target("faces_profile_id_fkey"),
    _COLUMN_ELSEWHERE,
)
