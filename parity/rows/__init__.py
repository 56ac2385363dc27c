"""What is compared with what: one row per op, one file per family."""
