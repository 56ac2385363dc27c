"""Keeping freed memory in the process.

By default glibc returns freed memory to the system: blocks from 32 MiB on at once, smaller ones if the free space
at the end of the heap exceeds a threshold. Getting it back, page by page, takes longer than most ops: a training
step of `vgg` at batch size 64 spent half of its time there. The threshold is raised here to more than a training
step frees. The peak of the memory in use stays the same.

Source: mallopt(3).
"""

import ctypes
import sys

# Parameters of mallopt, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MMAP_MOST = 32 << 20  # glibc accepts no more
KEPT = 1 << 30


def keep_freed_memory() -> None:
    """Let glibc keep up to `KEPT` bytes of freed memory for reuse."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MMAP_MOST)
        mallopt(M_TRIM_THRESHOLD, KEPT)
