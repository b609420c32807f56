"""The rules of stacks: which photos of a folder belong to one shot or one burst, and which of them shows.

A wrong stack hides a photo behind another one, so a rule asks for more than one sign. docs/stacks.md lists them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from photolineage.catalog.vocabulary import StackRule
from photolineage.media.formats import RAW
from photolineage.media.perceptual_hash import differing_bits
from photolineage.stacks.names import ShotName, Version, read_name

SAME_TIME: Final = timedelta(seconds=2)
"""FAT and zip archives round times to this."""
BURST_PAUSE: Final = timedelta(seconds=1)
"""The longest time between two photos of a burst. Most cameras write whole seconds."""
ALIKE_BITS: Final = 12
"""Pictures whose hashes differ in at most so many of the 64 bits look alike (docs/stacks.md)."""
_QUARTER_HOUR: Final = timedelta(minutes=15)
_LARGEST_OFFSET: Final = timedelta(hours=14)


class StackFile(NamedTuple):
    """A registered file of one folder.

    `image_id`: the image that stands for its content, so the same for copies. `taken_at`: the camera's time in the
    file; None if only the name or the file system tells a time, or if the time of day is unknown.
    """

    image_id: int
    name: str
    format: str | None
    taken_at: datetime | None
    has_offset: bool
    camera: str | None
    perceptual_hash: int | None
    pixels: int
    quality: float
    is_damaged: bool


@dataclass(frozen=True, slots=True)
class Link:
    """Two images of one stack, and the rule that says so."""

    one: int
    other: int
    rule: StackRule


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an image that its stack does not show: the image that shows, and the rule that joins them."""

    shown: int
    rule: StackRule


_Named = tuple[StackFile, ShotName]
_Rank = tuple[bool, int, int, float, str, int]


def find_links(folder: Sequence[StackFile]) -> Iterator[Link]:
    """What the rules say about the files of one folder of one source."""
    named = [(file, read_name(file.name)) for file in folder]
    for group in _grouped(named, lambda one: one[1].shot):
        yield from _one_shot(group)
    for series in _grouped(named, _series):
        yield from _burst(series)


def rank(file: StackFile) -> _Rank:
    """What to sort the files of a stack by: the first one shows.

    Whole pictures before damaged ones, then edited copies, the covers of phones, other pictures, and RAW files; of
    these the one with the most pixels, then the sharpest.
    """
    version = read_name(file.name).version
    of_kind = Version.SOURCE + 1 if file.format == RAW and version != Version.EDITED else version
    return file.is_damaged, of_kind, -file.pixels, -file.quality, file.name, file.image_id


def assemble(links: Iterable[Link], ranks: Mapping[int, _Rank]) -> dict[int, Place]:
    """The places of the images that their stacks do not show. `ranks` has the lowest rank of each linked image."""
    leader: dict[int, int] = {}

    def find(image: int) -> int:
        while (above := leader.setdefault(image, image)) != image:
            leader[image] = leader[above]
            image = above
        return image

    rules: dict[int, dict[int, StackRule]] = defaultdict(dict)
    for link in links:
        if link.one != link.other:
            leader[find(link.one)] = find(link.other)
            for one, other in ((link.one, link.other), (link.other, link.one)):
                rules[one].setdefault(other, link.rule)
    stacks: dict[int, list[int]] = defaultdict(list)
    for image in leader:
        stacks[find(image)].append(image)
    places = {}
    for stack in stacks.values():
        shown = min(stack, key=ranks.__getitem__)
        for image in stack:
            if image != shown:
                places[image] = Place(
                    shown, rules[image].get(shown) or min(rules[image].values(), key=_ORDER.index)
                )
    return places


_ORDER: Final = tuple(StackRule)


def _grouped(named: Sequence[_Named], key: Callable[[_Named], object]) -> Iterator[list[_Named]]:
    """The groups of several files with the same key. Files with the key None are in no group."""
    groups: dict[object, list[_Named]] = defaultdict(list)
    for one in named:
        if (value := key(one)) is not None:
            groups[value].append(one)
    return (group for group in groups.values() if len(group) > 1)


