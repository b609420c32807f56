"""The sections of the configuration: each setting with its meaning and its valid values."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pathspec import GitIgnoreSpec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from sqlalchemy import Engine

from photolineage.catalog.engine import CatalogUnreachableError, create_catalog_engine
from photolineage.catalog.vocabulary import Precision
from photolineage.lineage import KEY_PATTERN
from photolineage.settings.model_names import architectures, closest, pretrained_tags

LOCAL_DIRECTORY = "local-dir:"
HUB = "hf-hub:"

OWNER_PATTERN = re.compile(r"team:[A-Za-z0-9_.-]+|[^@\s:]+@[^@\s:]+\.[^@\s:]+")
"""The owners of an asset that Dagster accepts."""


def _key(value: str) -> str:
    if not KEY_PATTERN.fullmatch(value):
        raise ValueError(
            "a key has 1 to 48 characters of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit"
        )
    return value


def _time_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"not an IANA time zone ({closest(value, available_timezones())})")
    return value


def _owner(value: str) -> str:
    if not OWNER_PATTERN.fullmatch(value):
        raise ValueError("an owner is an e-mail address or `team:<name>`")
    return value


def _exclude_pattern(value: str) -> str:
    try:
        patterns = GitIgnoreSpec.from_lines([value]).patterns
    except ValueError as error:
        raise ValueError(f"not a .gitignore pattern: {error}") from error
    if not any(pattern.include is not None for pattern in patterns):
        raise ValueError("this pattern excludes nothing. Remove it, or write a .gitignore pattern")
    return value


def _prompt_templates(value: tuple[str, ...]) -> tuple[str, ...]:
    for template in value:
        if template.count("{}") != 1:
            raise ValueError(f"{template!r} must contain {{}} exactly once, where the text goes")
    if not value:
        raise ValueError('the list is empty. Write ["{}"] to use the text unchanged')
    return value


Key = Annotated[str, AfterValidator(_key)]
Owner = Annotated[str, AfterValidator(_owner)]
PromptTemplates = Annotated[tuple[str, ...], AfterValidator(_prompt_templates)]


FollowLinks = Literal["inside", "all", "none"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SourceSettings(_Section):
    """One directory tree of photographs."""

    root: Path = Field(description="The folder of the photos. Photolineage also reads its sub-folders.")
    removable: bool = Field(
        default=False,
        description="Set this for a disk that you can unplug. While its folder is missing, only its scan fails, and no "
        "image is marked as missing. Without this setting, a missing folder is an error in the configuration.",
    )
    time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        default="UTC",
        description="IANA time zone for photos without a UTC offset and without a place.",
    )
    exclude: list[Annotated[str, AfterValidator(_exclude_pattern)]] = Field(
        default_factory=list,
        description="Files and folders to leave out, as .gitignore patterns relative to the root: "
        "'@eaDir/', '*.tmp.jpg', '/scans/drafts/'. Images that are already registered count as missing.",
    )
    hidden: bool = Field(
        default=False, description="Also read files and folders with names that begin with a dot."
    )
    follow_links: FollowLinks = Field(
        default="inside",
        description="Which symbolic links to follow: 'inside' for those that lead to files and folders below the root, "
        "'all', or 'none'. A scan counts and names the links that it did not follow. With 'all', a link can lead "
        "Photolineage to private photos of somebody else. Images behind a link that is no longer followed count as "
        "missing.",
    )
    leave_out_copies: bool = Field(
        default=True,
        description="Leave out folders in which programs keep thumbnails, previews, snapshots and deleted files, such "
        "as '@eaDir', 'Thumbnails', '*.lrdata' and '$RECYCLE.BIN'. docs/faults.md lists them. A scan counts the "
        "folders that it left out. Images in them that are already registered count as missing.",
    )


class ModelSettings(_Section):
    """One embedding model: an open_clip architecture with a pretrained tag, or a local or hub directory."""

    architecture: str = Field(
        description="An open_clip architecture, 'local-dir:<folder>' or 'hf-hub:<owner>/<model>'."
    )
    pretrained: str | None = Field(
        default=None,
        description="A pretrained tag of the architecture. Leave it out for local-dir: and hf-hub:.",
    )
    precision: Literal["auto"] | Precision = Field(
        default="auto",
        description="Precision of the image embeddings: 'float32', 'float16', 'bfloat16', 'int8', or 'auto'. With "
        "'auto', the first machine that loads the model measures all of them, and takes the fastest whose embeddings "
        "agree with float32.",
    )
    prompt_templates: PromptTemplates | None = Field(
        default=None, description="Prompt templates of this model. They replace the ones for all models."
    )

    @model_validator(mode="after")
    def _names_a_model(self) -> "ModelSettings":
        if self.architecture.startswith((LOCAL_DIRECTORY, HUB)):
            if self.pretrained is not None:
                raise ValueError(
                    f"pretrained = {self.pretrained!r}: local-dir: and hf-hub: name the weights. Remove pretrained"
                )
            return self
        if self.architecture not in architectures():
            raise ValueError(
                f"architecture = {self.architecture!r} is not an architecture of open_clip; "
                + closest(self.architecture, architectures())
            )
        tags = pretrained_tags().get(self.architecture, frozenset())
        if self.pretrained not in tags:
            choices = (
                closest(self.pretrained or "", tags) if tags else "it has no tags; use local-dir:<folder>"
            )
            raise ValueError(
                f"pretrained = {self.pretrained!r} is not a tag of architecture {self.architecture!r}; {choices}"
            )
        return self


class CatalogSettings(_Section):
    """The catalog's database. When the settings are loaded, a password moves from `url` to `password`."""

    url: str = Field(
        default="sqlite:///{home}/catalog.db",
        description="SQLAlchemy URL: sqlite:///<file> or postgresql://<user>@<host>/<database>. "
        "{home} stands for the home directory. Write %3F for a `?` in the name of a file, and %25 for a `%`.",
    )
    password_file: Path | None = Field(
        default=None,
        description="A file that holds only the password of the database's user, for example a secret that your "
        "container platform provides. If you leave it out: PostgreSQL's own `PGPASSFILE` or `~/.pgpass`.",
    )
    password: SecretStr | None = Field(
        default=None,
        description="The password itself. Set it with the environment variable `PHOTOLINEAGE_CATALOG__PASSWORD` rather "
        "than in the file. A password in `url` works too. Photolineage never stores or shows it.",
    )

    def open_engine(self) -> Engine:
        """A new engine for the database. Raises CatalogUnreachableError."""
        return create_catalog_engine(self.url, self._find_password())

    def _find_password(self) -> str | None:
        if self.password is not None:
            return self.password.get_secret_value()
        if self.password_file is None:
            return None
        try:
            password = self.password_file.read_text(encoding="utf-8").rstrip("\r\n")
            reason = None if password else "the file is empty"
        except OSError as error:
            reason = error.strerror
        except UnicodeDecodeError:
            reason = "the file is not valid UTF-8"
        if reason is None:
            return password
        raise CatalogUnreachableError(
            f"catalog.password_file = '{self.password_file}': {reason}. Name a readable file that holds only the "
            "password."
        )


