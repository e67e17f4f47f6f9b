"""The lesson framework; then every question and quiz of every lesson, held to the same rules."""

from __future__ import annotations

import html
import importlib
import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from cmhkit.course import lessons
from cmhkit.course.lessons import notebook as nb
from cmhkit.course.lessons.framework import (
    CORRECT,
    INCORRECT,
    LOOKS,
    NOT_ATTEMPTED,
    Choice,
    Option,
    Question,
    Quiz,
    close,
    difference,
    function_equals,
    one_of,
    outcomes,
    reset_outcomes,
)
from cmhkit.support.checks import InputError


def double(x):
    """A right answer."""
    return 2 * x


def make(**changes: Any) -> Question:
    given = {
        "check": function_equals(double, {"small": (1,), "row": (np.array([1.0, 2.0]),)}),
        "solution": double,
        "hints": ["first", "second"],
        "wrong_answers": {"wrong sign": lambda x: -2 * x, "thrice": lambda x: 3 * x},
        "remark": "twice it is.",
    }
    return Question("99.q1", "Double a number.", **{**given, **changes})


QUIZ = Quiz(
    "99.quiz1",
    [
        Choice("Is `1 < 2`?", [Option("yes", "It is.", right=True), Option("no", "Count again: 1 comes before 2.")]),
        Choice("And 2?", [Option("a", "No."), Option("b", "Right.", right=True), Option("c", "No <b>.")]),
    ],
)


@pytest.fixture(autouse=True)
def fresh() -> None:
    reset_outcomes()


# ── Outcomes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def empty(x): ...


def returns_ellipsis(x):
    return ...


def with_docstring(x):
    """Only a docstring."""


def not_implemented(x):
    raise NotImplementedError


def started(x):
    y = ...
    return y * x


def begun(x):
    y = x + 1
    y = ...
    return y


@pytest.mark.parametrize(
    "stub",
    [
        ...,
        None,
        NotImplemented,
        (..., ...),
        (1, ...),
        empty,
        returns_ellipsis,
        with_docstring,
        not_implemented,
        started,
        begun,
        lambda x: ...,
    ],
)
def test_stubs_are_not_attempted(stub: Any) -> None:
    question = make() if callable(stub) else make(check=close((1, 2)))
    assert question.check(stub).status == NOT_ATTEMPTED
    assert outcomes()[0]["attempts"] == 0


def test_check_without_an_answer_is_not_attempted() -> None:
    assert make().check().status == NOT_ATTEMPTED


def test_correct_gives_the_remark() -> None:
    outcome = make().check(double)
    assert (outcome.status, outcome.reason) == (CORRECT, "twice it is.")
    assert repr(outcome) == "✓ 99.q1, correct: twice it is."


def test_incorrect_names_the_first_case_that_differs() -> None:
    outcome = make().check(lambda x: x + 1)
    assert outcome.status == INCORRECT
    assert outcome.reason == "case row, arguments array [1., 2.]: at index 1 expected 4, got 3."


def forgets_to_return(x):
    x * 2


def leaves(x):
    sys.exit("bye")


def wrong_type(x):
    return "2"


def fails(x):
    raise KeyError("missing")


