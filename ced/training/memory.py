"""How much memory is free for examples."""

import os
from pathlib import Path

import torch

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def free(device: torch.device) -> int:
    """Bytes that are free where `device` computes; on CPU also within the limits of a container."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(_of_machine(_MEMINFO), _of_group(_GROUP))


def _of_machine(meminfo: Path) -> int:
    """What programs could still get; half of all where the system does not say."""
    try:
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _of_group(group: Path) -> int:
    """What the container may still take; its cached files count as taken."""
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # not in a container, or no limit: "max"
        return 1 << 62
