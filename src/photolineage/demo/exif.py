"""The EXIF block that a camera of the demo writes."""

from datetime import timedelta
from fractions import Fraction
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from photolineage.demo.plan import Shot


def exif_of(shot: Shot) -> Image.Exif:
    """The EXIF of a shot: camera, orientation and time, and the offset and the place if its camera writes them."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = shot.camera.make
    exif[ExifTags.Base.Model] = shot.camera.model
    exif[ExifTags.Base.Orientation] = shot.orientation
    exif.get_ifd(ExifTags.IFD.Exif).update(_time_tags(shot))
    if shot.camera.writes_place:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(_gps_tags(shot))
    return exif


def _time_tags(shot: Shot) -> dict[int, Any]:
    tags: dict[int, Any] = {
        ExifTags.Base.DateTimeOriginal: f"{shot.clock:%Y:%m:%d %H:%M:%S}",
        ExifTags.Base.SubsecTimeOriginal: f"{shot.clock.microsecond // 1000:03d}",
    }
    offset = shot.clock.utcoffset()
    if shot.camera.writes_offset and offset is not None:
        minutes = abs(offset) // timedelta(minutes=1)
        sign = "-" if offset < timedelta() else "+"
        tags[ExifTags.Base.OffsetTimeOriginal] = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    return tags


def _gps_tags(shot: Shot) -> dict[int, Any]:
    latitude, longitude, taken_at = shot.truth.latitude, shot.truth.longitude, shot.truth.taken_at
    assert latitude is not None
    assert longitude is not None
    return {
        ExifTags.GPS.GPSLatitudeRef: "N" if latitude >= 0 else "S",
        ExifTags.GPS.GPSLatitude: _sexagesimal(latitude),
        ExifTags.GPS.GPSLongitudeRef: "E" if longitude >= 0 else "W",
        ExifTags.GPS.GPSLongitude: _sexagesimal(longitude),
        ExifTags.GPS.GPSDateStamp: f"{taken_at:%Y:%m:%d}",
        ExifTags.GPS.GPSTimeStamp: (taken_at.hour, taken_at.minute, taken_at.second),
    }


def _sexagesimal(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Degrees, minutes and seconds of the absolute value, exact to 1e-6 degrees."""
    millionths = round(abs(degrees) * 1_000_000)
    whole, rest = divmod(millionths, 1_000_000)
    minutes, rest = divmod(rest * 60, 1_000_000)
    seconds = Fraction(rest * 60, 1_000_000)
    return IFDRational(whole), IFDRational(minutes), IFDRational(seconds.numerator, seconds.denominator)
