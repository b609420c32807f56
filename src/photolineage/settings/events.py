"""The parameters of event clustering, each with its unit and its reason."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from photolineage.settings.title_words import DEFAULT_TITLE_WORDS


class EventSettings(BaseModel):
    """How images become events. The defaults are those that `benchmarks.events` favours on its tuning seeds.

    Evidence for a boundary is counted in nats of log-odds. Each kind of evidence is zero at its neutral point, so
    that a kind which is not known (no GPS, no embedding) counts for nothing, and a boundary is drawn where the sum
    exceeds 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trusted_time_sources: tuple[str, ...] = Field(
        ("exif", "gps", "file_name"),
        description="Sources of `taken_at` that are believed; a file's own time tells when it was copied.",
    )
    quiet_gap_hours: float = Field(
        72.0,
        gt=0,
        description="Hours without any image after which nothing reaches across: what lies between two such gaps is "
        "clustered by itself, so that new images cause work only there.",
    )
    max_event_days: float = Field(
        35.0, gt=0, description="Days that an event may span; a longer one is cut at its longest pause."
    )

    burst_seconds: float = Field(
        4.0,
        ge=0,
        description="Seconds between two releases of one burst; a burst counts once in all statistics.",
    )
    near_duplicate_seconds: float = Field(
        90.0, ge=0, description="Seconds within which a near-duplicate is a repeated take of one picture."
    )
    near_duplicate_likeness: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the way from a usual neighbour's cosine to 1 from which two images are near-duplicates.",
    )

    session_gap_minutes: float = Field(
        20.0, gt=0, description="Minutes without an image that no boundary is looked for below."
    )
    gap_neutral_hours: float = Field(
        1.1, gt=0, description="Hours of pause that speak neither for nor against a boundary."
    )
    gap_weight: float = Field(
        5.0, ge=0, description="Nats for each e-fold of the pause over the neutral pause."
    )
    gap_most_nats: float = Field(
        4.0,
        gt=0,
        description="Nats that a pause tells at most: beyond some hours, place and looks have to decide.",
    )
    local_window: int = Field(
        10, ge=1, description="Gaps on either side that make the local mean of log gaps (d = 10 in PhotoTOC)."
    )
    local_ratio: float = Field(
        17.0,
        gt=1,
        description="A pause this many times the local geometric mean is neutral (K = ln 17 in PhotoTOC).",
    )
    local_weight: float = Field(
        0.15, ge=0, description="Nats for each e-fold of the pause over that multiple."
    )
    night_weight: float = Field(
        0.3,
        ge=0,
        description="Nats for a pause that contains four o'clock at night, local time: most outings end.",
    )
    place_neutral_km: float = Field(
        0.15, gt=0, description="Kilometres between both sides that speak neither for nor against a boundary."
    )
    place_weight: float = Field(
        0.3, ge=0, description="Nats for each e-fold of the distance over the neutral one."
    )
    company_weight: float = Field(
        1.0,
        ge=0,
        description="Nats for each camera beyond two on both sides of a pause: a large company meets for one occasion.",
    )
    looks_neutral: float = Field(
        0.0,
        description="Likeness across the pause (0: as of strangers, 1: as of neighbours) that speaks neither way, "
        "where each side is as alike as neighbours are.",
    )
    looks_variety_share: float = Field(
        0.4,
        ge=0,
        description="Likeness by which that is lower for each unit by which the sides vary more than neighbours.",
    )
    looks_familiar_share: float = Field(
        0.5,
        ge=0,
        description="Likeness by which that is higher for each unit that scenes of the library are alike by chance.",
    )
    looks_weight: float = Field(
        15.0, ge=0, description="Nats for each unit of likeness below the neutral likeness."
    )
    looks_sample: int = Field(
        64,
        ge=1,
        description="Shots of a session, spread evenly, whose looks are compared: enough for a steady mean.",
    )

    usual_cell_degrees: float = Field(
        0.1,
        gt=0,
        description="Degrees of the grid on which usual places (home, work) are found: about 10 km.",
    )
    usual_min_share: float = Field(
        0.15,
        gt=0,
        le=1,
        description="Share of the weeks with located images that a usual place has images in.",
    )
    usual_min_span_days: float = Field(
        28.0, gt=0, description="Days from the first to the last image of a usual place: longer than a stay."
    )
    away_km: float = Field(
        40.0, gt=0, description="Kilometres from every usual place from which one is travelling."
    )
    trip_gap_hours: float = Field(
        60.0, ge=0, description="Hours without an image that a trip survives: a day of rest, or of rain."
    )

    clock_search_hours: float = Field(
        36.0,
        gt=0,
        description="Hours by which a clock may be wrong and still be noticed: a wrong zone, half of the day or day.",
    )
    clock_min_offset_minutes: float = Field(
        5.0,
        gt=0,
        description="Minutes of clock error below which no event changes, so that it is left alone.",
    )
    clock_min_scenes: int = Field(
        5, ge=2, description="Common scenes, at different times, that must agree on one clock error."
    )
    clock_min_strength: float = Field(
        5.0, gt=0, description="Standard errors by which the likeness at the clock error exceeds chance."
    )

    undated_neutral: float = Field(
        0.4, description="Likeness to an event's nearest images that speaks neither for nor against it."
    )
    undated_weight: float = Field(12.0, gt=0, description="Nats for each unit of likeness above that.")
    undated_min_confidence: float = Field(
        0.6, ge=0, le=1, description="Probability from which an undated image joins the event of its folder."
    )

    title_words: tuple[str, ...] = Field(
        DEFAULT_TITLE_WORDS,
        description="Words that a title's subject is chosen from, each as it reads after 'a photo of'; none for titles "
        "of place and days alone.",
    )

    @field_validator("title_words")
    @classmethod
    def _words_say_something(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if any(not word.strip() for word in words):
            raise ValueError("one of the words is blank: remove it, or say what the pictures show")
        return words

    @model_validator(mode="after")
    def _a_trip_ends_within_its_segment(self) -> Self:
        if self.trip_gap_hours >= self.quiet_gap_hours:
            raise ValueError(
                f"trip_gap_hours = {self.trip_gap_hours} is not below quiet_gap_hours = {self.quiet_gap_hours}: a trip "
                "would reach across a gap that nothing may reach across; lower the one or raise the other"
            )
        return self
