"""Where a photograph was taken, by GPS, and which time zone that is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from PIL import ExifTags

_NULL_ISLAND_DEGREES: Final = 0.001
"""Nearer than about 100 m to 0° N 0° E is a receiver without a fix: there is nothing but a buoy."""
_ALTITUDE_RANGE_M: Final = (-11_000.0, 50_000.0)
"""From the deepest sea to the highest balloons."""


@dataclass(frozen=True, slots=True)
class Place:
    """Degrees in WGS 84, north and east positive; the altitude in metres above the sea."""

    latitude: float
    longitude: float
    altitude_m: float | None


def place_of_gps(gps: Mapping[int, object]) -> Place | None:
    """The place in a GPS directory; None if missing, out of range, of unknown hemisphere, or null island."""
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "N", "S", 90)
    longitude = _degrees(
        gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "E", "W", 180
    )
    if latitude is None or longitude is None:
        return None
    if max(abs(latitude), abs(longitude)) < _NULL_ISLAND_DEGREES:
        return None
    return Place(latitude, longitude, _altitude(gps))


def time_zone_at(place: Place) -> str | None:
    """The IANA name of the zone in which the place lies, at sea the nautical one."""
    from timezonefinder import timezone_at

    return timezone_at(lng=place.longitude, lat=place.latitude)


def _degrees(value: object, hemisphere: object, positive: str, negative: str, limit: int) -> float | None:
    """Degrees, minutes and seconds as signed degrees within ±`limit`."""
    letter = _letter(hemisphere)
    parts = value if isinstance(value, tuple) else (value,)
    if letter not in (positive, negative) or not 1 <= len(parts) <= 3:
        return None
    numbers = [_number(part) for part in parts]
    if any(number is None or number < 0 for number in numbers) or any(
        n is not None and n > 60 for n in numbers[1:]
    ):
        return None
    degrees = math.fsum(number / 60**power for power, number in enumerate(numbers) if number is not None)
    if degrees > limit:
        return None
    return -degrees if letter == negative else degrees


def _altitude(gps: Mapping[int, object]) -> float | None:
    altitude = _number(gps.get(ExifTags.GPS.GPSAltitude))
    if altitude is None:
        return None
    below = gps.get(ExifTags.GPS.GPSAltitudeRef) in (1, b"\x01")
    altitude = -altitude if below else altitude
    low, high = _ALTITUDE_RANGE_M
    return altitude if low <= altitude <= high else None


def _letter(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.strip("\0 ").upper()[:1] if isinstance(text, str) else ""


def _number(value: object) -> float | None:
    """A finite number; None for text, for nothing, and for a fraction whose denominator is zero."""
    if value is None or isinstance(value, (str, bytes)):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (ArithmeticError, TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
