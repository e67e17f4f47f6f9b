"""What a lesson asks: questions whose answers are checked, and quizzes.

A lesson module holds nothing but these:

    q1 = Question("01.q1", "Count the bits that differ.", check=function_equals(reference, CASES), solution=reference,
                  hints=["…"], wrong_answers={"counts equal bits": lambda a, b: (a == b).sum()})
    quiz1 = Quiz("01.quiz1", [Choice("…?", [Option("…", "feedback", right=True), Option("…", "feedback")])])

A check has three outcomes: not attempted, correct, incorrect with the reason. It never raises.
"""

from __future__ import annotations

import contextlib
import copy
import dis
import functools
import html
import inspect
import json
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NOT_ATTEMPTED = "not attempted"
CORRECT = "correct"
INCORRECT = "incorrect"

# For each status: a sign, the text colour, the background. Each pair has a contrast above 7:1 (WCAG AAA), and the word
# is always written out.
LOOKS = {
    NOT_ATTEMPTED: ("○", "#3d3000", "#fff6d6"),
    CORRECT: ("✓", "#0b3d1a", "#e3f5e8"),
    INCORRECT: ("✗", "#5c0f0f", "#fdeaea"),
    "hint": ("?", "#10335c", "#e6f0fb"),
}

Checker = Callable[[Any], "str | None"]  # None when the answer is right, else the reason why it is not


# ── What a session's answers came to ──────────────────────────────────────────────────────────────────────────────────

_log: dict[str, dict[str, Any]] = {}


def outcomes() -> list[dict[str, Any]]:
    """What this session's questions came to, as plain data, in the order in which they were first touched.

    One dict a question: `question`, `status` (of the last check), `attempts` (checks other than of a stub), `hints`
    (shown), `solution_seen`.
    """
    return [dict(record) for record in _log.values()]


def reset_outcomes() -> None:
    """Forget what `outcomes` would give."""
    _log.clear()


def _record(name: str) -> dict[str, Any]:
    return _log.setdefault(
        name, {"question": name, "status": NOT_ATTEMPTED, "attempts": 0, "hints": 0, "solution_seen": False}
    )


def _tell(record: Mapping[str, Any]) -> None:
    """Append a question's record to the file that `cmhkit grade` named, one line of JSON; do nothing outside of
    grading.
    """
    path = os.environ.get("CMHKIT_OUTCOMES")
    if path:
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


