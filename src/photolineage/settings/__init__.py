"""The configuration: where it is found, its sections, and the messages about wrong values."""

from photolineage.settings.load import Settings, load_settings
from photolineage.settings.locate import (
    BUILT_IN,
    CONFIG_VARIABLE,
    ConfigurationError,
    UntrustedConfigurationError,
    default_home,
    demo_config_file,
    find_config_file,
    trust,
    user_folder,
)
from photolineage.settings.sections import (
    AlertSettings,
    CatalogSettings,
    ComparisonSettings,
    DecodingSettings,
    ModelSettings,
    SourceSettings,
    VerificationSettings,
)

__all__ = [
    "BUILT_IN",
    "CONFIG_VARIABLE",
    "AlertSettings",
    "CatalogSettings",
    "ComparisonSettings",
    "ConfigurationError",
    "DecodingSettings",
    "ModelSettings",
    "Settings",
    "SourceSettings",
    "UntrustedConfigurationError",
    "VerificationSettings",
    "default_home",
    "demo_config_file",
    "find_config_file",
    "load_settings",
    "trust",
    "user_folder",
]
