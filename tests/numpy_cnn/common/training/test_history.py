"""The history of a run as CSV: always a header, then one row per epoch."""

import pytest

from numpy_cnn.common.training.history import COLUMNS, from_csv, to_csv


def test_a_history_without_an_epoch_has_a_header() -> None:
    content = to_csv(())
    assert content.decode().split() == [",".join(COLUMNS)]
    assert from_csv(content) == []


def test_rows_survive_the_file() -> None:
    rows = [dict.fromkeys(COLUMNS, 0.25) | {"epoch": number} for number in (1, 2)]
    assert from_csv(to_csv(rows)) == rows
    assert from_csv(to_csv(rows) + b"3,0.1", epochs=2) == rows  # truncated when the process ended


def test_a_row_without_a_header_is_reported_as_damage() -> None:
    with pytest.raises(ValueError, match="damaged; it has 0 of the 1 epochs"):
        from_csv(b"1,0,0,0,0,0,0\n", epochs=1)
