"""Options: every field is declared whole, each kind refuses what it does not take, and the lists that are made of them
are current.
"""

from __future__ import annotations

import json
import math
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import cmhkit as ck
from cmhkit.app.cli import app
from cmhkit.app.runs import method_class, presets_of
from cmhkit.hasher import METHODS
from cmhkit.support import options
from cmhkit.support.checks import InputError, check_choice, check_integer, check_real
from cmhkit.support.options import (
    Options,
    choice,
    configured,
    current,
    described,
    integer,
    integers,
    margin,
    path,
    real,
    share,
    switch,
)
from tools import options as page

PAPERS = ("ugach", "adah", "ssah")
ABOUT = {"help": "of a test", "source": "ours"}


@attrs.frozen
class Config(Options):
    """One option of each kind."""

    headings: ClassVar[dict[str, str]] = {"first": "steps", "second": "mode"}
    gone: ClassVar[dict[str, Any]] = {"speed": 3}

    steps: int = integer(3, least=1, **ABOUT)
    widths: tuple[int, ...] = integers((4, 2), least=1, **ABOUT)
    rate: float = real(0.1, above=0, **ABOUT)
    near: float | None = real(None, least=0, most=1, optional=True, **ABOUT)
    left_out: float = share(0.0, **ABOUT)
    hinge: float | str = margin("K/8", **ABOUT)
    mode: str = choice(("fast", "slow"), **ABOUT)
    loud: bool = switch(False, **ABOUT)
    file: str | None = path(None, **ABOUT)


PRESETS = {"lab": Config(), "paper": Config(rate=1.0)}


# What is declared.


@pytest.mark.parametrize("method", [name.lower() for name in METHODS])
def test_every_option_is_declared_whole(method: str) -> None:
    presets = presets_of(method)
    assert presets == method_class(method).presets and presets["lab"] == type(presets["lab"])()
    kind = type(presets["lab"])
    known = [field.name for field in attrs.fields(kind)]
    assert not set(known) & kind.gone.keys(), "an option that went is back"
    assert [name for name in known if name in kind.headings.values()] == list(kind.headings.values())
    for row in described(presets):
        field = attrs.fields_dict(kind)[row["option"]]
        assert {"kind", "help", "source"} == field.metadata.keys()
        for text in (row["values"], row["help"], row["source"]):
            assert text == text.strip() and text and "\n" not in text and len(text) <= 110, row["option"]
        assert row["heading"] or method not in PAPERS
        for value in row["presets"].values():
            assert field.metadata["kind"].checked(row["option"], value) == value


@pytest.mark.parametrize("method", PAPERS)
def test_the_words_of_options_are_those_of_the_code_that_reads_them(method: str) -> None:
    from cmhkit.graphs import METRICS
    from cmhkit.nn.pairwise import KINDS
    from cmhkit.ssah.fit import BACKBONES
    from cmhkit.train.device import OPTIMISERS

    known = {"optimiser": OPTIMISERS, "metric_text": METRICS, "pair_loss": KINDS, "backbone": tuple(BACKBONES)}
    for row in described(presets_of(method)):
        if row["option"] in known and (method, row["option"]) != ("adah", "backbone"):
            taken = row["values"].removeprefix("one of ").split(", ")
            assert set(known[row["option"]]) == set(taken) - {"scenenet", "features"}, row["option"]


def test_a_paper_is_described_without_its_networks() -> None:
    import subprocess
    import sys

    code = "from cmhkit.app.cli import app; import sys; app(['options', 'ssah'], standalone_mode=False)"
    code += "; assert 'torch' not in sys.modules"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert "adversarial_target" in found.stdout


# What a value may be.


def refused(name: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config(**{name: value})


NO_NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.lists(st.integers()),
    st.just(np.ones(3)),
    st.just(math.nan),
    st.just(math.inf),
)


