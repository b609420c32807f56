"""Where a photo was taken, from its GPS data, and the time zone of that place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from PIL import ExifTags
from PIL.TiffImagePlugin import IFDRational

_NULL_ISLAND_DEGREES: Final = 0.001
"""A place within about 100 m of 0° N 0° E comes from a receiver without a fix: only a buoy is there."""
_ALTITUDE_RANGE_M: Final = (-11_000.0, 50_000.0)
"""From the deepest sea to the highest balloon flights."""
_BELOW: Final = (b"\x01", b"\x03")
"""The references of altitudes below the sea and below the ellipsoid. Some programs write them as text."""


@dataclass(frozen=True, slots=True)
class Place:
    """Degrees in WGS 84, north and east positive. The altitude is in metres above the sea."""

    latitude: float
    longitude: float
    altitude_m: float | None


def place_of_gps(gps: Mapping[int, object]) -> Place | None:
    """The place in a GPS directory. None if it is missing, out of range, without a hemisphere, or near 0° N 0° E."""
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "N", "S", 90)
    longitude = _degrees(
        gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "E", "W", 180
    )
    if latitude is None or longitude is None:
        return None
    return as_place(latitude, longitude, _altitude(gps))


def as_place(latitude: float, longitude: float, altitude_m: float | None) -> Place | None:
    """The place with these coordinates. None if they are out of range, or near 0° N 0° E.

    An altitude that is out of range is left out.
    """
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    if max(abs(latitude), abs(longitude)) < _NULL_ISLAND_DEGREES:
        return None
    low, high = _ALTITUDE_RANGE_M
    return Place(
        latitude, longitude, altitude_m if altitude_m is not None and low <= altitude_m <= high else None
    )


def has_fix(gps: Mapping[int, object]) -> bool:
    """Whether the receiver knew where it was. With the status V (void), it gives its last place, or a guess."""
    return _letter(gps.get(ExifTags.GPS.GPSStatus)) != "V"


def time_zone_at(place: Place) -> str | None:
    """The IANA name of the place's time zone. At sea it is the nautical zone."""
    from timezonefinder import timezone_at

    return timezone_at(lng=place.longitude, lat=place.latitude)


def _degrees(value: object, hemisphere: object, positive: str, negative: str, limit: int) -> float | None:
    """Degrees, minutes and seconds as signed degrees within ±`limit`.

    As in ExifTool, minutes and seconds may be 60 or more, and only the hemisphere gives the sign. Some programs write
    0/0 for seconds that they do not know: these count 0.
    """
    letter = _letter(hemisphere)
    parts = value if isinstance(value, tuple) else (value,)
    if letter not in (positive, negative) or not 1 <= len(parts) <= 3:
        return None
    numbers = [_number(part) for part in parts]
    if len(parts) == 3 and _is_nothing(parts[2]):
        numbers[2] = 0.0
    if None in numbers:
        return None
    degrees = abs(math.fsum(number / 60**power for power, number in enumerate(numbers) if number is not None))
    if degrees > limit:
        return None
    return -degrees if letter == negative else degrees


def _is_nothing(value: object) -> bool:
    """Whether this is the fraction 0/0."""
    return isinstance(value, IFDRational) and value.numerator == 0 and value.denominator == 0


def _altitude(gps: Mapping[int, object]) -> float | None:
    altitude = _number(gps.get(ExifTags.GPS.GPSAltitude))
    if altitude is None:
        return None
    reference = gps.get(ExifTags.GPS.GPSAltitudeRef)
    if isinstance(reference, int):
        reference = bytes((reference & 0xFF,))
    below = reference in _BELOW or _letter(reference) in ("1", "3")
    return -abs(altitude) if below else altitude


def _letter(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.strip("\0 ").upper()[:1] if isinstance(text, str) else ""


def _number(value: object) -> float | None:
    """The value as a finite number. None for text, for None, and for a fraction with a denominator of zero."""
    if value is None or isinstance(value, (str, bytes)):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (ArithmeticError, TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
