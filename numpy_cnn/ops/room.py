"""Memory that does not have to be fetched anew."""

import numpy as np

# At first the C library gives freed memory back to the system, and getting it again, page by page, takes longer
# than most ops do. How much it keeps instead follows the largest block that was ever freed, up to 32 MiB
# (mallopt(3), M_MMAP_THRESHOLD). This block is freed at once, and never touched, so it never takes room.
np.empty(31 << 20, np.uint8)