class Odd:
    """Nothing that can be compared."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no array here")

    def __repr__(self) -> str:
        return "Odd()"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (fails, "your function raised KeyError: 'missing'"),
        (leaves, "your function raised SystemExit: bye"),
        (forgets_to_return, "Is a `return` missing?"),
        (wrong_type, "numbers are asked for; this is '2'."),
        (lambda: 1, "your function raised TypeError"),
        (3, "a function is asked for; this is 3."),
        (lambda x: [[1], [1, 2]], "numbers are asked for"),
        (lambda x: Odd(), "RuntimeError: no array here"),
        (lambda x: {}, "numbers are asked for"),
    ],
)
def test_check_never_raises(answer: Any, told: str) -> None:
    outcome = make().check(answer)
    assert outcome.status == INCORRECT and told in outcome.reason


def test_a_check_that_fails_itself_is_incorrect() -> None:
    def broken(answer: Any) -> str | None:
        raise ZeroDivisionError("oh")

    outcome = make(check=broken).check(1)
    assert (outcome.status, "ZeroDivisionError: oh" in outcome.reason) == (INCORRECT, True)


def test_students_cannot_spoil_the_cases() -> None:
    def spoils(x):
        x *= 2
        return x

    array = np.array([1.0, 2.0])
    question = make(check=function_equals(double, [(array,)]))
    assert question.check(spoils).status == CORRECT
    assert question.check(lambda x: x).status == INCORRECT
    assert array.tolist() == [1.0, 2.0]


# ── Hints, solutions, records ─────────────────────────────────────────────────────────────────────────────────────────


def test_hints_are_a_ladder() -> None:
    question = make()
    assert [question.hint().hint for _ in range(3)] == ["first", "second", "second"]
    assert repr(question.hint()) == "? 99.q1, hint 2 of 2: second"


def test_solution_is_code_and_value() -> None:
    solution = make().solution()
    assert solution.code.startswith("def double(x):") and solution.value(4) == 8
    assert make(check=close(3), solution=3, code="1 + 2").solution().code == "1 + 2"
    assert make(check=close(3), solution=3).solution().code == "3"


def test_outcomes_are_plain_data() -> None:
    question = make()
    question.check()
    question.hint()
    question.check(lambda x: x)
    question.check(double)
    assert outcomes() == [{"question": "99.q1", "status": CORRECT, "attempts": 2, "hints": 1, "solution_seen": False}]
    question.solution()
    assert json.loads(json.dumps(outcomes()))[0]["solution_seen"] is True


# ── Looks ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("look", LOOKS)
def test_contrast(look: str) -> None:
    _, ink, paper = LOOKS[look]
    dark, light = sorted([luminance(ink), luminance(paper)])
    assert (light + 0.05) / (dark + 0.05) >= 7


def test_signs_differ_without_colour() -> None:
    assert len({sign for sign, _, _ in LOOKS.values()}) == len(LOOKS)


def test_what_is_shown_is_fixed_and_escaped() -> None:
    question = make(remark="use `a < b` & be glad")
    first, second = question.check(double)._repr_mimebundle_(), question.check(double)._repr_mimebundle_()
    assert first == second and set(first) == {"text/plain", "text/html"}
    assert (
        "a &lt; b</code> &amp; be glad" in first["text/html"]
        and ">✓<" in first["text/html"]
        and "correct" in first["text/html"]
    )


# ── Comparing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

SQUARE = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (1, 1.0),
        (True, 1),
        (1 + 1e-9, 1),
        ([1, 2], np.array([1, 2])),
        (np.float32(0.1), 0.1),
        (float("nan"), float("nan")),
        (float("inf"), float("inf")),
        (" Query ", "query"),
        ((1, "a"), (1, "A")),
        ([1, 2], (1, 2)),
        (("a", "b"), ["A", "b"]),
        ({"a": 1}, {"a": 1.0}),
        (1e9 + 1, 1e9),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (np.uint16(3), np.int8(3)),
    ],
)
def test_equal(got: Any, expected: Any) -> None:
    assert difference(got, expected) is None


@pytest.mark.parametrize(
    ("got", "expected", "told"),
    [
        (2, 1, "expected 1, got 2."),
        (-SQUARE, SQUARE, "at index (0, 0) expected 1, got -1. The sign is the other way round."),
        (SQUARE.T, SQUARE, "at index (0, 1) expected 2, got 3. Its transpose is right."),
        (np.ones((3, 2)), np.ones((2, 3)), "the shape should be (2, 3), and is (3, 2). Its transpose is right."),
        (SQUARE * 4, SQUARE, "Everything is 4 times too large."),
        (SQUARE[:1], SQUARE, "the shape should be (2, 2), and is (1, 2)."),
        (float("nan"), 1, "got nan"),
        (np.array([1, np.inf]), np.array([1, 2]), "at index 1 expected 2, got inf."),
        (np.array([1, 2]), np.array([1, np.inf]), "at index 1 expected inf, got 2."),
        (-np.inf, np.inf, "expected inf, got -inf."),
        ("x", "y", "the text 'x' is not"),
        (1, "y", "a text is asked for"),
        ((1, 2, 3), (1, 2), "2 values are asked for"),
        ((1, 3), (1, 2), "value 2: expected 2, got 3."),
        ({"a": 2}, {"a": 1}, "['a']: expected 1, got 2."),
        ({"b": 2}, {"a": 1}, "keys ['a']"),
        (1 + 2j, 1, "numbers are asked for"),
        (np.uint8(255), 256, "got 255"),
    ],
)
def test_different(got: Any, expected: Any, told: str) -> None:
    assert told in str(difference(got, expected))


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    assert difference(torch.tensor([1.0, 2.0], requires_grad=True), np.array([1, 2])) is None
    assert "index 1" in str(difference(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0])))


def test_one_of() -> None:
    question = make(check=one_of(1, 2))
    assert [question.check(value).status for value in (1, 2, 3)] == [CORRECT, CORRECT, INCORRECT]


def test_lessons_do_not_load_torch() -> None:
    code = (
        "import sys; from cmhkit.course.lessons import framework, notebook; notebook.setup(0); print('torch' in "
        "sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# ── Quizzes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_quiz_answers_are_pure() -> None:
    assert QUIZ.answer(1, 1).status == CORRECT
    assert QUIZ.answer(1, 2).reason == "Count again: 1 comes before 2."
    assert outcomes() == []


@pytest.mark.parametrize("right", [[], [0, 1]])
def test_exactly_one_option_is_right(right: list[int]) -> None:
    with pytest.raises(ValueError, match="exactly one option"):
        Choice("?", [Option("a", "x", 0 in right), Option("b", "y", 1 in right)])


def test_static_twin_of_a_quiz() -> None:
    bundle = QUIZ._repr_mimebundle_()
    assert bundle["text/plain"].splitlines()[:3] == ["Quiz 99.quiz1", "1. Is `1 < 2`?", "   a) yes"]
    assert bundle["text/html"].count("<details>") == 5 and "No &lt;b&gt;." in bundle["text/html"]
    assert {kind: bundle[kind] for kind in ("text/plain", "text/html")} == {
        "text/plain": QUIZ.text(),
        "text/html": QUIZ.html(),
    }


def test_live_view_of_a_quiz() -> None:
    widgets = pytest.importorskip("ipywidgets")
    rows = QUIZ.view().children
    buttons = [row for row in rows if isinstance(row, widgets.RadioButtons)]
    assert [button.value for button in buttons] == [None, None]
    buttons[1].value = 1
    assert "incorrect" in rows[-1].value and "No." in rows[-1].value
    buttons[1].value = 2
    assert "Right." in rows[-1].value
    assert outcomes() == [
        {"question": "99.quiz1.2", "status": CORRECT, "attempts": 2, "hints": 0, "solution_seen": False}
    ]
    assert "application/vnd.jupyter.widget-view+json" in QUIZ._repr_mimebundle_()


# ── Pictures, results ─────────────────────────────────────────────────────────────────────────────────────────────────


def shown(monkeypatch: pytest.MonkeyPatch) -> list[nb.Figure]:
    figures: list[nb.Figure] = []
    monkeypatch.setattr(nb, "_display", figures.append)
    return figures


def test_show_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figures = shown(monkeypatch)
    for _ in range(2):
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        nb.show(figure, alt="A line that <rises>.", caption="It rises.")
    assert plt.get_fignums() == []
    bundles = [figure._repr_mimebundle_() for figure in figures]
    assert bundles[0] == bundles[1] and set(bundles[0]) == {"text/plain", "text/html"}
    assert bundles[0]["text/plain"] == "Figure: It rises.\n[A line that <rises>.]"
    alt = re.search(r'<img alt="([^"]+)" src="data:image/png;base64,', bundles[0]["text/html"])
    assert alt and html.unescape(alt[1]) == "A line that <rises>."


@pytest.mark.parametrize("picture", [np.zeros((4, 6)), np.ones((4, 6, 3)), np.zeros((4, 6, 3), np.uint8)])
def test_show_a_picture(monkeypatch: pytest.MonkeyPatch, picture: np.ndarray) -> None:
    from io import BytesIO

    from PIL import Image

    figures = shown(monkeypatch)
    nb.show(picture, alt="Plain.", width=60)
    assert Image.open(BytesIO(figures[0].pngs[0])).size == (60, 40)


def test_gallery(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = shown(monkeypatch)
    nb.gallery([np.zeros((4, 4))] * 2, alts=["a cat", "a dog"], captions=["0", "1"], caption="Two.")
    assert repr(figures[0]) == "Figure: Two.\n[a cat] 0\n[a dog] 1"
    with pytest.raises(InputError, match="one text a picture"):
        nb.gallery([np.zeros((4, 4))], alts=[])
    with pytest.raises(InputError, match="alt"):
        nb.show(np.zeros((4, 4)), alt=" ")


def test_setup_seeds() -> None:
    import random

    first = (nb.setup(3).random(), np.random.random(), random.random())  # noqa: NPY002
    assert first == (nb.setup(3).random(), np.random.random(), random.random())  # noqa: NPY002


def test_setup_seeds_torch() -> None:
    torch = pytest.importorskip("torch")
    nb.setup(3, torch=True)
    first = torch.rand(2)
    nb.setup(3)
    assert torch.equal(first, torch.rand(2)) and torch.get_num_threads() == 1


def test_results(tmp_path: Any) -> None:
    nb.results("", codes=object())
    path = tmp_path / "deep" / "results.json"
    nb.results(str(path), codes=np.array([[1, -1]], np.int8), map_i2t=np.float32(0.5), losses={"d": [1.0]}, where=path)
    assert json.loads(path.read_text()) == {
        "codes": [[1, -1]],
        "map_i2t": 0.5,
        "losses": {"d": [1.0]},
        "where": str(path),
    }
    with pytest.raises(TypeError, match="object has no JSON form"):
        nb.results(str(path), codes=object())


# ── Every lesson ──────────────────────────────────────────────────────────────────────────────────────────────────────

MODULES = {name: importlib.import_module(f"cmhkit.course.lessons.{name}") for name in lessons.names()}
QUESTIONS = {
    f"{name}.{key}": value
    for name, module in MODULES.items()
    for key, value in vars(module).items()
    if isinstance(value, Question)
}
QUIZZES = {
    f"{name}.{key}": value
    for name, module in MODULES.items()
    for key, value in vars(module).items()
    if isinstance(value, Quiz)
}
QUESTIONS["framework"] = make()
QUIZZES["framework"] = QUIZ


def stub_function(*arguments: Any, **named: Any) -> Any: ...


@pytest.mark.parametrize("name", QUESTIONS)
def test_question(name: str) -> None:
    question = QUESTIONS[name]
    stubs = [..., None, stub_function] if callable(question.solution().value) else [..., None]
    for stub in stubs:
        assert question.check(stub).status == NOT_ATTEMPTED, stub
    outcome = question.check(question.solution().value)
    assert outcome.status == CORRECT, outcome
    assert question.ask.strip() and question.solution().code.strip()
    assert len(question.hints) >= 1 and all(hint.strip() for hint in question.hints)


@pytest.mark.parametrize(
    ("name", "wrong"), [(name, wrong) for name, question in QUESTIONS.items() for wrong in question.wrong_answers]
)
def test_wrong_answer(name: str, wrong: str) -> None:
    outcome = QUESTIONS[name].check(QUESTIONS[name].wrong_answers[wrong])
    assert outcome.status == INCORRECT, outcome
    assert (
        len(outcome.reason.split()) >= 3
        and "could not be checked" not in outcome.reason
        and "raised" not in outcome.reason
    ), outcome.reason


@pytest.mark.parametrize("name", QUESTIONS)
def test_at_least_two_wrong_answers(name: str) -> None:
    assert len(QUESTIONS[name].wrong_answers) >= 2


@pytest.mark.parametrize("name", QUIZZES)
def test_quiz(name: str) -> None:
    quiz = QUIZZES[name]
    assert 2 <= len(quiz.questions) <= 3
    for number, choice in enumerate(quiz.questions, 1):
        assert 2 <= len(choice.options) <= 4
        assert len({option.text for option in choice.options}) == len(choice.options)
        for i, option in enumerate(choice.options, 1):
            assert option.feedback.strip()
            assert quiz.answer(number, i).status == (CORRECT if option.right else INCORRECT)


@pytest.mark.parametrize("name", MODULES)
def test_lesson_module(name: str) -> None:
    number = name.removeprefix("lesson_")
    items = {key: value for key, value in vars(MODULES[name]).items() if isinstance(value, Question | Quiz)}
    assert all(value.name == f"{number}.{key}" for key, value in items.items()), "a name is NN. and the variable's name"
    assert any(isinstance(value, Quiz) for value in items.values()), "a lesson has a quiz"
    assert 2 <= sum(isinstance(value, Question) for value in items.values()) <= 5 or number == "00", (
        "a lesson has two to five questions"
    )
    assert name in dir(lessons) and getattr(lessons, name) is MODULES[name]
