"""What a paper must beat: random codes, CCA with signs, and ITQ on the CCA space.

CCA is ridge CCA in closed form (two Cholesky factors and one SVD). scikit-learn's `CCA` iterates, has no ridge, and
does not converge in sensible time for a bag of a thousand words.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import numpy as np

from cmhkit.hasher import CrossModalHasher
from cmhkit.support.checks import InputError, check
from cmhkit.support.options import Options, integer, real, switch
from cmhkit.support.saved import check_arrays
from cmhkit.train.run import Run


def ridge_cca(x: np.ndarray, y: np.ndarray, components: int, ridge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Directions in which two views agree most: maximise $\operatorname{corr}(Xa, Yb)$.

    x, y: centred, shapes (n, p) and (n, q). ridge: added to each covariance, as a share of its mean diagonal.
    Returns A, shape (p, c), B, shape (q, c), and the correlations, shape (c,), with c = min(components, p, q).
    Errors: `InputError` where the ridge is too small for columns that depend on each other.
    Source: Hotelling, Biometrika 1936; the ridge: Vinod, J. Econometrics 1976.
    """
    from scipy.linalg import LinAlgError, cholesky, solve_triangular, svd

    def root(z: np.ndarray) -> np.ndarray:
        covariance = z.T @ z / len(z)
        covariance[np.diag_indices_from(covariance)] += ridge * np.trace(covariance) / len(covariance) + 1e-12
        try:
            return cholesky(covariance, lower=True)
        except LinAlgError as error:
            raise InputError(f"ridge: expected more, since some columns depend on each other, got {ridge}") from error

    left, right = root(x), root(y)
    whitened = solve_triangular(left, x.T @ y / len(x), lower=True)
    whitened = solve_triangular(right, whitened.T, lower=True).T
    u, correlations, vt = svd(whitened, full_matrices=False)
    c = min(components, len(correlations))
    a = solve_triangular(left, u[:, :c], lower=True, trans="T")
    b = solve_triangular(right, vt[:c].T, lower=True, trans="T")
    flip = np.where(np.abs(a).max(axis=0) == a.max(axis=0), 1.0, -1.0)
    return a * flip, b * flip, correlations[:c]


def itq_rotation(v: np.ndarray, rotation: np.ndarray, iterations: int) -> np.ndarray:
    r"""The rotation R that brings VR closest to its own signs: $\min_R \lVert \operatorname{sign}(VR) - VR \rVert_F^2$.

    v: shape (n, d). rotation: where to start, orthonormal rows, shape (d, bits). Returns the same shape.
    Source: Gong and Lazebnik, CVPR 2011, section 2.2.
    """
    for _ in range(iterations):
        signs = np.where(v @ rotation >= 0, 1.0, -1.0)
        u, _, wt = np.linalg.svd(v.T @ signs, full_matrices=False)
        rotation = u @ wt
    return rotation


@attrs.frozen
class CCAConfig(Options):
    """Every choice of CCA. For more bits than it finds directions, the space is always turned."""

    ridge: float = real(0.1, "share of the mean variance that is added to each variance", "ours", least=0)
    rotate: bool = switch(False, "turn the space at random before the signs are taken", "ours")


@attrs.frozen
class ITQConfig(Options):
    """Every choice of ITQ."""

    ridge: float = real(0.1, "share of the mean variance that is added to each variance", "ours", least=0)
    iterations: int = integer(50, "of the rotation", "paper: 50", least=1)
    weighted: bool = switch(True, "directions of the CCA space count by their correlation", "paper")


class _Linear(CrossModalHasher):
    """Codes from one centred linear map a modality."""

    def _values(self, modality: str, x: np.ndarray) -> np.ndarray:
        return (x - self._maps[f"{modality}_mean"]) @ self._maps[f"{modality}_matrix"]

    def _state(self) -> dict[str, np.ndarray]:
        return self._maps

    def _set_state(self, state: dict[str, np.ndarray]) -> None:
        shapes = {"image_mean": (self.image_width_,), "image_matrix": (self.image_width_, self.bits)}
        shapes |= {"text_mean": (self.text_width_,), "text_matrix": (self.text_width_, self.bits)}
        check_arrays(state, {name: np.empty(shape, np.float32) for name, shape in shapes.items()})
        self._maps = state

    def _keep(self, images: np.ndarray, texts: np.ndarray, image_matrix: np.ndarray, text_matrix: np.ndarray) -> None:
        maps = {"image_mean": images.mean(axis=0), "image_matrix": image_matrix}
        maps |= {"text_mean": texts.mean(axis=0), "text_matrix": text_matrix}
        self._maps = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in maps.items()}

    def _spaces(self, images: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        check(len(images) > 1, f"data: expected at least two training pairs, got {len(images)}")
        x, y = (z.astype(np.float64) - z.mean(axis=0, dtype=np.float64) for z in (images, texts))
        return ridge_cca(x, y, self.bits, self.config.ridge)

    def _start(self, dimensions: int) -> np.ndarray:
        """A random matrix with orthonormal rows, shape (dimensions, bits)."""
        rng = np.random.default_rng(self.seed)
        return np.linalg.qr(rng.standard_normal((self.bits, dimensions)))[0].T


class RandomHash(_Linear):
    """Signs of random directions, each modality on its own: what no learning gives."""

    presets: ClassVar[dict[str, Any]] = {"lab": Options()}

    def _fit(self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray | None, run: Run) -> None:
        rng = np.random.default_rng(self.seed)
        self._keep(images, texts, *(rng.standard_normal((x.shape[1], self.bits)) for x in (images, texts)))


class CCA(_Linear):
    """Signs of canonical directions. See `ridge_cca`."""

    presets: ClassVar[dict[str, Any]] = {"lab": CCAConfig()}

    def _fit(self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray | None, run: Run) -> None:
        a, b, _ = self._spaces(images, texts)
        turn = self._start(a.shape[1]) if self.config.rotate or a.shape[1] < self.bits else np.eye(self.bits)
        self._keep(images, texts, a @ turn, b @ turn)


class ITQ(_Linear):
    """CCA, then the rotation of iterative quantisation, learned on both modalities. See `itq_rotation`."""

    presets: ClassVar[dict[str, Any]] = {"lab": ITQConfig()}

    def _fit(self, images: np.ndarray, texts: np.ndarray, labels: np.ndarray | None, run: Run) -> None:
        a, b, correlations = self._spaces(images, texts)
        if self.config.weighted:
            a, b = a * correlations, b * correlations
        both = np.concatenate([(images - images.mean(axis=0)) @ a, (texts - texts.mean(axis=0)) @ b])
        rotation = itq_rotation(both, self._start(a.shape[1]), self.config.iterations)
        self._keep(images, texts, a @ rotation, b @ rotation)
