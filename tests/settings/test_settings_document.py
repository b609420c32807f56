"""docs/settings.md agrees with the settings."""

from pathlib import Path

from tests.settings.settings_document import SECTIONS, settings_document

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == settings_document(), (
        "run `python -m tests.settings.settings_document > docs/settings.md`"
    )


def test_every_setting_has_a_description() -> None:
    sections = {
        "sources",
        "models",
        "catalog",
        "comparison",
        "decoding",
        "alerts",
        "events",
        "config_file",
    } | {"verification"}
    silent = {
        name for _, model in SECTIONS for name, field in model.model_fields.items() if not field.description
    }
    assert silent <= sections