def _one_shot(group: Sequence[_Named]) -> Iterator[Link]:
    """The links between files whose names say that they are of one shot."""
    in_rank = sorted(group, key=lambda one: rank(one[0]))
    originals = [one for one in in_rank if one[1].version != Version.EDITED]
    for position, one in enumerate(originals):
        for other in originals[position + 1 :]:
            if (rule := _shared_shot(one, other)) is not None:
                yield Link(one[0].image_id, other[0].image_id, rule)
    for edited, name in in_rank:
        if name.version == Version.EDITED:
            original = next((file for file, _ in originals if _is_one_shot(edited, file)), None)
            if original is not None:
                yield Link(edited.image_id, original.image_id, StackRule.EDITED)


def _shared_shot(one: _Named, other: _Named) -> StackRule | None:
    """The rule that joins two files with the same name of the shot, neither of them an edited copy."""
    (file, name), (file_2, name_2) = one, other
    if name.is_named_burst and name_2.is_named_burst:
        return StackRule.BURST if _may_be_one_camera(file, file_2) else None
    if name.is_named_shot and name_2.is_named_shot:  # the phone writes its RAW file seconds later
        return StackRule.SAME_SHOT if _may_be_one_camera(file, file_2) else None
    if file.format == file_2.format and file.format != RAW:
        return None
    if (file.format == RAW) != (file_2.format == RAW):
        return StackRule.SAME_SHOT if _is_one_shot(file, file_2) else None
    is_same = file.taken_at is not None and file_2.taken_at is not None and _is_one_shot(file, file_2)
    return StackRule.SAME_SHOT if is_same else None


def _is_one_shot(one: StackFile, other: StackFile) -> bool:
    """Whether the cameras and the times of two files agree. Without both times, the pictures must look alike."""
    if not _may_be_one_camera(one, other):
        return False
    is_same_time = have_same_time(one.taken_at, one.has_offset, other.taken_at, other.has_offset)
    return _look_alike(one, other) if is_same_time is None else is_same_time


def have_same_time(
    one: datetime | None, one_has_offset: bool, other: datetime | None, other_has_offset: bool
) -> bool | None:
    """Whether the camera's times of two files agree; None if one of them is unknown."""
    if one is None or other is None:
        return None
    apart = abs(one - other)
    if one_has_offset != other_has_offset and apart <= _LARGEST_OFFSET:
        # The zone of the source was assumed for one of them. Zones differ by quarters of an hour.
        apart = min(apart % _QUARTER_HOUR, -apart % _QUARTER_HOUR)
    return apart <= SAME_TIME


def _may_be_one_camera(one: StackFile, other: StackFile) -> bool:
    return one.camera is None or other.camera is None or one.camera.casefold() == other.camera.casefold()


def _look_alike(one: StackFile, other: StackFile) -> bool:
    if one.perceptual_hash is None or other.perceptual_hash is None:
        return False
    return differing_bits(one.perceptual_hash, other.perceptual_hash) <= ALIKE_BITS


def _series(one: _Named) -> object:
    """What the photos of a burst have in common; None for a file that can be in no burst."""
    file, name = one
    if name.counter is None or file.taken_at is None or file.camera is None:
        return None
    return name.series, file.camera, file.format


def _burst(series: Sequence[_Named]) -> Iterator[Link]:
    """The links between photos with consecutive numbers that look like the first of them, at most a pause apart."""
    in_order = sorted(series, key=lambda one: (one[1].counter or 0, one[0].image_id))
    first = in_order[0][0]
    for (file, name), (following, following_name) in pairwise(in_order):
        assert file.taken_at is not None
        assert following.taken_at is not None
        is_next = (following_name.counter or 0) - (name.counter or 0) == 1
        pause = following.taken_at - file.taken_at
        if (
            is_next
            and timedelta(0) <= pause <= BURST_PAUSE
            and _look_alike(file, following)
            and _look_alike(first, following)
        ):
            yield Link(file.image_id, following.image_id, StackRule.BURST)
        else:
            first = following
