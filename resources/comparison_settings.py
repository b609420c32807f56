"""What decides between a candidate and the serving model."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ComparisonSettings(BaseModel):
    """What a candidate is compared with the serving model on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
        description="Texts that both models are asked; the contact sheet shows the first twelve. Put what you "
        "search for here.",
    )
    sample: int = Field(
        default=200,
        ge=1,
        le=5_000,
        description="Images whose neighbours, near-duplicates and best text are compared; three near-duplicates of "
        "each are embedded by both models.",
    )
