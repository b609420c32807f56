"""The configuration: `photolineage.toml`, and `PHOTOLINEAGE_*` environment variables over it.

Relative paths are relative to the configuration file. A wrong value stops here, with the setting, the value,
the reason and the valid choices.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pathspec import GitIgnoreSpec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from catalog.model_facts import Precision
from resources.alert_settings import AlertSettings
from resources.comparison_settings import ComparisonSettings
from resources.event_settings import EventSettings
from resources.model_names import architectures, closest, pretrained_tags

CONFIG_VARIABLE = "PHOTOLINEAGE_CONFIG"
PROJECT_ROOT = Path(__file__).resolve().parent.parent
LOCAL_DIRECTORY = "local-dir:"
HUB = "hf-hub:"

KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")
"""Keys become partition keys, folder names and table names; Dagster's UI breaks on commas and on `|`."""

OWNER_PATTERN = re.compile(r"team:[A-Za-z0-9_.-]+|[^@\s:]+@[^@\s:]+\.[^@\s:]+")
"""What Dagster accepts as the owner of an asset."""


class ConfigurationError(Exception):
    """A setting is wrong; the message names it, its value, the reason and the valid choices."""


def _key(value: str) -> str:
    if not KEY_PATTERN.fullmatch(value):
        raise ValueError(
            "a key has 1 to 48 characters of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit"
        )
    return value


def _time_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"not an IANA time zone; {closest(value, available_timezones())}")
    return value


def _owner(value: str) -> str:
    if not OWNER_PATTERN.fullmatch(value):
        raise ValueError("an owner is an e-mail address or `team:<name>`")
    return value


def _exclude_pattern(value: str) -> str:
    try:
        patterns = GitIgnoreSpec.from_lines([value]).patterns
    except ValueError as error:
        raise ValueError(f"not a pattern of a .gitignore: {error}") from error
    if not any(pattern.include is not None for pattern in patterns):
        raise ValueError("leaves nothing out")
    return value


def _prompt_templates(value: tuple[str, ...]) -> tuple[str, ...]:
    for template in value:
        if template.count("{}") != 1:
            raise ValueError(f"{template!r} must hold {{}} once, where the text goes")
    if not value:
        raise ValueError('there are none; "{}" gives the text as it is')
    return value


Key = Annotated[str, AfterValidator(_key)]
Owner = Annotated[str, AfterValidator(_owner)]
PromptTemplates = Annotated[tuple[str, ...], AfterValidator(_prompt_templates)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSettings(_Section):
    """One directory tree of photographs."""

    root: Path = Field(description="The folder that holds the photos, with all its sub-folders.")
    removable: bool = Field(
        default=False,
        description="The folder may be absent when the configuration is loaded (a disk that is unplugged); "
        "scanning it then fails, and marks nothing as missing.",
    )
    time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        default="UTC",
        description="IANA time zone of photos that carry neither an offset nor a place.",
    )
    exclude: list[Annotated[str, AfterValidator(_exclude_pattern)]] = Field(
        default_factory=list,
        description="Files and folders to leave out, in the patterns of a .gitignore, relative to the root: "
        "'@eaDir/', '*.tmp.jpg', '/scans/drafts/'. Images that were registered before count as missing.",
    )
    hidden: bool = Field(
        default=False, description="Take files and folders whose names begin with a dot, too."
    )