class DecodingSettings(_Section):
    """How much one run may use to decode originals. Photolineage decodes them in processes of their own."""

    memory_gb: Annotated[float, Field(ge=0.1)] | None = Field(
        default=None,
        description="Memory for all images that a run decodes at the same time, in GB. With 2, two images that need "
        "1.5 GB each wait for each other. An image that needs more than this is decoded alone; one that needs more "
        "than twice as much is unreadable (`too_large`). If you leave it out: a quarter of the machine's memory, or of "
        "the limit of the container.",
    )
    seconds: float = Field(
        default=60.0,
        ge=1,
        description="Seconds after which an image that is still being decoded counts as unreadable (`too_large`). A "
        "photo of 200 megapixels takes about 10 seconds on an ordinary computer.",
    )

    @property
    def memory_bytes(self) -> int | None:
        """`memory_gb` in bytes."""
        return None if self.memory_gb is None else int(self.memory_gb * 1e9)


class VerificationSettings(_Section):
    """How `verified_originals` reads the originals again, to find files that have changed on the disk (bit rot)."""

    megabytes_per_second: float = Field(
        default=40.0,
        gt=0,
        description="Megabytes that one run reads in a second, at most. With 40, a terabyte takes 7 hours, and most "
        "disks have time left for others.",
    )
    every_days: int = Field(
        default=30,
        ge=1,
        description="The schedule `nightly_verification` asks for a shard again after this many days. It is off until "
        "you turn it on.",
    )


class ComparisonSettings(_Section):
    """The texts and images with which a new model is compared with the current serving model."""

    queries: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(
            "a beach at sunset",
            "snowy mountains",
            "a birthday cake with candles",
            "a dog",
            "a cat",
            "a city street at night",
            "fireworks",
            "a campfire",
            "a Christmas tree",
            "flowers in a meadow",
            "a boat on the water",
            "people at a concert",
        ),
        min_length=2,
        max_length=200,
        description="Texts to search for with both models. Write what you really search for. The contact sheet shows "
        "the first twelve.",
    )
    sample: int = Field(
        default=200,
        ge=1,
        le=5_000,
        description="How many images to compare by neighbours, near-duplicates and best text. Both models embed three "
        "near-duplicates of each.",
    )


def _http_address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("an address must begin with http:// or https://")
    try:
        parts = urlsplit(value)
        valid = bool(parts.hostname) and parts.port != 0 and value.isascii() and value.isprintable()
    except ValueError:
        valid = False
    if not valid or " " in value:
        raise ValueError("not a valid address. Write it as in https://hooks.example.com/photos")
    return value


def _webhook(value: SecretStr) -> SecretStr:
    _http_address(value.get_secret_value())
    return value


def _ui(value: str) -> str:
    if urlsplit(_http_address(value)).username is not None:
        raise ValueError("leave out the user and the password: everyone who gets an alert would read them")
    return value.rstrip("/")


class AlertSettings(_Section):
    """Who receives alerts. With no receiver, only the UI shows failures."""

    webhook: Annotated[SecretStr, AfterValidator(_webhook)] | None = Field(
        default=None,
        description="Photolineage posts each alert to this address as JSON. Slack and Mattermost show its `text`. "
        "Messages and logs show only its host: the rest of such an address is often a secret. Redirects are not "
        "followed.",
    )
    command: tuple[str, ...] = Field(
        default=(),
        description="A program and its arguments. It gets the text of the alert as its last argument, and the JSON on "
        "standard input.",
    )
    ui: Annotated[str, AfterValidator(_ui)] | None = Field(
        default=None,
        description="Address of the Dagster UI for the links in alerts. If you leave it out: the address at which "
        "`photolineage ui` listens.",
    )

    @property
    def configured(self) -> bool:
        """Whether any receiver is set."""
        return self.webhook is not None or bool(self.command)
