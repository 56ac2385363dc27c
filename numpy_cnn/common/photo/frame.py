"""Crop a plain frame around the page, such as the black border of a scan."""

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float64]

_SAME = 20.0  # grey levels: within the frame
_OTHER = 40.0  # between the frame and the page
_LINE = 0.97  # of a row or column of the frame that must have its grey
_EDGE = 0.9  # of the page's outermost rows and columns that must differ from the frame
_PAGE = 0.7  # of the area inside a frame that must differ from it; the boldest digits cover less
_BLUR = 2  # rows and columns between frame and page
_LEAST = 0.3  # of a side of the picture: a page is not smaller


def inside_frame(grey: Grey) -> tuple[slice, slice]:
    """The rows and columns inside a frame of one grey along all four edges; all of them if there is no frame.

    Margins of paper around a digit look like a frame, too, but what is inside them is mostly paper again.
    """
    whole = (slice(0, grey.shape[0]), slice(0, grey.shape[1]))
    difference = np.abs(grey - np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    (top, left), (bottom, right) = (0, 0), grey.shape
    same, moved = difference < _SAME, True
    while moved:
        if bottom - top < _LEAST * grey.shape[0] or right - left < _LEAST * grey.shape[1]:
            return whole
        above, below = (bool(same[row, left:right].mean() >= _LINE) for row in (top, bottom - 1))
        before, after = (bool(same[top:bottom, column].mean() >= _LINE) for column in (left, right - 1))
        top, bottom, left, right = top + above, bottom - below, left + before, right - after
        moved = above or below or before or after
    page = (slice(top + _BLUR, bottom - _BLUR), slice(left + _BLUR, right - _BLUR))
    other = difference[page] > _OTHER
    framed = top and left and bottom < grey.shape[0] and right < grey.shape[1] and other.size
    if not framed or other.mean() < _PAGE:
        return whole
    return (
        page if min(line.mean() for line in (other[0], other[-1], other[:, 0], other[:, -1])) >= _EDGE else whole
    )