# ── What is shown ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Shown:
    """Something with a fixed plain text and a fixed HTML, the same on every run."""

    def text(self) -> str:
        raise NotImplementedError

    def html(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": self.text(), "text/html": self.html()}


def box(look: str, title: str, body: str) -> str:
    """One HTML box in the colours of `look` (a key of `LOOKS`). `title` and `body` are plain text; `backticks` in them
    become code.
    """
    sign, ink, paper = LOOKS[look]
    style = (
        f"color:{ink};background:{paper};border-left:6px solid {ink};padding:8px 12px;margin:4px 0;white-space:pre-wrap"
    )
    return (
        f'<div role="status" style="{style}"><b><span aria-hidden="true">{sign}</span> {prose(title)}</b>'
        f"<br>{prose(body)}</div>"
    )


def prose(text: str) -> str:
    """Escape plain text for HTML and set `backticked` words as code."""
    parts = html.escape(text).split("`")
    if len(parts) % 2 == 0:  # an odd backtick: leave them all as they are
        return "`".join(parts)
    code = '<code style="color:inherit;background:transparent">{}</code>'
    return "".join(code.format(part) if i % 2 else part for i, part in enumerate(parts))


@dataclass(frozen=True, repr=False)
class Outcome(Shown):
    """What a check found. `status` is one of `NOT_ATTEMPTED`, `CORRECT`, `INCORRECT`; `reason` is the sentence shown
    beside it.
    """

    question: str
    status: str
    reason: str

    def text(self) -> str:
        return f"{LOOKS[self.status][0]} {self.question}, {self.status}: {self.reason}"

    def html(self) -> str:
        return box(self.status, f"{self.question}, {self.status}", self.reason)


@dataclass(frozen=True, repr=False)
class Hint(Shown):
    """One step of the ladder of hints."""

    question: str
    number: int
    of: int
    hint: str

    def text(self) -> str:
        return f"? {self.question}, hint {self.number} of {self.of}: {self.hint}"

    def html(self) -> str:
        return box("hint", f"{self.question}, hint {self.number} of {self.of}", self.hint)


@dataclass(frozen=True, repr=False)
class Solution(Shown):
    """The answer: `code` to read, `value` to use (a function, a number, an array)."""

    question: str
    code: str
    value: Any

    def text(self) -> str:
        return f"{self.question}, solution:\n{self.code}"

    def html(self) -> str:
        _, ink, paper = LOOKS["hint"]
        style = (
            f"color:{ink};background:{paper};border-left:6px solid {ink};padding:8px 12px;margin:4px 0;overflow-x:auto"
        )
        return (
            f'<div style="{style}"><b>{html.escape(self.question)}, solution</b>'
            f'<pre style="color:inherit">{html.escape(self.code)}</pre></div>'
        )


# ── Questions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Stub(Exception):
    """The student's function is still the stub."""


class _StudentError(Exception):
    """The student's function failed; the message says how."""


class Question:
    """One exercise: `.check(answer)`, `.hint()`, `.solution()`.

    name: "NN.qM", as in "10.q2". ask: the task in one sentence. check: answer → None when right, else the reason.
    solution: the right answer. For a function `.solution()` shows its source; for anything else give the `code` that
    makes it.
    hints: from a nudge to nearly the answer. wrong_answers: name → an answer that a reader could well give and that
    `check` must reject; at least two. remark: a sentence shown when the answer is right: what to take from it.
    """

    def __init__(
        self,
        name: str,
        ask: str,
        *,
        check: Checker,
        solution: Any,
        hints: Sequence[str],
        wrong_answers: Mapping[str, Any],
        code: str | None = None,
        remark: str = "",
    ) -> None:
        self.name, self.ask, self.remark = name, ask, remark
        self.hints, self.wrong_answers = tuple(hints), dict(wrong_answers)
        self._checker, self._solution, self._code = check, solution, code
        self._next_hint = 0

    def __repr__(self) -> str:
        return f"Question {self.name}: {self.ask}"

    def check(self, answer: Any = ...) -> Outcome:
        """Compare an answer with what is right. Never raises; what goes wrong in the answer becomes the reason."""
        outcome = self._judge(answer)
        record = _record(self.name)
        record["status"] = outcome.status
        record["attempts"] += outcome.status != NOT_ATTEMPTED
        _tell({**record, "reason": outcome.reason[:500]})
        return outcome

    def hint(self) -> Hint:
        """The next hint. After the last one, the last one again."""
        self._next_hint = min(self._next_hint + 1, len(self.hints))
        record = _record(self.name)
        record["hints"] = max(record["hints"], self._next_hint)
        _tell(record)
        return Hint(self.name, self._next_hint, len(self.hints), self.hints[self._next_hint - 1])

    def solution(self) -> Solution:
        """The solution as code and as a value."""
        record = _record(self.name)
        record["solution_seen"] = True
        _tell(record)
        code = self._code
        if code is None:
            code = inspect.getsource(self._solution) if inspect.isfunction(self._solution) else repr(self._solution)
        return Solution(self.name, textwrap.dedent(code).strip(), self._solution)

    def _judge(self, answer: Any) -> Outcome:
        stub = Outcome(self.name, NOT_ATTEMPTED, "replace the `...` by your answer and run the cell again.")
        try:
            if _is_placeholder(answer):
                return stub
            reason = self._checker(_watched(answer) if inspect.isroutine(answer) else answer)
        except _Stub:
            return stub
        except _StudentError as error:
            return Outcome(self.name, INCORRECT, str(error))
        except (Exception, SystemExit) as error:
            return Outcome(self.name, INCORRECT, f"this answer could not be checked. {type(error).__name__}: {error}")
        if reason is None:
            return Outcome(self.name, CORRECT, self.remark or "well done.")
        return Outcome(self.name, INCORRECT, reason)


def _is_placeholder(value: Any) -> bool:
    if isinstance(value, tuple | list) and 0 < len(value) <= 16:
        return any(part is ... for part in value)
    return value is ... or value is None or value is NotImplemented


def _is_empty(function: Any) -> bool:
    """Whether a function's body does nothing but return a constant, as a stub's does."""
    code = getattr(function, "__code__", None)
    idle = {"RESUME", "NOP", "CACHE", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "COPY_FREE_VARS"}
    return code is not None and {step.opname for step in dis.get_instructions(code)} <= idle


def _watched(function: Callable[..., Any]) -> Callable[..., Any]:
    """The student's function, with what goes wrong inside told apart from a wrong result."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            value = function(*args, **kwargs)
        except NotImplementedError as error:
            raise _Stub from error
        except (Exception, SystemExit) as error:
            if "ellipsis" in str(error).lower():  # a `...` is left in the body
                raise _Stub from error
            raise _StudentError(f"your function raised {type(error).__name__}: {error}") from error
        if value is None and not _is_empty(function):
            raise _StudentError("your function returned None. Is a `return` missing?")
        if _is_placeholder(value):
            raise _Stub
        return value

    return call


# ── Comparing answers ─────────────────────────────────────────────────────────────────────────────────────────────────


def close(expected: Any, tol: float = 1e-6) -> Checker:
    """A check that an answer equals `expected`: a number, an array or tensor, a string, or a tuple or dict of these.

    Numbers may differ by tol · max(1, |expected|). NaN equals NaN. Strings are compared without case and outer spaces.
    """
    return lambda answer: difference(answer, expected, tol)


def one_of(*expected: Any, tol: float = 1e-6) -> Checker:
    """A check that an answer equals one of several right ones. The reason speaks of the first."""

    def check(answer: Any) -> str | None:
        reasons = [difference(answer, value, tol) for value in expected]
        return None if None in reasons else reasons[0]

    return check


def function_equals(
    reference: Callable[..., Any], cases: Mapping[str, tuple] | Sequence[tuple], tol: float = 1e-6
) -> Checker:
    """A check that a function gives what `reference` gives for each case, a tuple of arguments. The reason is the first
    case that differs.

    Cases may have names: `{"two ties": (a, b), "no relevant item": (c, d)}`. Arguments are copied: nobody can spoil
    them.
    """
    named = dict(cases) if isinstance(cases, Mapping) else {str(i + 1): case for i, case in enumerate(cases)}

    def check(answer: Any) -> str | None:
        if not callable(answer):
            return f"a function is asked for; this is {short(answer)}."
        for name, arguments in named.items():
            expected = reference(*copy.deepcopy(arguments))
            try:
                reason = difference(answer(*copy.deepcopy(arguments)), expected, tol)
            except _StudentError as error:
                reason = str(error)
            if reason is not None:
                return f"case {name}, arguments {', '.join(short(a) for a in arguments)}: {reason}"
        return None

    return check


def difference(got: Any, expected: Any, tol: float = 1e-6) -> str | None:
    """Say in one or two sentences how `got` differs from `expected`, or None where it does not. See `close`."""
    if isinstance(expected, str):
        if not isinstance(got, str):
            return f"a text is asked for; this is {short(got)}."
        return (
            None
            if got.strip().casefold() == expected.strip().casefold()
            else f"the text {got!r} is not the one expected."
        )
    if isinstance(expected, Mapping):
        if not isinstance(got, Mapping) or set(got) != set(expected):
            return f"a dict with the keys {sorted(map(str, expected))} is asked for; this is {short(got)}."
        return _first((f"[{key!r}]", difference(got[key], expected[key], tol)) for key in expected)
    if isinstance(expected, tuple) or (isinstance(expected, list) and any(isinstance(part, str) for part in expected)):
        if not isinstance(got, tuple | list) or len(got) != len(expected):
            return f"{len(expected)} values are asked for; this is {short(got)}."
        return _first(
            ((f"value {i + 1}", difference(g, e, tol)) for i, (g, e) in enumerate(zip(got, expected, strict=True)))
        )
    return _array_difference(got, expected, tol)


def _first(named_reasons: Any) -> str | None:
    return next((f"{name}: {reason}" for name, reason in named_reasons if reason is not None), None)


def _array_difference(got: Any, expected: Any, tol: float) -> str | None:
    want = as_array(expected)
    try:
        have = as_array(got)
    except (TypeError, ValueError):
        return f"numbers are asked for; this is {short(got)}."
    if have.dtype.kind not in "biuf":
        return f"numbers are asked for; this is {short(got)}."
    if have.shape != want.shape:
        turned = have.ndim == 2 and have.T.shape == want.shape and _agree(have.T, want, tol).all()
        remark = " Its transpose is right." if turned else ""
        return f"the shape should be {want.shape}, and is {have.shape}.{remark}"
    agree = _agree(have, want, tol)
    if agree.all():
        return None
    place = tuple(int(i) for i in np.argwhere(~agree)[0])
    where = f"at index {place if len(place) > 1 else place[0]} " if place else ""
    return f"{where}expected {_number(want[place])}, got {_number(have[place])}.{_pattern(have, want, tol)}"


def _agree(have: np.ndarray, want: np.ndarray, tol: float) -> np.ndarray:
    have, want = have.astype(np.float64), want.astype(np.float64)
    with np.errstate(invalid="ignore"):
        near = np.abs(have - want) <= tol * np.maximum(1.0, np.abs(want))
    near &= np.isfinite(want)  # a share of infinity would let any number pass
    return near | (have == want) | (np.isnan(have) & np.isnan(want))


def _pattern(have: np.ndarray, want: np.ndarray, tol: float) -> str:
    """What a wrong array has in common with the right one, where it is plain."""
    have, want = have.astype(np.float64), want.astype(np.float64)
    if _agree(-have, want, tol).all():
        return " The sign is the other way round."
    if have.ndim == 2 and have.shape[0] == have.shape[1] and _agree(have.T, want, tol).all():
        return " Its transpose is right."
    if have.size > 1 and np.isfinite(have).all() and np.isfinite(want).all() and (have * have).sum() > 0:
        factor = (have * want).sum() / (have * have).sum()
        if factor and _agree(have * factor, want, tol).all():
            return f" Everything is {_number(1 / factor)} times too large."
    return ""


def as_array(value: Any) -> np.ndarray:
    """A NumPy array of a number, list, array or tensor, without importing torch."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _number(value: Any) -> str:
    return f"{float(value):.6g}"


def short(value: Any) -> str:
    """A value in a few words, for a reason: small ones are written out, large arrays become their shape."""
    if hasattr(value, "detach") or isinstance(value, np.ndarray):
        array = as_array(value)
        kind = "tensor" if hasattr(value, "detach") else "array"
        if array.size > 12:
            return f"{kind} of shape {array.shape}"
        return f"{kind} {np.array2string(array, separator=', ', precision=4, threshold=12)}".replace("\n", "")
    if callable(value):
        return f"the function `{getattr(value, '__name__', type(value).__name__)}`"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


# ── Quizzes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Option:
    """One option: its text, and what a reader who chooses it is told."""

    text: str
    feedback: str
    right: bool = False


@dataclass(frozen=True)
class Choice:
    """One question of a quiz. Exactly one option is right."""

    ask: str
    options: Sequence[Option]

    def __post_init__(self) -> None:
        if sum(option.right for option in self.options) != 1:
            raise ValueError(f"exactly one option must be right: {self.ask!r}")


class Quiz(Shown):
    """Multiple choice with feedback for each option. Shows itself: live as radio buttons, in a saved page as folded
    feedback.

    name: "NN.quizM". questions: two or three `Choice`.
    """

    def __init__(self, name: str, questions: Sequence[Choice]) -> None:
        self.name, self.questions = name, tuple(questions)

    def answer(self, question: int, option: int) -> Outcome:
        """What choosing an option comes to. Both count from 1. Pure: nothing is recorded."""
        chosen = self.questions[question - 1].options[option - 1]
        return Outcome(f"{self.name}.{question}", CORRECT if chosen.right else INCORRECT, chosen.feedback)

    def text(self) -> str:
        lines = [f"Quiz {self.name}"]
        for number, choice in enumerate(self.questions, 1):
            lines += [
                f"{number}. {choice.ask}",
                *(f"   {letter}) {option.text}" for letter, option in zip("abcdefgh", choice.options, strict=False)),
            ]
        return "\n".join(lines)

    def html(self) -> str:
        """The static twin: each option's feedback is folded under it."""
        parts = [f"<div><b>Quiz {html.escape(self.name)}</b>"]
        for number, choice in enumerate(self.questions, 1):
            parts.append(f"<p>{number}. {prose(choice.ask)}</p>")
            for i, option in enumerate(choice.options, 1):
                feedback = self.answer(number, i)
                parts.append(
                    f"<details><summary>{prose(option.text)}</summary>"
                    f"{box(feedback.status, feedback.status, feedback.reason)}</details>"
                )
        return "".join(parts) + "</div>"

    def view(self) -> Any:
        """An ipywidgets VBox: radio buttons, and feedback in a line of HTML as soon as an option is chosen."""
        import ipywidgets as widgets

        from cmhkit.course.widgets.keys import KEEPER, keys_stay

        rows: list[Any] = [widgets.HTML(f"{keys_stay()}<b>Quiz {html.escape(self.name)}</b>")]
        for number, choice in enumerate(self.questions, 1):
            options = [(option.text, i) for i, option in enumerate(choice.options, 1)]
            buttons = widgets.RadioButtons(options=options, value=None, layout=widgets.Layout(width="auto"))
            feedback = widgets.HTML()
            buttons.observe(functools.partial(self._chosen, number, feedback), names="value")
            rows += [widgets.HTML(f"{number}. {prose(choice.ask)}"), buttons, feedback]
        view = widgets.VBox(rows)
        view.add_class(KEEPER)
        return view

    def _chosen(self, number: int, feedback: Any, change: Mapping[str, Any]) -> None:
        if change["new"] is None:
            return
        outcome = self.answer(number, change["new"])
        record = _record(outcome.question)
        record["status"] = outcome.status
        record["attempts"] += 1
        feedback.value = box(outcome.status, outcome.status, outcome.reason)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_()
        try:
            live = self.view()._repr_mimebundle_()
        except ImportError:
            return bundle
        return {**live, **bundle}
