import re
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cmhkit import codes, metrics
from cmhkit.index import HammingIndex
from cmhkit.support.checks import InputError


def random_codes(seed, items, bits):
    return np.random.default_rng(seed).integers(0, 256, (items, bits // 8), dtype=np.uint8)


def test_sign_of_zero_is_plus_one():
    got = codes.sign([[-0.5, 0.0, -0.0, 2.0, -np.inf]])
    assert got.dtype == np.int8
    assert got.tolist() == [[-1, 1, 1, 1, -1]]


@pytest.mark.parametrize(("bad", "word"), [([np.nan, 1.0], "NaN"), ([True, False], "boolean"), (["a"], "real numbers")])
def test_sign_refuses(bad, word):
    with pytest.raises(InputError, match=f"x: .*{word}"):
        codes.sign(bad)


def test_pack_puts_the_first_bit_highest():
    signs = -np.ones((1, 16), dtype=np.int8)
    signs[0, [0, 15]] = 1
    assert codes.pack(signs).tolist() == [[0b1000_0000, 0b0000_0001]]


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.integers(1, 9).flatmap(lambda b: arrays(np.int8, (n, 8 * b), elements=st.sampled_from([-1, 1])))
    )
)
@settings(max_examples=40, deadline=None)
def test_pack_and_unpack_round_trip(signs):
    packed = codes.pack(signs)
    back = codes.unpack(packed)
    assert packed.dtype == np.uint8 and back.dtype == np.int8
    assert (back == signs).all()
    assert (codes.pack(back) == packed).all()


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (np.ones((2, 12)), "multiple of 8, got 12"),
        (np.zeros((2, 8)), "-1 and \\+1"),
        (np.ones(8), "shape"),
        (np.full((1, 8), np.nan), "-1 and \\+1"),
    ],
)
def test_pack_refuses(bad, word):
    with pytest.raises(InputError, match=f"signs: .*{word}"):
        codes.pack(bad)


@pytest.mark.parametrize(
    "bad",
    [np.ones((2, 8)), np.ones((2, 8), dtype=np.int8), np.ones(8, dtype=np.uint8), np.ones((2, 0), dtype=np.uint8)],
)
def test_unpack_refuses(bad):
    with pytest.raises(InputError, match="packed: expected"):
        codes.unpack(bad)


