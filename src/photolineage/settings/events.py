"""The settings of events: the pause that ends one, trips, trusted times, and titles.

The weights of the evidence are constants beside the code that uses them, in `photolineage.events`.
"""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from photolineage.catalog.vocabulary import TakenAtSource
from photolineage.settings.title_words import DEFAULT_TITLE_WORDS


class EventSettings(BaseModel):
    """How images become events. The benchmarks chose the default of `event_gap_hours` on their tuning collections."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_gap_hours: float = Field(
        1.1,
        ge=0.5,
        description="Hours without a photo after which a new event usually begins. With 3, a lunch and the walk two "
        "hours later become one event more often. Place and looks count too: photos that look alike can stay together "
        "over a longer pause, and photos that do not can be separated by a shorter one.",
    )
    max_event_days: float = Field(
        35.0,
        gt=0,
        description="The most days that an event can last. With 14, a journey of a month is cut into shorter events at "
        "its longest pauses.",
    )
    away_km: float = Field(
        40.0,
        gt=0,
        description="You are on a trip if you are farther than this many kilometres from home and from every other "
        "place where you often take photos. With 100, a day in a town 60 km away is not a trip.",
    )
    trip_gap_hours: float = Field(
        60.0,
        ge=0,
        description="The most hours without a photo within one trip. With 60, a trip goes on after two rainy days "
        "without a photo. With 0, each outing of a trip is a separate event.",
    )
    trusted_time_sources: tuple[TakenAtSource, ...] = Field(
        tuple(source for source in TakenAtSource if source is not TakenAtSource.FILE_TIME),
        description="The sources of a photo's time that events use. `file_time` is not among them by default, because "
        "it is often the time of copying. Add it if your files have kept their original times.",
    )
    undated_min_confidence: float = Field(
        0.6,
        ge=0,
        le=1,
        description="A photo without a time joins an event of its folder if the probability that it belongs there is "
        "at least this, from 0 to 1. With 0.9, fewer scanned prints join an event, and fewer join a wrong one.",
    )
    title_words: tuple[str, ...] = Field(
        DEFAULT_TITLE_WORDS,
        description="The words that titles may use, each as it reads after 'a photo of', in the language of the model. "
        "With ['lighthouse', 'ferry'], the title of an event has the word that more of its photos show. "
        "With [], titles have only the place and the days.",
    )

    @field_validator("title_words")
    @classmethod
    def _words_say_something(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if any(not word.strip() for word in words):
            raise ValueError("one of the words is blank. Remove it, or write what the pictures show")
        return words
