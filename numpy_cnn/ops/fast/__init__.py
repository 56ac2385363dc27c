"""How windows become matrix products: geometry, patches, rows, blocking, scratch buffers, bit masks."""
