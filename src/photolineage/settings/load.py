"""Loads the configuration: `photolineage.toml`, overridden by `PHOTOLINEAGE_*` environment variables.

Relative paths are relative to the configuration file. A wrong value raises ConfigurationError, which names the
setting, the value, the reason and the valid choices.
"""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)
from sqlalchemy import URL, make_url

from photolineage.catalog.engine import shown_url, split_password
from photolineage.settings.events import EventSettings
from photolineage.settings.locate import (
    ADDED_SOURCES,
    BUILT_IN,
    CONFIG_VARIABLE,
    ConfigurationError,
    default_home,
    find_config_file,
    user_folder,
)
from photolineage.settings.sections import (
    LOCAL_DIRECTORY,
    AlertSettings,
    CatalogSettings,
    ComparisonSettings,
    DecodingSettings,
    Key,
    ModelSettings,
    Owner,
    PromptTemplates,
    SourceSettings,
    VerificationSettings,
)

SECRETS = ("catalog.url", "catalog.password", "alerts.")
"""Settings whose values are not shown, because they may contain a password or a token."""
SECTIONS = frozenset({"catalog", "alerts"})


class Settings(BaseSettings):
    """All settings. Paths are absolute; `{home}` is replaced."""

    model_config = SettingsConfigDict(
        env_prefix="PHOTOLINEAGE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    config_file: Path
    home: Path = Field(
        default_factory=default_home,
        description="Everything that Photolineage writes goes into this folder. If you leave it out: `library` in your "
        "data directory (`~/.local/share/photolineage` on Linux).",
    )
    catalog: CatalogSettings = CatalogSettings()
    sources: dict[Key, SourceSettings] = Field(default_factory=dict)
    models: dict[Key, ModelSettings] = Field(default_factory=dict)
    shard_capacity: int = Field(default=5_000, ge=1, le=100_000, description="Images in one shard.")
    checkpoint_images: int = Field(
        default=500,
        ge=1,
        le=5_000,
        description="Images in one checkpoint, at most. A killed run computes at most one checkpoint again.",
    )
    checkpoint_seconds: int = Field(
        default=60,
        ge=1,
        le=3_600,
        description="Seconds after which a checkpoint ends even if it has fewer images, because the model or the disk "
        "is slow.",
    )
    partitions_per_run: int = Field(
        default=8, ge=1, le=100, description="Partitions in one run of a backfill or of the sensor, at most."
    )
    lease_timeout_seconds: int = Field(
        default=300,
        ge=10,
        description="Seconds without a heartbeat after which another run may take a partition over.",
    )
    rescan_minutes: int = Field(
        default=10, ge=1, description="Minutes between two scans of a source by the sensor."
    )
    sensor_seconds: int = Field(
        default=30, ge=1, description="Seconds between two looks for work by each sensor."
    )
    owners: tuple[Owner, ...] = Field(
        default=("team:photolineage",),
        description="The owners of the assets, shown in the UI: e-mail addresses, or `team:<name>`.",
    )
    alerts: AlertSettings = AlertSettings()
    prompt_templates: PromptTemplates = Field(
        default=("{}",),
        description="A search puts its text into each of these in place of {}, and uses the mean of the embeddings.",
    )
    events: EventSettings = EventSettings()
    comparison: ComparisonSettings = ComparisonSettings()
    decoding: DecodingSettings = DecodingSettings()
    verification: VerificationSettings = VerificationSettings()
    recall_bar: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="An index serves searches only if its recall@10 is at least this.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment variables override the files that `load_settings` passes."""
        del dotenv_settings, file_secret_settings
        given = init_settings()
        files = given["toml_files"]
        return (
            _FixedSettings(settings_cls, {"config_file": files[0]}),
            *([env_settings] if given["environment"] else []),
            TomlConfigSettingsSource(settings_cls, toml_file=files, deep_merge=True),
        )

    @model_validator(mode="after")
    def _resolve(self) -> "Settings":
        base = user_folder() if self.config_file == BUILT_IN else self.config_file.parent
        home = (base / self.home.expanduser()).resolve()
        fields = self.__dict__
        _require_usable_by_dagster(home)
        fields["home"] = home
        fields["catalog"] = _resolved_catalog(self.catalog, base, home)
        fields["sources"] = {
            key: source.model_copy(update={"root": _resolved(source.root, base, home)})
            for key, source in self.sources.items()
        }
        fields["models"] = {key: _resolved_model(model, base) for key, model in self.models.items()}
        for key, source in self.sources.items():
            if not source.removable and not source.root.is_dir():
                raise ValueError(
                    f"sources.{key}.root = {str(source.root)!r} is not a directory. Correct the path, "
                    f"or set sources.{key}.removable = true if its disk is sometimes unplugged"
                )
        for key, model in self.models.items():
            folder = model.architecture.removeprefix(LOCAL_DIRECTORY)
            config = Path(folder) / "open_clip_config.json"
            if folder != model.architecture and not config.is_file():
                raise ValueError(
                    f"models.{key}.architecture = {model.architecture!r}: {config} is missing. "
                    "A local directory needs open_clip_config.json and open_clip_model.safetensors"
                )
        return self

    def time_zone_of(self, source_key: str) -> str:
        """The time zone for photos of a source that have none. Raises ConfigurationError for an unknown source."""
        if source_key not in self.sources:
            raise ConfigurationError(
                f"source {source_key!r} is in the catalog but not in the configuration. Add "
                f"[sources.{source_key}] to {self.config_name}. Valid: {', '.join(self.sources) or 'none'}"
            )
        return self.sources[source_key].time_zone

    def prompt_templates_of(self, model_key: str) -> tuple[str, ...]:
        """The prompt templates for searches with a model: its own, or the ones for all models."""
        model = self.models.get(model_key)
        return (
            self.prompt_templates
            if model is None or model.prompt_templates is None
            else model.prompt_templates
        )

    def model_of(self, model_key: str) -> ModelSettings:
        """The settings of a model. Raises ConfigurationError if it is not configured."""
        if model_key not in self.models:
            raise ConfigurationError(
                f"model {model_key!r} is in the catalog but not in the configuration, so it cannot be loaded. Put "
                f"[models.{model_key}] back into {self.config_name}, or use another model. Valid: "
                f"{', '.join(self.models) or 'none'}"
            )
        return self.models[model_key]

    @property
    def config_name(self) -> str:
        """How a message names the configuration file in which to add a setting."""
        return (
            "a photolineage.toml (`photolineage init` writes one)"
            if self.config_file == BUILT_IN
            else str(self.config_file)
        )

    @property
    def dagster_home(self) -> Path:
        """The folder of the Dagster instance."""
        return self.home / "dagster"

    @property
    def added_sources_file(self) -> Path:
        """The file in which `photolineage run --photos` stores the sources that it adds."""
        return self.home / ADDED_SOURCES


class _FixedSettings(PydanticBaseSettingsSource):
    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        del field
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values


def _resolved(path: Path, base: Path, home: Path) -> Path:
    return (base / Path(str(path).replace("{home}", str(home))).expanduser()).resolve()


def _resolved_catalog(catalog: CatalogSettings, base: Path, home: Path) -> CatalogSettings:
    try:
        without, password = split_password(catalog.url)
    except ValueError as error:
        raise ValueError(f"catalog.url: {error}") from None
    resolved: dict[str, object] = {"url": _resolved_url(without, base, home)}
    if password is not None:
        resolved["password"] = SecretStr(password)
    if catalog.password_file is not None:
        resolved["password_file"] = _resolved(catalog.password_file, base, home)
    given = {
        "a password in catalog.url": password,
        "catalog.password": catalog.password,
        "catalog.password_file": catalog.password_file,
    }
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)} are both given. Remove all but one")
    return catalog.model_copy(update=resolved)