@pytest.mark.parametrize("bits", [8, 16, 24, 32, 48, 64, 72, 128, 256, 512])
def test_hamming_is_half_of_bits_minus_inner_product(bits):
    a, b = random_codes(1, 70, bits), random_codes(2, 9, bits)
    b[0], b[1] = a[0], ~a[0]
    got = codes.hamming(a, b)
    u, v = codes.unpack(a).astype(int), codes.unpack(b).astype(int)
    assert got.dtype == np.uint16
    assert (got == (bits - u @ v.T) // 2).all()
    assert got[0, 0] == 0 and got[0, 1] == bits


def test_hamming_across_tiles():
    a, b = random_codes(3, codes._TILE_QUERIES + 3, 16), random_codes(4, codes._TILE_ITEMS + 5, 16)
    expected = np.bitwise_count(a[:, None] ^ b).sum(axis=2)
    assert (codes.hamming(a, b) == expected).all()


@given(arrays(np.uint8, st.tuples(st.just(3), st.integers(1, 12))))
@settings(max_examples=40, deadline=None)
def test_hamming_is_a_metric(three):
    d = codes.hamming(three, three).astype(int)
    assert (d == d.T).all()
    assert (np.diag(d) == 0).all()
    assert d[0, 2] <= d[0, 1] + d[1, 2]
    assert all((d[i, j] == 0) == (three[i] == three[j]).all() for i in range(3) for j in range(3))


def test_hamming_refuses_codes_of_two_lengths():
    with pytest.raises(InputError, match=r"a, b: .*16 and 8 bits"):
        codes.hamming(random_codes(0, 2, 16), random_codes(0, 2, 8))


def test_diagnostics_of_healthy_codes():
    packed = random_codes(5, 4000, 16)
    got = codes.diagnostics(packed)
    signs = codes.unpack(packed)
    assert (got.items, got.bits) == (4000, 16)
    assert got.distinct == len({row.tobytes() for row in packed})
    np.testing.assert_allclose(got.balance, (signs == 1).mean(axis=0))
    np.testing.assert_allclose(got.correlation, np.corrcoef(signs.T), atol=1e-12)
    assert not got.collapsed and got.constant_bits == 0
    assert 15 < got.effective_bits <= 16
    assert "4000 items, 16 bits" in got.summary() and "healthy" in repr(got)


def collapsed_codes():
    rng = np.random.default_rng(6)
    signs = np.where(rng.random((200, 16)) < 0.5, 1, -1)
    same = np.ones((200, 16))
    common = signs.copy()
    common[:101] = common[0]
    constant = signs.copy()
    constant[:, :8] = 1
    repeated = np.repeat(signs[:, :1], 16, axis=1)
    repeated[:, 1::2] *= -1
    return {"same code": same, "of the items": common, "never change": constant, "repeat each other": repeated}


@pytest.mark.parametrize("word", list(collapsed_codes()))
def test_each_criterion_of_collapse(word):
    packed = codes.pack(collapsed_codes()[word])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = codes.diagnostics(packed)
    assert got.collapsed and word in "; ".join(got.reasons)
    assert "COLLAPSED" in got.summary()
    with pytest.warns(codes.CollapseWarning, match=word):
        codes.diagnostics(packed, warn=True)


def test_just_below_the_criteria_is_healthy():
    common, constant = collapsed_codes()["of the items"], collapsed_codes()["never change"]
    common[100] = -common[100]
    constant[0, 0] = -1
    assert not codes.diagnostics(codes.pack(common)).collapsed
    assert not codes.diagnostics(codes.pack(constant)).collapsed


def test_the_mean_correlation_is_that_of_the_bits_that_change():
    signs = np.ones((20, 8))
    signs[:10, :4] = -1
    health = codes.diagnostics(codes.pack(signs))
    assert health.constant_bits == 4 and health.mean_correlation == pytest.approx(1)


def test_numbers_of_collapsed_codes_are_finite():
    got = codes.diagnostics(np.zeros((20, 2), dtype=np.uint8))
    assert (got.distinct, got.constant_bits, got.effective_bits, got.mean_correlation) == (1, 16, 0.0, 0.0)
    assert (got.correlation == np.eye(16)).all()
    repeated = codes.diagnostics(codes.pack(collapsed_codes()["repeat each other"]))
    assert repeated.effective_bits == pytest.approx(1) and repeated.mean_correlation == pytest.approx(1)


def test_few_items():
    assert not codes.diagnostics(np.zeros((1, 1), dtype=np.uint8)).collapsed
    assert codes.diagnostics(np.zeros((2, 1), dtype=np.uint8)).collapsed
    assert not codes.diagnostics(np.array([[0], [1]], dtype=np.uint8)).collapsed
    with pytest.raises(InputError, match="at least one code"):
        codes.diagnostics(np.zeros((0, 1), dtype=np.uint8))


UNPACKED = {"0 and 1": (0, 1), "1 and 255": (-1, 1)}


@pytest.mark.parametrize("said", UNPACKED)
@pytest.mark.parametrize("columns", [8, 16, 31, 64])
def test_bits_that_are_not_packed_are_refused_and_the_advice_packs_them(said, columns) -> None:
    signs = codes.sign(np.random.default_rng(0).normal(size=(20, columns)))
    low, high = UNPACKED[said]
    bits = np.where(signs > 0, high, low).astype(np.int16).astype(np.uint8)
    message = rf"codes.*got bits that are not packed: {columns} columns that hold {said} alone; use (pack\(.*\))$"
    with pytest.raises(InputError, match=message) as error:
        codes.check_packed(bits, "codes")
    if columns % 8 == 0:
        advice = re.search(message, str(error.value))[1]
        assert np.array_equal(eval(advice, {"np": np, "pack": codes.pack, "bits": bits}), codes.pack(signs))


def test_unpacked_bits_are_refused_wherever_codes_are_taken() -> None:
    bits = np.random.default_rng(1).integers(0, 2, (30, 32), dtype=np.uint8)
    labels = np.eye(3)[np.arange(30) % 3]
    for call in (
        lambda: codes.unpack(bits),
        lambda: codes.hamming(bits, bits),
        lambda: codes.diagnostics(bits),
        lambda: metrics.evaluate(bits, bits, labels, labels),
        lambda: metrics.evaluate(torch.tensor(bits), torch.tensor(bits), labels, labels),
        lambda: HammingIndex(bits),
    ):
        with pytest.raises(InputError, match="expected packed codes, got bits that are not packed"):
            call()


@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 16, 32]))
def test_packed_codes_are_never_taken_for_bits(seed, items, width) -> None:
    packed = random_codes(seed, items, 8 * width)
    assert codes.check_packed(packed, "x") is not None
    for same in (0, 1, 255):  # collapsed, but packed
        assert codes.check_packed(np.full((items, width), same, np.uint8), "x") is not None
    ends = np.repeat(packed[:, :1] // 128 * np.uint8(255), width, axis=1)  # all bits of an item alike
    assert codes.check_packed(ends, "x") is not None


def test_few_bytes_of_0_and_1_may_be_packed() -> None:
    few = np.random.default_rng(0).integers(0, 2, (2000, 7), dtype=np.uint8)
    for packed in (few, few[:7, :7], np.tile(few[:1], (7, 1)), np.array([[0, 0, 0, 0, 0, 0, 0, 1]], np.uint8)):
        assert np.array_equal(codes.check_packed(packed, "x"), packed)


def test_a_tensor_with_a_gradient_is_an_array() -> None:
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert np.array_equal(codes.sign(x), np.where(x.detach().numpy() >= 0, 1, -1))
    assert np.array_equal(codes.pack(x.sign()), codes.pack(codes.sign(x)))
    with pytest.raises(InputError, match="x: expected an array"):
        codes.sign(torch.zeros(2, device="meta"))
