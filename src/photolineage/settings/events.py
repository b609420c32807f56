"""What a person can set about events: how long a pause ends one, what a trip is, which times count, and the titles.

The weights of the evidence are no settings. They stand beside the code that uses them, in `photolineage.events`.
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
        description="The most days that an event lasts. A longer one, such as a journey of two months, is cut at its "
        "longest pauses.",
    )
    away_km: float = Field(
        40.0,
        gt=0,
        description="Kilometres from home, and from every other place where you often take photos, from which you are "
        "on a trip. With 100, a day in a town 60 km away is no trip.",
    )
    trip_gap_hours: float = Field(
        60.0,
        ge=0,
        description="Hours without a photo that a trip survives. With 60, a trip goes on after two rainy days without "
        "a photo. With 0, each outing of a trip is an event of its own.",
    )
    trusted_time_sources: tuple[TakenAtSource, ...] = Field(
        (TakenAtSource.EXIF, TakenAtSource.GPS, TakenAtSource.FILE_NAME),
        description="Where a photo's time may come from. The time of the file is left out because it is often the time "
        "of copying; add `file_time` if your files have kept theirs.",
    )
    undated_min_confidence: float = Field(
        0.6,
        ge=0,
        le=1,
        description="How sure it must be, from 0 to 1, that a photo without a time belongs to an event of its folder. "
        "With 0.9, fewer scanned prints join an event, and fewer join a wrong one.",
    )
    title_words: tuple[str, ...] = Field(
        DEFAULT_TITLE_WORDS,
        description="The words that titles may use, each as it reads after 'a photo of', in the language of the model. "
        "With ['lighthouse', 'ferry'], an event is titled by the one that its photos show more of. "
        "With [], titles are made of place and days alone.",
    )

    @field_validator("title_words")
    @classmethod
    def _words_say_something(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if any(not word.strip() for word in words):
            raise ValueError("one of the words is blank: remove it, or say what the pictures show")
        return words