@given(NO_NUMBERS)
def test_numbers_refuse_what_is_none(value: object) -> None:
    refused("steps", value, r"^steps: expected a whole number of at least 1, got ")
    refused("rate", value, r"^rate: expected a number above 0, got ")
    refused("left_out", value, r"^left_out: expected a number of at least 0, got ")
    if value is not None:
        refused("near", value, r"^near: expected a number of at least 0, got ")
    if not isinstance(value, str):
        refused("hinge", value, r"^hinge: expected a number above 0, got ")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_to_their_limits(x: float) -> None:
    for name, fits in (("rate", x > 0), ("near", 0 <= x <= 1), ("left_out", 0 <= x < 1), ("hinge", x > 0)):
        if fits:
            assert getattr(Config(**{name: x}), name) == x
        else:
            refused(name, x, f"^{name}: expected .*, got ")
    refused("steps", x, "^steps: expected a whole number")


@given(st.integers())
def test_whole_numbers_keep_to_their_limits(x: int) -> None:
    if x >= 1:
        assert Config(steps=x).steps == x and Config(widths=[x, 1]).widths == (x, 1)
    else:
        refused("steps", x, f"^steps: expected a whole number of at least 1, got {x}$")
        refused("widths", (1, x), f"^widths: expected a whole number of at least 1, got {x}$")


@given(st.one_of(st.text(), st.integers(), st.none(), st.booleans(), st.just(np.array(["fast"]))))
def test_words_and_switches_take_their_own_values_only(value: object) -> None:
    if not (isinstance(value, str) and value in ("fast", "slow")):
        refused("mode", value, r"^mode: expected one of fast, slow, got ")
    if not isinstance(value, bool):
        refused("loud", value, r"^loud: expected true or false, got ")
    if not (value is None or isinstance(value, str)):
        refused("file", value, r"^file: expected a path as text or None, got ")
    refused("widths", value, r"^widths: expected a tuple of whole numbers, got ")


@pytest.mark.parametrize("value", ["K/0", "K", "eight", "K/8.5", "k/8", "K/-1", "", " K/8"])
def test_a_margin_is_a_number_or_a_share_of_the_bits(value: str) -> None:
    refused("hinge", value, r"^hinge: expected a number above 0 or a share of the bits such as K/8, got ")
    assert options.margin_for("K/4", 32) == 8 and options.margin_for(1, 32) == 1.0


def test_numpy_s_values_are_kept_as_python_s() -> None:
    config = Config(
        steps=np.int64(4), rate=np.float32(0.5), loud=np.bool_(True), widths=[np.int32(7)], near=np.float64(1)
    )
    assert [type(getattr(config, name)) for name in ("steps", "rate", "loud", "near")] == [int, float, bool, float]
    assert json.loads(json.dumps(options.as_dict(config))) == options.as_dict(config) | {"widths": [7]}


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Config().steps = 4


def test_checks() -> None:
    assert (
        check_choice("x", "a", ("a", "b")) == "a"
        and check_integer("x", np.int32(3), 1, 3) == 3
        and check_real("x", np.float32(0.5)) == 0.5
    )
    with pytest.raises(InputError, match=r"^x: expected one of a, b, got 'c'$"):
        check_choice("x", "c", ("a", "b"))
    for value in (0, 4, 2.0, True, "2"):
        with pytest.raises(InputError, match=r"^x: expected a whole number from 1 to 3, got "):
            check_integer("x", value, 1, 3)
    with pytest.raises(InputError, match=r"^x: expected a number of at most 1, got 2$"):
        check_real("x", 2, above=0, most=1)
    with pytest.raises(InputError, match=r"^x: expected a number, got 'a'$"):
        check_real("x", "a")


# Presets and names.


