"""RandomHash, CCA and ITQ, against other ways to the same thing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.cross_decomposition import CCA as SklearnCCA

import cmhkit as ck
from cmhkit.baselines import itq_rotation, ridge_cca
from cmhkit.codes import hamming
from cmhkit.data import PairedData
from cmhkit.data.features import image_features
from cmhkit.support.checks import InputError


def views(n: int = 400, p: int = 7, q: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two centred views of three common causes."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3)) * (3, 2, 1)
    x = z @ rng.normal(size=(3, p)) + rng.normal(size=(n, p))
    y = z @ rng.normal(size=(3, q)) + rng.normal(size=(n, q))
    return x - x.mean(0), y - y.mean(0)


def paired(n: int = 200, labels: bool = True, **options) -> PairedData:
    x, y = views(n, **options)
    parts = {"query": np.arange(20), "retrieval": np.arange(20, n), "train": np.arange(20, n)}
    return PairedData("views", x, y, parts, labels=np.column_stack([x[:, 0] > 0, x[:, 0] <= 0]) if labels else None)


# CCA.


def by_eigenvalues(x, y, ridge):
    """The generalised eigenproblem of ridge CCA: the positive eigenvalues are the correlations."""
    n, p, q = len(x), x.shape[1], y.shape[1]
    xx, yy, xy = x.T @ x / n, y.T @ y / n, x.T @ y / n
    xx += ridge * np.trace(xx) / p * np.eye(p)
    yy += ridge * np.trace(yy) / q * np.eye(q)
    left = np.block([[np.zeros((p, p)), xy], [xy.T, np.zeros((q, q))]])
    right = np.block([[xx, np.zeros((p, q))], [np.zeros((q, p)), yy]])
    values, vectors = eigh(left, right)
    order = np.argsort(-values)[: min(p, q)]
    return values[order], vectors[:p, order], vectors[p:, order]


@pytest.mark.parametrize("ridge", [0.0, 0.1, 1.0])
def test_the_directions_solve_the_eigenproblem(ridge: float) -> None:
    x, y = views()
    a, b, correlations = ridge_cca(x, y, 4, ridge)
    values, u, v = by_eigenvalues(x, y, ridge)
    assert a.shape == (7, 4) and b.shape == (5, 4)
    np.testing.assert_allclose(correlations, values[:4], atol=1e-9)
    for ours, other in ((a, u), (b, v)):
        cosine = (
            np.abs((ours * other[:, :4]).sum(0)) / np.linalg.norm(ours, axis=0) / np.linalg.norm(other[:, :4], axis=0)
        )
        np.testing.assert_allclose(cosine, 1, atol=1e-6)


def test_without_a_ridge_the_correlations_are_those_of_the_projections() -> None:
    x, y = views()
    a, b, correlations = ridge_cca(x, y, 5, 0.0)
    together = (x @ a).T @ (y @ b) / len(x)
    np.testing.assert_allclose(together, np.diag(correlations), atol=1e-8)
    for z, w in ((x, a), (y, b)):
        np.testing.assert_allclose((z @ w).T @ (z @ w) / len(z), np.eye(5), atol=1e-8)
    assert (np.diff(correlations) <= 0).all() and 0 <= correlations[-1] and correlations[0] <= 1


def test_it_agrees_with_scikit_learn() -> None:
    x, y = views()
    other = SklearnCCA(n_components=3, scale=False, max_iter=5000, tol=1e-12).fit(x, y)
    u, v = other.transform(x, y)
    expected = [np.corrcoef(u[:, i], v[:, i])[0, 1] for i in range(3)]
    a, _, correlations = ridge_cca(x, y, 3, 0.0)
    np.testing.assert_allclose(correlations, expected, atol=1e-4)
    for i in range(3):
        assert abs(np.corrcoef(x @ a[:, i], u[:, i])[0, 1]) == pytest.approx(1, abs=1e-3)


def test_both_directions_of_a_pair_turn_the_same_way() -> None:
    x, y = views()
    a, b, _ = ridge_cca(x, y, 3, 0.1)
    assert (np.abs(a).argmax(0) == a.argmax(0)).all()
    assert (((x @ a) * (y @ b)).mean(0) > 0).all()


def test_there_are_no_more_directions_than_columns() -> None:
    x, y = views()
    assert [m.shape[-1] for m in ridge_cca(x, y, 64, 0.1)] == [5, 5, 5]


def test_columns_that_depend_on_each_other_need_a_ridge() -> None:
    x, y = views()
    x = 1e5 * np.column_stack([x, x, 0 * x])
    with pytest.raises(InputError, match=r"ridge: expected more, since some columns depend on each other, got 0\.0"):
        ridge_cca(x, y, 3, 0.0)
    assert np.isfinite(ridge_cca(x, y, 3, 0.1)[0]).all()


# ITQ.


def loss(v, rotation) -> float:
    turned = v @ rotation
    return float(((np.where(turned >= 0, 1, -1) - turned) ** 2).sum())


@pytest.mark.parametrize(("dimensions", "bits"), [(8, 8), (5, 16), (16, 16)])
def test_the_rotation_never_gets_worse_and_stays_one(dimensions: int, bits: int) -> None:
    rng = np.random.default_rng(dimensions)
    v = rng.normal(size=(300, dimensions)) * np.linspace(1, 0.2, dimensions)
    rotation = np.linalg.qr(rng.normal(size=(bits, dimensions)))[0].T
    losses = [loss(v, rotation)]
    for _ in range(30):
        rotation = itq_rotation(v, rotation, 1)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(dimensions), atol=1e-9)
        losses.append(loss(v, rotation))
    assert (np.diff(losses) <= 1e-8).all()
    assert losses[-1] < losses[0] - 1, "and it does get better"


def test_iterations_add_up() -> None:
    v, start = np.random.default_rng(0).normal(size=(100, 4)), np.eye(4)
    np.testing.assert_allclose(itq_rotation(v, start, 6), itq_rotation(v, itq_rotation(v, start, 2), 4))
    assert np.array_equal(itq_rotation(v, start, 0), start)


# Behind the one face.

METHODS = {"RandomHash": ck.RandomHash, "CCA": ck.CCA, "ITQ": ck.ITQ}


@pytest.mark.parametrize("bits", [8, 16, 64])
@pytest.mark.parametrize("method", METHODS)
def test_codes_have_all_their_bits_and_come_from_the_seed(method: str, bits: int) -> None:
    data = paired()
    first, again, other = (METHODS[method](bits=bits, seed=seed).fit(data, show_progress=False) for seed in (3, 3, 4))
    for way in ("images", "texts"):
        codes = [h.encode(**{way: data.retrieval}) for h in (first, again, other)]
        assert codes[0].shape == (180, bits // 8) and codes[0].dtype == np.uint8
        assert np.array_equal(codes[0], codes[1])
        # CCA has nothing random where it finds as many directions as bits; here it finds five at most.
        assert not np.array_equal(codes[0], codes[2])


def test_cca_takes_the_directions_as_they_are_where_there_are_enough() -> None:
    data = paired(p=12, q=9)
    h, other = (ck.CCA(bits=8, seed=seed).fit(data) for seed in (0, 1))
    assert np.array_equal(h.encode(images=data.query), other.encode(images=data.query))
    a, _, _ = ridge_cca(
        *(z.astype(float) - z.mean(0, dtype=float) for z in (data.train.images, data.train.text_vectors)), 8, 0.1
    )
    mean = data.train.images.mean(0)
    np.testing.assert_allclose(h.values(images=data.query), (data.query.images - mean) @ a, rtol=1e-3, atol=1e-4)
    turned = ck.CCA(bits=8, rotate=True).fit(data)
    assert not np.array_equal(h.encode(images=data.query), turned.encode(images=data.query))
    # A turn keeps lengths: every code comes from the same space.
    lengths = [np.linalg.norm(m.values(images=data.query), axis=1) for m in (h, turned)]
    np.testing.assert_allclose(*lengths, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_no_label_is_read(method: str) -> None:
    data = paired()
    a, b = (METHODS[method](bits=16).fit(d) for d in (data, data.without_labels()))
    assert np.array_equal(a.encode(images=data.query), b.encode(images=data.query))


@pytest.mark.parametrize("method", METHODS)
def test_only_training_pairs_are_learned_from(method: str) -> None:
    data = paired()
    images, texts = data.images.copy(), data.text_vectors.copy()
    images[data.parts["query"]] += 100
    texts[data.parts["query"]] -= 100
    changed = PairedData("views", images, texts, data.parts)
    a, b = (METHODS[method](bits=16).fit(d) for d in (data, changed))
    assert np.array_equal(a.encode(texts=data.retrieval), b.encode(texts=data.retrieval))


def test_learning_beats_no_learning_both_ways(shared_cache, tiny) -> None:
    data = replace(tiny, images=image_features(tiny.images), text_vectors=tiny.text_vectors[:, :300], vocabulary=None)
    random, cca, itq = (method(bits=32).fit(data).evaluate(data) for method in (ck.RandomHash, ck.CCA, ck.ITQ))
    for learned in (cca, itq):
        assert learned.map_i2t > random.map_i2t + 0.05 and learned.map_t2i > random.map_t2i + 0.05


def test_a_pair_is_nearer_than_chance() -> None:
    data = paired(n=600, p=12, q=10)
    h = ck.ITQ(bits=16).fit(data)
    distance = hamming(h.encode(images=data.query), h.encode(texts=data.query))
    assert np.diag(distance).mean() < distance.mean() - 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ck.CCA(ridge=-0.1), r"ridge: expected a number of at least 0, got -0\.1"),
        (lambda: ck.ITQ(ridge=float("nan")), r"ridge: expected a number of at least 0, got nan"),
        (lambda: ck.CCA(ridge=float("inf")), r"ridge: expected a number of at least 0, got inf"),
        (lambda: ck.ITQ(iterations=0), r"iterations: expected a whole number of at least 1, got 0"),
        (lambda: ck.ITQ(iterations=2.5), r"iterations: expected a whole number of at least 1, got 2\.5"),
        (lambda: ck.CCA(rigde=1), r"rigde: not an option of this method; did you mean 'ridge'\?"),
        (lambda: ck.CCA().fit(paired().take([3])), r"data: expected at least two training pairs, got 1"),
        (lambda: ck.ITQ().fit(paired().take([3])), r"data: expected at least two training pairs, got 1"),
    ],
)
def test_bad_options(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_pictures_that_are_all_alike_are_no_crash() -> None:
    data = PairedData(
        "flat", np.ones((30, 3)), np.ones((30, 3)), {"query": [0], "retrieval": range(1, 30), "train": range(1, 30)}
    )
    for method in METHODS.values():
        assert method(bits=8).fit(data).encode(images=data.query).shape == (1, 1)
