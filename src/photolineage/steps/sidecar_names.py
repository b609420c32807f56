"""Which sidecars belong to which image of a folder, going by their names alone."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from photolineage.media.sidecars import JSON_SUFFIX, XMP_SUFFIX

READ: Final = (XMP_SUFFIX, JSON_SUFFIX)
EDITS: Final = ".aae"
MOVIE: Final = ".mov"
BESIDE: Final = frozenset((*READ, EDITS, MOVIE))
"""The suffixes of the files that may belong to an image beside them."""
KIND_OF_EDITS: Final = "Apple's edits (.aae)"
KIND_OF_LIVE_PHOTOS: Final = "live photos (.mov)"
_WITH_MOVIES: Final = frozenset((".heic", ".heif", ".jpeg", ".jpg"))

MOST_SIDECARS: Final = 8
"""The sidecars of one image. More are left out."""

_METADATA: Final = "supplemental-metadata"
_TAKEOUT_LETTERS: Final = 46
"""Takeout cuts the name of a sidecar, without its suffix and its number, after so many letters."""
_NUMBER: Final = re.compile(r"\(\d{1,6}\)$")
_EDITED: Final = (
    "-edited",
    "-bearbeitet",
    "-modifié",
    "-edité",
    "-editado",
    "-editada",
    "-modificato",
    "-bewerkt",
    "-edytowane",
    "-redigerad",
    "-redigert",
    "-redigeret",
    "-muokattu",
    "-upraveno",
    "-düzenlendi",
    "-изменено",
    "-編集済み",
    "-수정됨",
)
"""How Takeout names the edited copy of an image, in several languages. The sidecar is that of the original."""


def sidecars_of(images: Sequence[str], beside: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """The sidecars of each image of a folder that has any, the most trustworthy first.

    `IMG.jpg.xmp` belongs to IMG.jpg, and `IMG.xmp` to every image with that name before its suffix. For Takeout's JSON,
    see `_Takeout`. Letters are compared without their case.
    """
    found: dict[str, list[str]] = defaultdict(list)
    xmp = [name for name in beside if name.lower().endswith(XMP_SUFFIX)]
    takeout = [name for name in beside if name.lower().endswith(JSON_SUFFIX)]
    if xmp:
        full, stems = _by(images, str.lower), _by(images, lambda name: _stem(name).lower())
        bases = [(name, name[: -len(XMP_SUFFIX)].lower()) for name in sorted(xmp)]
        for name, base in bases:
            for image in _same_case_first(full.get(base, ()), name):
                found[image].append(name)
        for name, base in bases:
            if base not in full:
                for image in stems.get(base, ()):
                    found[image].append(name)
    if takeout:
        names = _Takeout(images)
        for name in sorted(takeout):
            for image in names.owners(name[: -len(JSON_SUFFIX)]):
                found[image].append(name)
    return {image: names[:MOST_SIDECARS] for image, names in found.items()}


def live_photos(images: Iterable[str], movies: Collection[str]) -> set[str]:
    """The movies that belong to a photo of the same name."""
    stems = {_stem(name).lower() for name in images if _suffix(name).lower() in _WITH_MOVIES}
    return {name for name in movies if _stem(name).lower() in stems}


class _Takeout:
    """The images of a folder, by the names that Google Takeout may give to their sidecars.

    The sidecar of `IMG.jpg` is `IMG.jpg.json`, or `IMG.jpg.supplemental-metadata.json`, cut after 46 letters or at any
    place behind the image's name. The number of `IMG(1).jpg` comes last: `IMG.jpg(1).json`. A copy such as
    `IMG-edited.jpg` has the sidecar of IMG.jpg.
    """

    def __init__(self, images: Sequence[str]) -> None:
        self._named: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._stems: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._exact: dict[str, list[str]] = defaultdict(list)
        for image in images:
            stem, suffix = _stem(image).lower(), _suffix(image).lower()
            self._exact[image.lower()].append(image)
            number = _number(stem)
            stem = _without_edited(stem[: len(stem) - len(number)])
            if not number:  # Takeout writes IMG(1)-edited.jpg, too
                number = _number(stem)
                stem = stem[: len(stem) - len(number)]
            self._named[f"{stem}{suffix}", number].append(image)
            self._stems[stem, number].append(image)
        self._sorted = sorted(self._named)

    def owners(self, base: str) -> Sequence[str]:
        """The images to which a sidecar belongs. `base` is its name without the suffix."""
        base = base.lower()
        number = _number(base)
        return (
            self._of_name(base, "")
            or (self._of_name(base[: len(base) - len(number)], number) if number else ())
            or self._stems.get((base[: len(base) - len(number)], number), ())
        )

    def _of_name(self, base: str, number: str) -> Sequence[str]:
        if not number and base in self._exact:
            return [*self._exact[base], *self._edited_copies(base)]
        if (base, number) in self._named:
            return self._named[base, number]
        name, dot, rest = base.rpartition(".")
        if dot and _METADATA.startswith(rest):
            if not number and name in self._exact:
                return [*self._exact[name], *self._edited_copies(name)]
            if (name, number) in self._named:
                return self._named[name, number]
        return self._cut_off(base, number) if _is_cut(base) else ()

    def _edited_copies(self, name: str) -> list[str]:
        """The edited copies of the image with this name."""
        number = _number(_stem(name))
        key = f"{_stem(name)[: len(_stem(name)) - len(number)]}{_suffix(name)}", number
        return [image for image in self._named.get(key, ()) if image.lower() != name]

    def _cut_off(self, base: str, number: str) -> Sequence[str]:
        """The images whose names begin like this. None if several do: nobody knows which one is meant."""
        begin = bisect_left(self._sorted, (base, ""))
        found: list[list[str]] = []
        for name, its_number in self._sorted[begin:]:
            if not name.startswith(base) or len(found) > 1:
                break
            if its_number == number:
                found.append(self._named[name, number])
        return found[0] if len(found) == 1 else ()


def _is_cut(base: str) -> bool:
    """Whether Takeout may have cut this name. It counts letters as Java does, or bytes."""
    in_java = len(base.encode("utf-16-le", "surrogatepass")) // 2
    in_bytes = len(base.encode("utf-8", "surrogatepass"))
    return max(in_java, in_bytes) >= _TAKEOUT_LETTERS - 1


def _without_edited(stem: str) -> str:
    """The name of the original. The mark of a copy with a long name may be cut, too."""
    for mark in _EDITED:
        if stem.endswith(mark):
            return stem[: -len(mark)]
    start, dash, rest = stem.rpartition("-")
    is_cut = dash and rest and _is_cut(stem) and any(mark.startswith(f"-{rest}") for mark in _EDITED)
    return start if is_cut else stem


def _number(text: str) -> str:
    """A number such as "(1)" at the end, or an empty text."""
    match = _NUMBER.search(text)
    return match.group() if match else ""


def _stem(name: str) -> str:
    return name[: name.rfind(".")] if "." in name else name


def _suffix(name: str) -> str:
    return name[name.rfind(".") :] if "." in name else ""


def _by(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[key(name)].append(name)
    return found


def _same_case_first(images: Sequence[str], sidecar: str) -> Sequence[str]:
    """The image whose name is written as in the sidecar's; if there is none, all of them."""
    exact = [image for image in images if sidecar.startswith(f"{image}.")]
    return exact or images