def test_options_replace_those_of_a_preset() -> None:
    assert configured(PRESETS, "paper", {"steps": 7}) == Config(rate=1.0, steps=7)
    assert PRESETS["paper"] == Config(rate=1.0)


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        ("official", {}, r"^preset: expected one of lab, paper, got 'official'$"),
        (["lab"], {}, r"^preset: expected one of lab, paper, got \['lab'\]$"),
        ("lab", {"step": 3}, r"^step: not an option of this method; did you mean 'steps'\?$"),
        ("lab", {"zzz": 3}, r"^zzz: not an option of this method; expected one of steps, widths, rate, near"),
        ("lab", {"speed": 3}, r"^speed: no longer an option of this method, which always does what speed=3 did$"),
        ("lab", {"rate": -1}, r"^rate: expected a number above 0, got -1$"),
    ],
)
def test_an_unknown_option_names_the_nearest(preset, overrides, message: str) -> None:
    with pytest.raises(InputError, match=message):
        configured(PRESETS, preset, overrides)


@pytest.mark.parametrize(("method", "name"), [(m, name) for m in PAPERS for name in type(presets_of(m)["lab"]).gone])
def test_an_option_that_went_says_so(method: str, name: str) -> None:
    kind = getattr(ck, method.upper())
    value = type(presets_of(method)["lab"]).gone[name]
    with pytest.raises(
        InputError,
        match=f"^{name}: no longer an option of this method, which always does what {name}={options.shown(value)} did$",
    ):
        kind(bits=8, **{name: value})


def test_what_an_older_version_wrote_down_is_read_where_nothing_has_changed() -> None:
    assert current(Config, {"steps": 4, "speed": 3}) == {"steps": 4}
    assert current(Config, {"steps": 4}) == {"steps": 4}
    with pytest.raises(InputError, match=r"^speed: expected 3, the only value still in use, got 5$"):
        current(Config, {"speed": 5})


def test_gone_options_had_these_values() -> None:
    """A saved hasher of the last version holds them: with any other value its codes were others."""
    assert type(presets_of("ugach")["lab"]).gone == {
        "metric_image": "euclidean",
        "reject_positives": True,
        "generator_start": "random",
    }
    assert type(presets_of("ssah")["lab"]).gone["decay"] == 0.1**0.5


# What is made of the declarations.


def test_described() -> None:
    rows = described(PRESETS)
    assert [row["option"] for row in rows] == [field.name for field in attrs.fields(Config)]
    assert [row["heading"] for row in rows] == ["first"] * 6 + ["second"] * 3
    assert (
        rows[2]["presets"] == {"lab": 0.1, "paper": 1.0}
        and rows[2]["values"] == "a number above 0"
        and rows[2]["help"] == "of a test"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        ((), "()"),
        ((5, 10), "5,10"),
        (10**-3.5, "0.0003162"),
        ("K/8", "K/8"),
        (500, "500"),
    ],
)
def test_shown(value, text: str) -> None:
    assert options.shown(value) == text


@pytest.mark.parametrize("method", ["ugach", "ADAH", "ssah", "cca", "randomhash"])
def test_the_command_line_lists_them(method: str) -> None:
    result = CliRunner().invoke(app, ["options", method])
    assert result.exit_code == 0
    rows = described(presets_of(method))
    assert result.stdout.startswith(f"{len(rows)} options of cmhkit train {method.lower()}")
    for row in rows:
        assert f"  {row['option']}: {row['help']}\n      takes {row['values']}\n" in result.stdout
        for preset, value in row["presets"].items():
            line = result.stdout.split(f"  {row['option']}: ")[1].split("\n")[2]
            assert f"{preset} {options.shown(value)}" in line or line == f"      {options.shown(value)} in every preset"
    table = json.loads(CliRunner().invoke(app, ["options", method, "--json"]).stdout)
    assert [row["option"] for row in table] == [row["option"] for row in rows]


def test_choices_md_is_current() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert [place[2] for place in page.PLACE.finditer(text)] == list(PAPERS)
    assert page.renewed(text) == text, "python -m tools.options writes docs/CHOICES.md anew"


def test_a_page_that_is_not_current_is_noticed() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    stale = text.replace(
        "| `hidden` | a whole number of at least 1 | 512 |", "| `hidden` | a whole number of at least 1 | 511 |"
    )
    assert stale != text and page.renewed(stale) == text
