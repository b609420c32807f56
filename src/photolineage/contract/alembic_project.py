"""Reads the metadata of an Alembic project, and runs its migrations on a database of our choice."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from .errors import ContractError
from .passwords import redacted


@dataclass(frozen=True)
class Target:
    """What to compare: the metadata, the tables of migration tools, and the URL that the project itself names."""

    metadata: tuple[MetaData, ...]
    version_tables: tuple[str, ...] = ()
    url: str | None = None


class AlembicProject:
    """An Alembic project, by its alembic.ini or env.py. `url` takes the place of its `sqlalchemy.url`.

    While env.py runs, Alembic is in offline mode, so that env.py opens no connection. Only if env.py has no offline
    mode does it run in online mode.
    """

    def __init__(self, file: Path, url: str | None = None) -> None:
        if not file.is_file():
            raise ContractError(f"Cannot read the Alembic project: there is no file {str(file)!r}.")
        self._config = _config(file)
        if url is not None:
            self._config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))

    def target(self) -> Target:
        """The metadata and the version table that env.py gives to Alembic. No migration runs."""
        options = self._run(None)
        metadata = options.get("target_metadata")
        if metadata is None:
            raise ContractError(
                f"{self._env_py} names no target_metadata. Set it to the metadata of your models."
            )
        several = (metadata,) if isinstance(metadata, MetaData) else tuple(metadata)
        return Target(
            several,
            (options.get("version_table") or "alembic_version",),
            self._url,
        )

    def upgrade(self, connection: Connection) -> None:
        """Runs all migrations over this connection, whatever database env.py would connect to."""
        self._config.attributes["connection"] = connection
        self._run(connection)
        connection.commit()

    @property
    def _url(self) -> str | None:
        return self._config.get_main_option("sqlalchemy.url")

    @property
    def _env_py(self) -> str:
        return str(Path(self._config.get_main_option("script_location") or "") / "env.py")

    def _run(self, connection: Connection | None) -> dict[str, Any]:
        """Runs env.py, with all migrations if there is a connection. Returns what env.py configured."""
        options: dict[str, Any] = {}
        for offline in (True, False):
            try:
                with _environment(self._config, connection, options, offline=offline) as environment:
                    environment.script.run_env()
            except _ConfiguredError:
                pass
            except (Exception, SystemExit) as error:
                if options or not offline:
                    message = f"Cannot run {self._env_py}: {type(error).__name__}: {error}"
                    raise ContractError(redacted(message, self._url)) from error
            if options.get("target_metadata") is not None or (options and connection is not None):
                break
        if not options:
            raise ContractError(f"{self._env_py} does not call context.configure().")
        return options


def _config(file: Path) -> Config:
    if file.suffix != ".py":
        return Config(str(file))
    folder = file.parent
    for inifile in (folder / "alembic.ini", folder.parent / "alembic.ini"):
        if inifile.is_file():
            config = Config(str(inifile))
            break
    else:
        config = Config()
    config.set_main_option("script_location", str(folder.absolute()).replace("%", "%%"))
    return config


class _ConfiguredError(BaseException):
    """Ends env.py once its options are known. No `except Exception` of env.py catches it."""


def _environment(
    config: Config, connection: Connection | None, options: dict[str, Any], *, offline: bool
) -> EnvironmentContext:
    """The environment in which env.py runs. It records the options, and takes our connection for env.py's own."""
    scripts = ScriptDirectory.from_config(config)

    def upgrade(revision: Any, _context: Any) -> Any:
        return scripts._upgrade_revs("heads", revision)

    def configure(*arguments: Any, **keywords: Any) -> None:
        given = signature.bind(*arguments, **keywords).arguments
        chosen = {**given, **given.pop("kw", {})}
        options.update(chosen)
        if connection is None:
            raise _ConfiguredError
        for name in ("connection", "url", "dialect_name", "dialect_opts", "literal_binds", "output_buffer"):
            chosen.pop(name, None)
        environment.context_opts["as_sql"] = False
        configure_alembic(connection=connection, **chosen)

    environment = EnvironmentContext(config, scripts, fn=upgrade, as_sql=offline, destination_rev="heads")
    configure_alembic = environment.configure
    signature = inspect.signature(configure_alembic)
    # Not a subclass: Alembic gives env.py only the methods of an EnvironmentContext itself.
    environment.configure = configure  # type: ignore[method-assign]
    return environment
