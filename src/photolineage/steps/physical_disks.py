"""Which physical disks a file is on: a copy in another partition of the same disk is lost with the disk."""

import os
from pathlib import Path
from typing import Final

import psutil

SYSTEM: Final = Path("/sys")


def physical_disks(path: str, *, system: Path = SYSTEM) -> frozenset[str]:
    """The names of the disks that hold a file or folder. Linux only: elsewhere, and for network disks, its file system.

    Partitions, encrypted and logical volumes are traced to their disks. Raises OSError if there is no such file.
    """
    device = os.stat(path).st_dev
    block = system / "dev/block" / f"{os.major(device)}:{os.minor(device)}"
    if not block.exists():  # btrfs and others have a number of their own for each volume
        block = system / "class/block" / Path(_mounted_device(path)).name
    return _disks_below(block.resolve()) if block.exists() else frozenset({f"file system {device}"})


def _mounted_device(path: str) -> str:
    real = os.path.realpath(path)
    mounted = [
        (len(mount.mountpoint), os.path.realpath(mount.device))
        for mount in psutil.disk_partitions(all=True)
        if mount.device.startswith("/dev/")
        and os.path.commonpath([real, mount.mountpoint]) == mount.mountpoint
        and os.stat(mount.mountpoint).st_dev == os.stat(path).st_dev
    ]
    return max(mounted, default=(0, "no device"))[1]


def _disks_below(block: Path) -> frozenset[str]:
    slaves = list((block / "slaves").iterdir()) if (block / "slaves").is_dir() else []
    if slaves:
        return frozenset().union(*(_disks_below(slave.resolve()) for slave in slaves))
    return frozenset({block.parent.name if (block / "partition").exists() else block.name})
