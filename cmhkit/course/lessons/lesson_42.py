"""Questions of notebook 42, your own data."""

from __future__ import annotations

import hashlib

import numpy as np

from cmhkit.course.lessons.framework import Choice, Option, Question, Quiz, function_equals

SIZES = {
    "a wide photo": (400, 300, 224),
    "a tall photo": (300, 400, 224),
    "a square": (64, 64, 64),
    "a small one is enlarged": (20, 10, 64),
    "a panorama": (4000, 500, 128),
}


def letterbox(width, height, side):
    scale = side / max(width, height)
    w, h = round(width * scale), round(height * scale)
    return w, h, (side - w) // 2, (side - h) // 2


def _by_the_shorter(width, height, side):
    scale = side / min(width, height)
    w, h = round(width * scale), round(height * scale)
    return w, h, (side - w) // 2, (side - h) // 2


def _in_the_corner(width, height, side):
    w, h, _, _ = letterbox(width, height, side)
    return w, h, 0, 0


def _two_bars_wide(width, height, side):
    w, h, _, _ = letterbox(width, height, side)
    return w, h, side - w, side - h


q1 = Question(
    "42.q1",
    "A picture of width × height pixels goes into a square of `side` pixels, whole and centred. "
    "Return four numbers: its new width, its new height, the bar on its left, and the bar above it.",
    check=function_equals(letterbox, SIZES),
    solution=letterbox,
    hints=[
        "The longer side becomes `side`, and the other one shrinks or grows as much. Use `round`.",
        "What is left over, `side - w`, is shared by two bars: the one on the left gets `// 2` of it.",
    ],
    wrong_answers={
        "squeezed into the square": lambda width, height, side: (side, side, 0, 0),
        "the shorter side fills it: a crop": _by_the_shorter,
        "in the corner": _in_the_corner,
        "all of the bar on one side": _two_bars_wide,
    },
    remark="a crop has no bars, but what stands at the edge is lost, and a tag may speak of it.",
)


def _marked(text):
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"cmhkit split").digest()


CONTENTS = {
    f"a file that holds {text!r}": (_marked(text), share)
    for text, share in (("dog", 0.1), ("cat", 0.9), ("boat", 0.5), ("sea", 0.3))
}


def asks(mark, share):
    number = int.from_bytes(mark[:8], "big") / 2**64
    return number < share


q2 = Question(
    "42.q2",
    "`mark` is the checksum of a file, 16 bytes. Read its first 8 bytes as one whole number, the first byte the most "
    "significant, and divide by 2**64. Return True if the result is below `share`.",
    check=function_equals(asks, CONTENTS),
    solution=asks,
    hints=['`int.from_bytes(some_bytes, "big")` makes a number of bytes.', "The first eight bytes are `mark[:8]`."],
    wrong_answers={
        "the last byte first": lambda mark, share: int.from_bytes(mark[:8], "little") / 2**64 < share,
        "all sixteen bytes": lambda mark, share: int.from_bytes(mark, "big") / 2**64 < share,
        "the other part": lambda mark, share: not asks(mark, share),
        "the other half of the bytes": lambda mark, share: int.from_bytes(mark[8:], "big") / 2**64 < share,
    },
    remark=(
        "no seed and no order of files: the same picture is drawn into the same part on every machine, and whatever "
        "is added later."
    ),
)


def _pictures(*greys):
    return np.array([np.full((2, 2, 3), grey) for grey in greys], dtype=np.uint8)


_dotted = _pictures(100)
_dotted[0, 0, 0] = 112
TWINS = {
    "equal, and far apart": (_pictures(0, 80), _pictures(80, 200), 2.0),
    "a little darker": (_pictures(99, 10), _pictures(100, 200), 2.0),
    "a little brighter": (_pictures(101), _pictures(100), 2.0),
    "one pixel of four changed, by 12: a mean of 3": (_dotted, _pictures(100), 4.0),
    "the same, with a lower limit": (_dotted, _pictures(100), 2.0),
    "exactly at the limit": (_pictures(102), _pictures(100), 2.0),
    "the mean brightness alone is equal": (np.array([[[[0] * 3, [200] * 3]] * 2], dtype=np.uint8), _pictures(100), 2.0),
}


