"""Small projects with models and Alembic migrations, written into a folder."""

from pathlib import Path

MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
"""

ENV = """
from alembic import context
from sqlalchemy import create_engine

from {models} import Base

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, target_metadata=Base.metadata, literal_binds=True, version_table="revision")
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url).connect() as connection:
        context.configure(connection, target_metadata=Base.metadata, version_table="revision")
        with context.begin_transaction():
            context.run_migrations()
"""

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    op.create_table("account", sa.Column("id", sa.Integer, primary_key=True), {email})
"""

EMAIL = 'sa.Column("email", sa.String, nullable=False), sa.UniqueConstraint("email")'


def write_project(
    folder: Path,
    *,
    models: str,
    env: str = ENV,
    email: str = EMAIL,
    url: str = "driver://user:pass@host/database",
) -> Path:
    """Writes `<models>.py`, `alembic.ini` and the migrations. Returns the path of alembic.ini.

    `models`: a name of its own for each project, because one test process imports several.
    """
    (folder / "migrations" / "versions").mkdir(parents=True)
    (folder / f"{models}.py").write_text(MODELS)
    (folder / "migrations" / "env.py").write_text(env.replace("{models}", models))
    (folder / "migrations" / "versions" / "1_first.py").write_text(REVISION.replace("{email}", email))
    inifile = folder / "alembic.ini"
    inifile.write_text(
        f"[alembic]\nscript_location = {folder}/migrations\nprepend_sys_path = {folder}\n"
        f"path_separator = os\nsqlalchemy.url = {url}\n"
    )
    return inifile
