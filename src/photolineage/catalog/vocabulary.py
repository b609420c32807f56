"""The closed vocabularies of the catalog, used by its code and by the code that reads media."""

from enum import StrEnum
from typing import Final


class TakenAtSource(StrEnum):
    """The source of the time at which an image was taken, the most trustworthy first.

    `sidecar`: a time in a file beside the image: one that somebody corrected, or the best if EXIF and GPS have none.
    `embedded`: a time in the file besides EXIF's,
    e.g. in its XMP, its IPTC block, the text of a PNG, or a note of the camera's maker.
    """

    SIDECAR = "sidecar"
    EXIF = "exif"
    GPS = "gps"
    EMBEDDED = "embedded"
    FILE_NAME = "file_name"
    FILE_TIME = "file_time"


class TakenAtPrecision(StrEnum):
    """How exactly the time at which an image was taken is known, the most exact first.

    A day is stored as its noon, a month or a year as the noon of its first day (local time).
    """

    SECOND = "second"
    MINUTE = "minute"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


TIMES_OF_DAY: Final = (TakenAtPrecision.SECOND, TakenAtPrecision.MINUTE)
"""The precisions with which an image can be put in order with others of its day."""


class UtcOffsetSource(StrEnum):
    """Where the offset from UTC of an image's time comes from, the most trustworthy first.

    `stated`: the file gives it with the time. `place`: the time zone of the image's GPS place. `same_time`: the file
    gives it with another time that reads the same, e.g. `OffsetTime` with a `DateTime` that equals `DateTimeOriginal`.
    """

    STATED = "stated"
    PLACE = "place"
    SAME_TIME = "same_time"


class WrittenField(StrEnum):
    """What somebody, or a program for them, wrote about an image.

    `rating`: -1 (rejected) to 5. `place`: the name of a place. `position`: latitude, longitude and maybe altitude.
    `time`: when the image was taken. `problem`: why what is written there cannot be read.
    """

    TITLE = "title"
    DESCRIPTION = "description"
    KEYWORD = "keyword"
    PERSON = "person"
    PLACE = "place"
    RATING = "rating"
    POSITION = "position"
    TIME = "time"
    PROBLEM = "problem"


class StackRule(StrEnum):
    """Why an image is in a stack (`photolineage.stacks.rules`).

    `edited`: an edited copy and its original. `same_shot`: one shot in several files, such as a RAW and its JPEG.
    `burst`: photos of one scene, a second apart at most.
    """

    EDITED = "edited"
    SAME_SHOT = "same_shot"
    BURST = "burst"


class FailureReason(StrEnum):
    """Why an original could not be read. `too_large` includes decompression bombs."""

    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    CORRUPT = "corrupt"
    TOO_LARGE = "too_large"
    VANISHED = "vanished"
    PERMISSION_DENIED = "permission_denied"
    UNREADABLE = "unreadable"


class Precision(StrEnum):
    """The number format in which a model's image embeddings are computed, under torch's name; the most exact first.

    In `int8`, the linear layers multiply 8-bit weights (with one scale per output) by 8-bit activations (with one scale
    per group of a token's activations; see `photolineage.models.openvino_encoder`). Everything else is float32.
    """

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


class ImageState(StrEnum):
    """`discovered`: new or changed on the disk, not read yet. `missing`: its file no longer exists."""

    DISCOVERED = "discovered"
    REGISTERED = "registered"
    FAILED = "failed"
    MISSING = "missing"


class JobState(StrEnum):
    """`interrupted`: a signal or the death of its process ended the job before its work was done."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class FileKind(StrEnum):
    """The content of a committed file of a shard."""

    PREVIEW = "preview"
    EMBEDDING = "embedding"