def has_twin(query, retrieval, limit):
    found = []
    for picture in query.astype(int):
        difference = np.abs(retrieval - picture).mean(axis=(1, 2, 3))
        found.append(difference.min() <= limit)
    return np.array(found)


def _wrapping(query, retrieval, limit):
    return np.array([np.abs(retrieval - picture).mean(axis=(1, 2, 3)).min() <= limit for picture in query])


def _only_equal(query, retrieval, limit):
    return np.array([any(np.array_equal(picture, other) for other in retrieval) for picture in query])


def _mean_brightness(query, retrieval, limit):
    return np.array([np.abs(retrieval.mean(axis=(1, 2, 3)) - picture.mean()).min() <= limit for picture in query])


def _worst_pixel(query, retrieval, limit):
    return np.array([np.abs(retrieval - picture).max(axis=(1, 2, 3)).min() <= limit for picture in query.astype(int)])


def _all_of_them(query, retrieval, limit):
    return np.array([np.abs(retrieval - picture).mean(axis=(1, 2, 3)).max() <= limit for picture in query.astype(int)])


q3 = Question(
    "42.q3",
    "Find the queries that have a twin. query, retrieval: pictures, uint8, shapes (n, R, R, 3) and (m, R, R, 3). "
    "Return bool, shape (n,): True where some retrieved picture differs by at most `limit`, on average over its "
    "pixels and colours.",
    check=function_equals(has_twin, TWINS),
    solution=has_twin,
    hints=[
        (
            "For one query: the absolute differences to all retrieved pictures, their mean over the last three axes, "
            "and the smallest of these."
        ),
        "Of two uint8, 99 - 100 is 255. Make one of them `int` first.",
    ],
    wrong_answers={
        "uint8 that wraps around": _wrapping,
        "equal ones only": _only_equal,
        "brightness only": _mean_brightness,
        "the worst pixel": _worst_pixel,
        "close to all of them": _all_of_them,
    },
    remark="a checksum sees none of these: one changed pixel makes another file.",
)

quiz1 = Quiz(
    "42.quiz1",
    [
        Choice(
            "You add a thousand pictures to a folder and load it again. What becomes of the old queries?",
            [
                Option(
                    "A new split is drawn, so they may be trained on.",
                    "It would be so with a shuffle of all files. Here a file's own content says its part.",
                ),
                Option(
                    "They are queries still.",
                    "Yes: nothing about another file enters. The shares hold on average only.",
                    right=True,
                ),
                Option(
                    "They stay if the files keep their names.", "Names do not enter. You may rename the files as well."
                ),
            ],
        ),
        Choice(
            "Your folder has no labels. Which sentence may you write in a report?",
            [
                Option(
                    "UGACH finds what belongs together, MAP 0.6.",
                    "MAP needs to know what is relevant. Without labels nobody does.",
                ),
                Option(
                    "UGACH was trained; for a sample of searches I show the first results.",
                    "Yes: you can look, and show. You cannot measure.",
                    right=True,
                ),
                Option("SSAH was trained without supervision.", "SSAH needs labels: its LabNet reads them."),
            ],
        ),
        Choice(
            "A file named mirflickr.mat came from a colleague. What decides how it is read?",
            [
                Option(
                    "Its name.",
                    "The same name is in circulation with pixels and with features, with axes one way and the other.",
                ),
                Option(
                    "Its keys, shapes, types and container, checked against each other.",
                    "Yes. What does not fit is told, and nothing is guessed.",
                    right=True,
                ),
                Option(
                    "What its readme says.", "A reader of files cannot read that, and it would not see a mistake in it."
                ),
            ],
        ),
    ],
)
