"""Compares what Photolineage reads from photos with what ExifTool reads, file by file.

    python -m benchmarks.metadata DIR [--json]

It compares the time, its offset from UTC, the place, the altitude, the orientation, the size and the camera. ExifTool
shows values as they are written. Where Photolineage leaves out or corrects one, the reason is given, and the difference
counts as explained. It needs `exiftool`, e.g. from the package libimage-exiftool-perl.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from photolineage.media import OriginalImage, TakenAtSource, UnreadableImageError, read_original
from photolineage.media.capture_time import EARLIEST

Facts = dict[str, Any]

GROUPS = ("File", "IFD0", "ExifIFD", "GPS", "PNG", "RIFF", "Meta", "QuickTime")
TIMES = ("DateTimeOriginal", "CreateDate", "ModifyDate")
OFFSETS = {
    "DateTimeOriginal": "OffsetTimeOriginal",
    "CreateDate": "OffsetTimeDigitized",
    "ModifyDate": "OffsetTime",
}
_FULL_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_RESET_DAYS = ("1969:12:31", "1970:01:01", "1980:01:01")
_NULL_ISLAND = 0.001


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that differs. `reason`: why Photolineage differs on purpose; empty if it does not."""

    file: str
    fact: str
    exiftool: str
    photolineage: str
    reason: str


def read_with_exiftool(folder: Path) -> dict[str, Facts]:
    """The tags of every file in a folder, by its path; of tags with one name, the first in the order of `GROUPS`."""
    tags = [
        *TIMES,
        *OFFSETS.values(),
        "Orientation",
        "Rotation",
        "Make",
        "Model",
        "ImageWidth",
        "ImageHeight",
    ]
    composite = ["GPSLatitude", "GPSLongitude", "GPSAltitude"]
    command = [
        "exiftool",
        "-j",
        "-n",
        "-r",
        "-q",
        "-q",
        "-G1",
        "-a",
        "-FileType",
        "-GPSStatus",
        "-GPSDateStamp",
    ]
    command += [
        f"-{tag}" for tag in (*tags, "GPSLatitude", "GPSLongitude", "GPSLatitudeRef", "GPSLongitudeRef")
    ]
    command += [f"-Composite:{tag}" for tag in composite]
    found = subprocess.run([*command, str(folder)], capture_output=True, check=False)
    files = json.loads(found.stdout or "[]")
    return {row["SourceFile"]: _by_name(row) for row in files}


def _by_name(row: Facts) -> Facts:
    facts: Facts = {}
    for group in (*GROUPS, "Composite"):
        for key, value in row.items():
            if key.startswith(f"{group}:"):
                name = f"Composite {key.split(':')[1]}" if group == "Composite" else key.split(":")[1]
                facts.setdefault(name, value)
    return facts


def differences(name: str, theirs: Facts, ours: OriginalImage) -> Iterator[Difference]:
    """The facts that differ."""
    for fact, (expected, found, reason) in {
        "time": _times(theirs, ours),
        "offset": _offsets(theirs, ours),
        "place": _places(theirs, ours),
        "altitude": _altitudes(theirs, ours),
        "orientation": _orientations(theirs, ours),
        "size": _sizes(theirs, ours),
        "camera": _cameras(theirs, ours),
    }.items():
        if expected != found:
            yield Difference(name, fact, expected, found, reason)


Compared = tuple[str, str, str]


def _times(theirs: Facts, ours: OriginalImage) -> Compared:
    """The time as the camera's clock showed it."""
    written = [
        str(theirs.get(tag, "")).replace(": ", ":0") for tag in TIMES
    ]  # some programs write " 8" for "08"
    shown = next(filter(_FULL_TIME.match, written), "")
    expected = shown[:19]
    reason = ""
    if shown[11:13] == "24":
        reason = "phones that count the hours from 1 to 24 write 24 for the first one of the same day"
    elif shown[17:19] == "60":
        reason = "the second 60 is the first one of the next minute"
    elif shown[:10] in _RESET_DAYS:
        reason = "a clock that lost its battery shows this day"
    elif expected and (shown[:4] < str(EARLIEST.year) or not _is_date(shown)):
        reason = "the date is impossible"
        expected = "" if ours.taken_at_source is not TakenAtSource.EXIF else expected
    if ours.taken_at_source is not TakenAtSource.EXIF:
        return expected, "", reason or "the camera's clock is ahead of this computer's"
    local = ours.taken_at + timedelta(minutes=ours.utc_offset_minutes or 0)
    if ours.taken_at_precision == "second":
        found = f"{local:%Y:%m:%d %H:%M:%S}"
    else:
        found, reason = f"{local:%Y:%m:%d} ({ours.taken_at_precision})", "only a part of the date is written"
    return expected, found, reason


def _is_date(shown: str) -> bool:
    fields = [int(field) for field in _FULL_TIME.match(shown).groups()]  # type: ignore[union-attr]
    return 1 <= fields[1] <= 12 and 1 <= fields[2] <= 31 and fields[3] < 24 and fields[4] < 60


