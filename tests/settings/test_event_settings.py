"""The settings of events have descriptions and are set in the configuration."""

from pathlib import Path

import pytest

from photolineage.settings import ConfigurationError, load_settings
from photolineage.settings.events import EventSettings
from photolineage.settings.title_words import DEFAULT_TITLE_WORDS

UNITS = {
    "hours": "hour",
    "days": "day",
    "km": "kilometre",
}


@pytest.mark.parametrize("name", EventSettings.model_fields)
def test_each_setting_has_a_description(name: str) -> None:
    description = EventSettings.model_fields[name].description or ""
    assert len(description) > 30
    assert description.endswith(".")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        (name, unit)
        for name in EventSettings.model_fields
        if (unit := UNITS.get(name.rsplit("_", maxsplit=1)[-1]))
    ],
)
def test_a_description_names_the_unit(name: str, unit: str) -> None:
    assert unit in (EventSettings.model_fields[name].description or "").lower()


def configured(folder: Path, events: str) -> EventSettings:
    config = folder / "photolineage.toml"
    config.write_text(f"home = 'home'\n[events]\n{events}\n")
    return load_settings(config).events


def test_events_and_title_words_are_set_in_the_configuration(tmp_path: Path) -> None:
    found = configured(tmp_path, "trip_gap_hours = 80\ntitle_words = ['lighthouse', 'ferry']")
    assert found.trip_gap_hours == 80.0
    assert found.title_words == ("lighthouse", "ferry")
    assert configured(tmp_path, "").title_words == DEFAULT_TITLE_WORDS


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ("title_words = ['lighthouse', ' ']", "one of the words is blank"),
        ("event_gap_hours = 0", "events.event_gap_hours = 0"),
        ("trusted_time_sources = ['exiff']", "events.trusted_time_sources.0 = 'exiff'"),
        ("looks_weight = 3", "events.looks_weight"),
    ],
)
def test_the_error_names_the_wrong_setting(tmp_path: Path, events: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        configured(tmp_path, events)