class ModelSettings(_Section):
    """One embedding model: an open_clip architecture with a pretrained tag, or a local or hub directory."""

    architecture: str = Field(
        description="An open_clip architecture, 'local-dir:<folder>' or 'hf-hub:<owner>/<model>'."
    )
    pretrained: str | None = Field(
        default=None, description="A pretrained tag of the architecture; none for local-dir: and hf-hub:."
    )
    precision: Literal["auto"] | Precision = Field(
        default="auto",
        description="What the image embeddings are computed in: 'float32', 'bfloat16', 'int8', or 'auto', which is the "
        "one that the machine of the model's first load is fastest in, if it agrees with float32.",
    )
    prompt_templates: PromptTemplates | None = Field(
        default=None, description="This model's own prompt templates, instead of the ones for all."
    )

    @model_validator(mode="after")
    def _names_a_model(self) -> "ModelSettings":
        if self.architecture.startswith((LOCAL_DIRECTORY, HUB)):
            if self.pretrained is not None:
                raise ValueError(
                    f"pretrained = {self.pretrained!r}: local-dir: and hf-hub: name their weights themselves; "
                    "leave pretrained out"
                )
            return self
        if self.architecture not in architectures():
            raise ValueError(
                f"architecture = {self.architecture!r} is not known to open_clip; "
                + closest(self.architecture, architectures())
            )
        tags = pretrained_tags().get(self.architecture, frozenset())
        if self.pretrained not in tags:
            choices = closest(self.pretrained or "", tags) if tags else "it has none; use local-dir:<folder>"
            raise ValueError(
                f"pretrained = {self.pretrained!r} is no tag of architecture {self.architecture!r}; {choices}"
            )
        return self


class CatalogSettings(_Section):
    """The catalog's database."""

    url: str = Field(
        default="sqlite:///{home}/catalog.db",
        description="SQLAlchemy URL: sqlite:///<file> or postgresql://<user>@<host>/<database>. "
        "{home} stands for the home directory.",
    )


