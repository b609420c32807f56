"""Whom a failing run or check is told."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _http_address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("an address begins with http:// or https://")
    return value.rstrip("/")


HttpAddress = Annotated[str, AfterValidator(_http_address)]


class AlertSettings(BaseModel):
    """The receivers of alerts; with neither, failures are shown in the UI alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook: HttpAddress | None = Field(
        default=None,
        description="Address to which each alert is posted as JSON; its `text` is what Slack and Mattermost show.",
    )
    command: tuple[str, ...] = Field(
        default=(),
        description="Program and arguments; the text of the alert is added as the last one, the JSON is its input.",
    )
    ui: HttpAddress | None = Field(
        default=None,
        description="Address of the Dagster UI in the links of alerts; left out: where `photolineage ui` listens.",
    )

    @property
    def configured(self) -> bool:
        """Whether anybody is told."""
        return self.webhook is not None or bool(self.command)
