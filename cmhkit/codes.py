"""Codes: from real numbers to ±1, to packed bytes, to Hamming distance, and a look at their health.

Two forms. *Signs* are int8 ±1, shape (n, K). *Packed* codes are uint8, shape (n, K // 8): the first bit is the highest
bit of byte 0, and a set bit means +1. K is always a multiple of 8.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmhkit.support.blocks import slices
from cmhkit.support.checks import as_array, check

_TILE_ITEMS = 8192
_TILE_QUERIES = 64
_TILE_PAIRS = 2**16  # their words fill half a megabyte, which stays in the processor's second cache

COMMON_CODE_LIMIT = 0.5
CONSTANT_BITS_LIMIT = 0.5
CORRELATION_LIMIT = 0.9
FEWEST_ITEMS = 10

# From here on, bytes of two values are bits that nobody packed.
FEWEST_COLUMNS, FEWEST_BYTES = 8, 64


class CollapseWarning(UserWarning):
    """The codes hardly tell the items apart."""


def sign(x: ArrayLike) -> NDArray[np.int8]:
    """The sign of every number, with sign(0) = +1, so that a code never has a third value.

    x: real numbers of any shape. Returns int8, -1 or +1, the same shape.
    Raises InputError for NaN, and for booleans (False would become +1: use `2 * bits.astype(int) - 1`).
    """
    x = as_array(x, "x")
    real = x.dtype.kind in "iuf"
    check(real, f"x: expected real numbers, got {x.dtype}; for boolean bits use 2 * bits.astype(int) - 1")
    check(not np.isnan(x).any(), f"x: expected numbers, got {np.isnan(x).sum()} NaN of {x.size} values")
    return np.where(x >= 0, np.int8(1), np.int8(-1))


def pack(signs: ArrayLike) -> NDArray[np.uint8]:
    """Pack ±1 codes, eight bits a byte.

    signs: -1 or +1, shape (n, K), K a multiple of 8. Returns uint8, shape (n, K // 8).
    Raises InputError for another shape or another value.
    """
    signs = as_array(signs, "signs")
    check(signs.ndim == 2, f"signs: expected shape (items, bits), got {signs.shape}")
    bits = signs.shape[1]
    check(bits > 0 and bits % 8 == 0, f"signs: expected a number of bits that is a multiple of 8, got {bits}")
    good = signs.dtype.kind in "iuf" and (np.abs(signs) == 1).all()
    hint = "use sign(x) on real numbers, 2 * bits - 1 on 0/1 bits"
    check(good, f"signs: expected only -1 and +1, got other values ({signs.dtype}); {hint}")
    return np.packbits(signs > 0, axis=1)


def unpack(packed: ArrayLike) -> NDArray[np.int8]:
    """The inverse of `pack`.

    packed: uint8, shape (n, K // 8). Returns int8 ±1, shape (n, K). Raises InputError for another type or shape.
    """
    packed = check_packed(packed, "packed")
    return (np.unpackbits(packed, axis=1).view(np.int8) * 2 - 1).astype(np.int8, copy=False)


def hamming(a: ArrayLike, b: ArrayLike) -> NDArray[np.uint16]:
    r"""Hamming distance of every code in `a` to every code in `b`: the number of bits that differ.

    For ±1 codes $u, v$ of K bits it is $\tfrac12 (K - u^\top v)$.
    a: packed, shape (n, K // 8). b: packed, shape (m, K // 8). Returns uint16, shape (n, m), in bits.
    Works in tiles: beyond the result it needs a few megabytes. Raises InputError if the numbers of bits differ.
    """
    a, b = check_packed(a, "a"), check_packed(b, "b")
    check_same_bits(a, b, "a", "b")
    out = np.empty((len(a), len(b)), dtype=np.uint16)
    words_a, words_b = to_words(a), to_words(b)
    for rows in slices(len(a), _TILE_QUERIES):
        for columns in slices(len(b), _TILE_ITEMS):
            out[rows, columns] = distance_tile(words_a[:, rows], words_b[:, columns])
    return out


def check_packed(packed: ArrayLike, name: str) -> NDArray[np.uint8]:
    """Return `packed` as a contiguous uint8 array (n, K // 8), or raise InputError naming the argument `name`.

    Bits that nobody packed, a byte each, are told by their values: 0 and 1 alone, or -1 and 1 as bytes (255 and 1), in
    at least 8 columns and 64 bytes. Packed codes look so only where seven bits of every byte are dead or alike; 64
    random bytes look so once in 2^447 times.
    """
    packed = as_array(packed, name)
    hint = "use pack(sign(x)), bits a multiple of 8"
    check(packed.dtype == np.uint8, f"{name}: expected packed codes (uint8), got {packed.dtype}; {hint}")
    check(packed.ndim == 2 and packed.shape[1] > 0, f"{name}: expected shape (items, bits // 8), got {packed.shape}")
    values = _values_of_bits(packed)
    check(
        not values,
        f"{name}: expected packed codes, got bits that are not packed: {packed.shape[1]} columns that hold "
        f"{' and '.join(map(str, values))} alone; use pack(np.where(bits == 1, 1, -1))",
    )
    return np.ascontiguousarray(packed)


def _values_of_bits(packed: NDArray[np.uint8]) -> list[int]:
    """The two values of bits that are not packed, or none for packed codes."""
    few = packed.shape[1] < FEWEST_COLUMNS or packed.size < FEWEST_BYTES
    if few or np.setdiff1d(packed[:1], (0, 1, 255)).size:  # one row tells nearly all packed codes
        return []
    values = np.flatnonzero(np.bincount(packed.ravel(), minlength=256)).tolist()
    return values if values in ([0, 1], [1, 255]) else []


def check_same_bits(a: NDArray[np.uint8], b: NDArray[np.uint8], name_a: str, name_b: str) -> None:
    """Raise InputError unless both packed arrays hold codes of the same length."""
    bits_a, bits_b = 8 * a.shape[1], 8 * b.shape[1]
    check(bits_a == bits_b, f"{name_a}, {name_b}: expected codes of the same length, got {bits_a} and {bits_b} bits")


def to_words(packed: NDArray[np.uint8]) -> NDArray[np.unsignedinteger]:
    """Rows of bytes as machine words, shape (words, n): padded with zero bits, which no XOR or AND sees."""
    width = min(8, 1 << (packed.shape[1] - 1).bit_length())
    missing = -packed.shape[1] % width
    if missing:
        packed = np.pad(packed, ((0, 0), (0, missing)))
    return np.ascontiguousarray(np.ascontiguousarray(packed).view(f"u{width}").T)


def distance_tile(words_a: NDArray, words_b: NDArray) -> NDArray[np.unsignedinteger]:
    """Hamming distances (n, m) of two small sets of words (see `to_words`): uint8 where K < 256, else uint16."""
    n, m = words_a.shape[1], words_b.shape[1]
    kind = np.uint8 if 8 * words_a.itemsize * len(words_a) < 256 else np.uint16
    out = np.empty((n, m), dtype=kind)
    for rows in slices(n, max(1, _TILE_PAIRS // max(m, 1))):
        part = out[rows]
        for number, (word_a, word_b) in enumerate(zip(words_a, words_b, strict=True)):
            counts = np.bitwise_count(word_a[rows, None] ^ word_b)
            np.copyto(part, counts) if number == 0 else np.add(part, counts, out=part)
    return out


@dataclass(frozen=True, eq=False)
class CodeDiagnostics:
    """How healthy a set of codes is.

    bits, items: K and n. distinct: number of different codes. commonest: share of items that hold the commonest code.
    balance: share of +1 of each bit, shape (K,), 0.5 is best. constant_bits: number of bits that never change.
    correlation: Pearson correlation of the bits, shape (K, K); a constant bit has 0 with every other bit.
    mean_correlation: mean of its absolute values off the diagonal, over the bits that change (0 if fewer than two do).
    effective_bits: how many uncorrelated balanced bits would spread the codes as widely: (trace C)² / trace(C²), C the
    covariance of the bits; 0 where nothing changes, K at best.
    reasons: one sentence for each sign of collapse, empty where the codes are healthy.
    """

    bits: int
    items: int
    distinct: int
    commonest: float
    balance: NDArray[np.float64]
    constant_bits: int
    correlation: NDArray[np.float64]
    mean_correlation: float
    effective_bits: float
    reasons: tuple[str, ...]

    @property
    def collapsed(self) -> bool:
        """True where at least one of the criteria of `diagnostics` holds."""
        return bool(self.reasons)

    def summary(self) -> str:
        """A few lines to read."""
        size = f"{self.items} items, {self.bits} bits: {self.distinct} distinct codes"
        low, high = self.balance.min(), self.balance.max()
        lines = [
            f"{size}, the commonest held by {self.commonest:.1%} of the items",
            f"balance (share of +1): {low:.2f} to {high:.2f}; constant bits: {self.constant_bits}",
            f"mean |correlation| of two bits: {self.mean_correlation:.2f}; effective bits: {self.effective_bits:.1f}",
        ]
        return "\n".join(lines + [f"COLLAPSED: {reason}" for reason in self.reasons])

    def __repr__(self) -> str:
        state = "collapsed" if self.collapsed else "healthy"
        size = f"{self.items} items, {self.bits} bits, {self.distinct} distinct"
        return f"CodeDiagnostics({size}, {self.effective_bits:.1f} effective bits, {state})"


def diagnostics(packed: ArrayLike, *, warn: bool = False) -> CodeDiagnostics:
    """The health of codes: how many differ, how balanced and correlated their bits are, and whether they collapsed.

    packed: uint8, shape (n, K // 8), n at least 1. warn: also emit a `CollapseWarning` where they collapsed.
    Codes count as collapsed if any of these holds (the limits are this module's constants):
    1. more than one item and a single distinct code;
    2. more than half of the items hold the same code;
    3. at least half of the bits are constant;
    4. the mean absolute correlation of two bits is 0.9 or more.
    With fewer than 10 items only the first is judged: the others happen by chance.
    Raises InputError for an empty set.
    """
    packed = check_packed(packed, "packed")
    items, bits = len(packed), 8 * packed.shape[1]
    check(items > 0, "packed: expected at least one code, got none")
    _, counts = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_counts=True)
    ones, together = np.zeros(bits), np.zeros((bits, bits))
    for rows in slices(items, _TILE_ITEMS):
        block = np.unpackbits(packed[rows], axis=1).astype(np.float32)
        ones += block.sum(axis=0)
        together += block.T @ block
    balance = ones / items
    covariance = together / items - np.outer(balance, balance)
    changing = (ones > 0) & (ones < items)
    covariance[~changing] = covariance[:, ~changing] = 0.0
    deviation = np.sqrt(np.where(changing, np.diag(covariance), 1.0))
    correlation = np.clip(covariance / np.outer(deviation, deviation), -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    facts = {
        "bits": bits,
        "items": items,
        "distinct": len(counts),
        "commonest": float(counts.max() / items),
        "balance": balance,
        "constant_bits": int(bits - changing.sum()),
        "correlation": correlation,
        "mean_correlation": _mean_off_diagonal(np.abs(correlation[np.ix_(changing, changing)])),
        "effective_bits": float(np.trace(covariance) ** 2 / (covariance**2).sum()) if changing.any() else 0.0,
    }
    result = CodeDiagnostics(**facts, reasons=tuple(_reasons(facts)))
    if warn and result.collapsed:
        reasons = "; ".join(result.reasons)
        warnings.warn(f"codes: the codes have collapsed: {reasons}.", CollapseWarning, stacklevel=2)
    return result


def _mean_off_diagonal(matrix: NDArray) -> float:
    size = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (size * (size - 1))) if size > 1 else 0.0


def _reasons(facts: dict) -> list[str]:
    if facts["items"] > 1 and facts["distinct"] == 1:
        return [f"all {facts['items']} items have the same code"]
    if facts["items"] < FEWEST_ITEMS:
        return []
    reasons = []
    if facts["commonest"] > COMMON_CODE_LIMIT:
        reasons.append(f"{facts['commonest']:.0%} of the items have the same code")
    if facts["constant_bits"] >= CONSTANT_BITS_LIMIT * facts["bits"]:
        reasons.append(f"{facts['constant_bits']} of {facts['bits']} bits never change")
    if facts["mean_correlation"] >= CORRELATION_LIMIT:
        reasons.append(f"the bits repeat each other (mean |correlation| {facts['mean_correlation']:.2f})")
    return reasons