class Settings(BaseSettings):
    """All settings. Paths are absolute; `{home}` is replaced."""

    model_config = SettingsConfigDict(
        env_prefix="PHOTOLINEAGE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    config_file: Path
    home: Path = Field(default=Path("data"), description="The folder under which everything is written.")
    catalog: CatalogSettings = CatalogSettings()
    sources: dict[Key, SourceSettings] = Field(default_factory=dict)
    models: dict[Key, ModelSettings] = Field(default_factory=dict)
    shard_capacity: int = Field(default=5_000, ge=1, le=100_000, description="Images of one shard.")
    checkpoint_images: int = Field(
        default=500, ge=1, le=5_000, description="Images of one checkpoint: the most that a killed run loses."
    )
    partitions_per_run: int = Field(
        default=8, ge=1, le=1_000, description="Partitions that one run of a backfill takes."
    )
    lease_timeout_seconds: int = Field(
        default=300, ge=10, description="Silence after which a run loses the lease of its partition."
    )
    rescan_minutes: int = Field(
        default=10, ge=1, description="Time between two scans of a source by the sensor."
    )
    sensor_seconds: int = Field(default=30, ge=1, description="Time between two looks of each sensor.")
    owners: tuple[Owner, ...] = Field(
        default=("team:photolineage",),
        description="Who is asked about the assets: e-mail addresses, or `team:<name>`; shown in the UI.",
    )
    alerts: AlertSettings = AlertSettings()
    prompt_templates: PromptTemplates = Field(
        default=("{}",),
        description="What a text is put into, at {}, before a model reads it for a search; "
        "of several, their embeddings' mean counts.",
    )
    events: EventSettings = EventSettings()
    comparison: ComparisonSettings = ComparisonSettings()
    recall_bar: float = Field(
        default=0.95, gt=0, le=1, description="Least recall@10 with which an index may serve."
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
        """Environment variables over the files that `load_settings` names."""
        del dotenv_settings, file_secret_settings
        files = init_settings()["toml_files"]
        return (
            _FixedSettings(settings_cls, {"config_file": files[0]}),
            env_settings,
            TomlConfigSettingsSource(settings_cls, toml_file=files, deep_merge=True),
        )

    @model_validator(mode="after")
    def _resolve(self) -> "Settings":
        base = self.config_file.parent
        home = (base / self.home.expanduser()).resolve()
        fields = self.__dict__
        fields["home"] = home
        url = self.catalog.url.replace("{home}", str(home))
        try:
            make_url(url)
        except ArgumentError as error:
            raise ValueError(f"catalog.url = {self.catalog.url!r}: {error}") from error
        fields["catalog"] = CatalogSettings(url=url)
        fields["sources"] = {
            key: source.model_copy(update={"root": _resolved(source.root, base, home)})
            for key, source in self.sources.items()
        }
        fields["models"] = {key: _resolved_model(model, base) for key, model in self.models.items()}
        for key, source in self.sources.items():
            if not source.removable and not source.root.is_dir():
                raise ValueError(
                    f"sources.{key}.root = {str(source.root)!r} is no directory. Correct the path, "
                    f"or set sources.{key}.removable = true if its disk is not always there"
                )
        for key, model in self.models.items():
            folder = model.architecture.removeprefix(LOCAL_DIRECTORY)
            config = Path(folder) / "open_clip_config.json"
            if folder != model.architecture and not config.is_file():
                raise ValueError(
                    f"models.{key}.architecture = {model.architecture!r}: there is no {config}. "
                    "A local directory holds open_clip_config.json and open_clip_model.safetensors"
                )
        return self

    def time_zone_of(self, source_key: str) -> str:
        """The time zone of a source's photos that carry none. Raises ConfigurationError for an unknown source."""
        if source_key not in self.sources:
            raise ConfigurationError(
                f"source {source_key!r} is in the catalog and not in the configuration. Add "
                f"[sources.{source_key}] to {self.config_file}. Valid: {', '.join(self.sources) or 'none'}"
            )
        return self.sources[source_key].time_zone

    def prompt_templates_of(self, model_key: str) -> tuple[str, ...]:
        """What a text is put into before a model reads it for a search; for one that is not configured, as for all."""
        model = self.models.get(model_key)
        return (
            self.prompt_templates
            if model is None or model.prompt_templates is None
            else model.prompt_templates
        )

    def model_of(self, model_key: str) -> ModelSettings:
        """What a model is loaded by. Raises ConfigurationError for one that is not configured."""
        if model_key not in self.models:
            raise ConfigurationError(
                f"model {model_key!r} is in the catalog and not in the configuration, so it cannot be loaded. Put "
                f"[models.{model_key}] back into {self.config_file}, or take another model. Valid: "
                f"{', '.join(self.models) or 'none'}"
            )
        return self.models[model_key]

    @property
    def dagster_home(self) -> Path:
        """The folder of the Dagster instance."""
        return self.home / "dagster"

    @property
    def added_sources_file(self) -> Path:
        """Where `photolineage run --photos` keeps the sources that it adds."""
        return self.home / "sources.toml"


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


def _resolved_model(model: ModelSettings, base: Path) -> ModelSettings:
    if not model.architecture.startswith(LOCAL_DIRECTORY):
        return model
    folder = Path(model.architecture.removeprefix(LOCAL_DIRECTORY)).expanduser()
    return model.model_copy(update={"architecture": f"{LOCAL_DIRECTORY}{(base / folder).resolve()}"})


def default_config_file() -> Path:
    """`$PHOTOLINEAGE_CONFIG`, else `photolineage.toml` of the working directory, else the project's own."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named).expanduser().resolve()
    here = Path.cwd() / "photolineage.toml"
    return here if here.is_file() else PROJECT_ROOT / "photolineage.toml"


def load_settings(config_file: Path | None = None) -> Settings:
    """The settings. Raises ConfigurationError, which lists everything that is wrong."""
    config_file = config_file or default_config_file()
    if not config_file.is_file():
        raise ConfigurationError(
            f"{config_file}: no such file. Name the configuration by {CONFIG_VARIABLE}, or work in a folder "
            "that has a photolineage.toml."
        )
    settings = _settings_of(config_file)
    added = settings.added_sources_file
    return _settings_of(config_file, added) if added.is_file() else settings


def _settings_of(*files: Path) -> Settings:
    try:
        return Settings(toml_files=files)  # type: ignore[call-arg]
    except tomllib.TOMLDecodeError as error:
        # They are read in this order, and the first was read by itself before.
        raise ConfigurationError(f"{files[-1]} is not valid TOML: {error}") from error
    except ValidationError as error:
        problems = "\n".join(f"  {_problem(detail)}" for detail in error.errors())
        raise ConfigurationError(f"{files[0]}:\n{problems}") from error


def _problem(detail: ErrorDetails) -> str:
    setting = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return f"{setting}: no such setting"
    if isinstance(detail["input"], BaseModel | dict):
        return f"{setting}: {message}" if setting else message
    return f"{setting} = {detail['input']!r}: {message}"