def _require_usable_by_dagster(home: Path) -> None:
    """Raise ValueError if Dagster would keep its databases in another folder: it pastes its folder into a URL."""
    if make_url(f"sqlite:///{home}").database != str(home):
        raise ValueError(
            f"home = {str(home)!r}: Dagster cannot keep its databases in a folder whose path contains '?', or '%' "
            "before two hexadecimal digits. Choose a folder with another name"
        )


def _resolved_url(url: URL, base: Path, home: Path) -> str:
    """The URL of the catalog. The file of a SQLite catalog has an absolute path, with any characters."""
    if url.get_backend_name() != "sqlite":
        return url.render_as_string()
    file = url.database or ""
    if file in {"", ":memory:"}:
        raise ValueError(
            f"catalog.url = '{shown_url(url)}': it names no file, so the catalog would be lost when a command ends. "
            "Write sqlite:///<file>, or leave the setting out"
        )
    if file.startswith("file:"):
        raise ValueError(
            f"catalog.url = '{shown_url(url)}': SQLite's file: addresses are not supported. Write sqlite:///<file>"
        )
    return url.set(database=str(_resolved(Path(file), base, home))).render_as_string()


def _resolved_model(model: ModelSettings, base: Path) -> ModelSettings:
    if not model.architecture.startswith(LOCAL_DIRECTORY):
        return model
    folder = Path(model.architecture.removeprefix(LOCAL_DIRECTORY)).expanduser()
    return model.model_copy(update={"architecture": f"{LOCAL_DIRECTORY}{(base / folder).resolve()}"})


def load_settings(
    config_file: Path | None = None, *, or_demo: bool = True, environment: bool = True
) -> Settings:
    """The settings of a configuration file; without one, of the file that `find_config_file` finds.

    `environment`: whether variables override the file. Raises ConfigurationError, which lists every wrong value.
    """
    config_file = config_file or find_config_file(or_demo=or_demo)
    if not config_file.is_file():
        raise ConfigurationError(
            f"{config_file}: no such file. Name an existing one with `--config` or {CONFIG_VARIABLE}, or write "
            "one with `photolineage init`."
        )
    settings = _settings_of(config_file, environment=environment)
    added = settings.added_sources_file
    return _settings_of(config_file, added, environment=environment) if added.is_file() else settings


def _settings_of(*files: Path, environment: bool) -> Settings:
    try:
        return Settings(toml_files=files, environment=environment)  # type: ignore[call-arg]
    except tomllib.TOMLDecodeError as error:
        # The files are read in this order, and the first one was already read above.
        raise ConfigurationError(f"{files[-1]} is not valid TOML: {error}") from error
    except SettingsError as error:
        # The cause holds the value of the variable, which may be a secret.
        raise ConfigurationError(
            f"{files[0]}: {error}. A section cannot be set as a whole: set PHOTOLINEAGE_CATALOG__URL, for example"
        ) from None
    except ValidationError as error:
        problems = "\n".join(f"  {_problem(detail)}" for detail in error.errors())
        raise ConfigurationError(f"{files[0]}:\n{problems}") from error


def _problem(detail: ErrorDetails) -> str:
    setting = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return f"{setting}: no such setting"
    if isinstance(detail["input"], BaseModel | dict) or setting.startswith(SECRETS) or setting in SECTIONS:
        return f"{setting}: {message}" if setting else message
    return f"{setting} = {detail['input']!r}: {message}"