def _offsets(theirs: Facts, ours: OriginalImage) -> Compared:
    """The offset that is written with the time. One that comes from the place is not in the file."""
    tag = next((tag for tag in TIMES if _FULL_TIME.match(str(theirs.get(tag, "")))), "")
    written = re.fullmatch(r"([+-])(\d\d):(\d\d)", str(theirs.get(OFFSETS.get(tag, ""), "")).strip())
    if written is None or ours.taken_at_source is not TakenAtSource.EXIF:
        return "", "", ""
    minutes = int(written[2]) * 60 + int(written[3])
    expected = -minutes if written[1] == "-" else minutes
    reason = "an offset of more than 14 hours is impossible" if minutes > 14 * 60 else ""
    if expected == 0 and ours.utc_offset_source == "place":
        reason = "a time in UTC gets the offset of its place"
    return str(expected), str(ours.utc_offset_minutes), reason


def _places(theirs: Facts, ours: OriginalImage) -> Compared:
    latitude, longitude = theirs.get("Composite GPSLatitude"), theirs.get("Composite GPSLongitude")
    is_known = isinstance(latitude, (int, float)) and isinstance(longitude, (int, float))
    expected = f"{latitude:.5f} {longitude:.5f}" if is_known else ""
    found = "" if ours.latitude is None else f"{ours.latitude:.5f} {ours.longitude:.5f}"
    reason = ""
    if is_known and max(abs(latitude), abs(longitude)) < _NULL_ISLAND:  # type: ignore[arg-type]
        reason = "0° N 0° E comes from a receiver without a fix"
    elif str(theirs.get("GPSStatus", "")).startswith("V"):
        reason = "the receiver says that it has no fix"
    elif is_known and (abs(latitude) > 90 or abs(longitude) > 180):  # type: ignore[arg-type]
        reason = "there is no such place"
    elif not is_known and ours.latitude is not None:
        reason = "seconds of 0/0 count 0"
    elif not {"GPSLatitudeRef", "GPSLongitudeRef"} <= theirs.keys():
        reason = "the hemisphere is missing"
    return expected, found, reason


def _altitudes(theirs: Facts, ours: OriginalImage) -> Compared:
    altitude = theirs.get("Composite GPSAltitude")
    if not isinstance(altitude, (int, float)) or ours.latitude is None:
        return "", "", ""
    reason = "" if -11_000 <= altitude <= 50_000 else "no photo is taken at this altitude"
    found = "" if ours.altitude_m is None else f"{ours.altitude_m:.1f}"
    return f"{altitude:.1f}", found, reason


def _orientations(theirs: Facts, ours: OriginalImage) -> Compared:
    written = theirs.get("Orientation", 1)
    is_valid = isinstance(written, int) and 1 <= written <= 8
    return str(written), str(ours.orientation), "" if is_valid else "only 1 to 8 mean something"


def _sizes(theirs: Facts, ours: OriginalImage) -> Compared:
    size = (theirs.get("ImageWidth", 0), theirs.get("ImageHeight", 0))
    turned = (
        theirs.get("Rotation") in (90, 270)
        if "Rotation" in theirs
        else theirs.get("Orientation", 1) in (5, 6, 7, 8)
    )
    if turned:
        size = size[::-1]
    return f"{size[0]} × {size[1]}", f"{ours.width} × {ours.height}", ""


def _cameras(theirs: Facts, ours: OriginalImage) -> Compared:
    """Whether the model is in the camera's name. Its make may be left out."""
    make, model = (" ".join(str(theirs.get(tag, "")).split()) for tag in ("Make", "Model"))
    camera = ours.camera or ""
    return (camera, camera, "") if (model or make)[:100] in camera else (f"{make} {model}", camera, "")


def measure(folder: Path) -> Facts:
    """All differences of the photos in a folder."""
    files, found, unreadable = read_with_exiftool(folder), list[Difference](), list[str]()
    for path, theirs in track(files.items(), "Reading photos", console=Console(stderr=True)):
        name = str(Path(path).relative_to(folder))
        try:
            found += differences(name, theirs, read_original(path))
        except UnreadableImageError as error:
            unreadable.append(f"{name}: {error}")
    ours = [asdict(difference) for difference in found if not difference.reason]
    explained = [asdict(difference) for difference in found if difference.reason]
    return {
        "files": len(files),
        "disagreements": len(ours),
        "differences": ours,
        "explained": explained,
        "unreadable": unreadable,
    }


def main(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Compare the photos in DIR, also in its folders."""
    if shutil.which("exiftool") is None:
        raise typer.BadParameter(
            "exiftool is not installed. Install it, e.g. apt install libimage-exiftool-perl"
        )
    figures = measure(folder)
    if as_json:
        print(json.dumps(figures, indent=2, ensure_ascii=False))
        return
    table = Table("file", "fact", "ExifTool", "Photolineage", "reason")
    for row in (*figures["differences"], *figures["explained"]):
        table.add_row(*row.values())
    console = Console()
    console.print(table)
    console.print(f"{figures['files']} files, {figures['disagreements']} disagreements without a reason")


if __name__ == "__main__":
    typer.run(main)
