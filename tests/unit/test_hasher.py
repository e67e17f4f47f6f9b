"""The one face: fit, encode, evaluate, save, load."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_hashers import LINEAR, OPTIONS, data_for, probes, small
from small_hashers import fitted as fitted_small

import cmhkit as ck
from cmhkit import codes, metrics
from cmhkit.data import PairedData, Vocabulary
from cmhkit.support import saved as saved_file
from cmhkit.support.checks import InputError

METHODS = {"RandomHash": ck.RandomHash, "CCA": ck.CCA, "ITQ": ck.ITQ}


@pytest.fixture(scope="module")
def vectors() -> PairedData:
    """Feature vectors, texts with a vocabulary, labels."""
    rng = np.random.default_rng(0)
    n, words = 120, ["dog", "park", "sun", "boat", "sea", "tree", "bird", "song", "car", "road"]
    labels = rng.random((n, 3)) < 0.4
    texts = [" ".join(rng.choice(words, size=4, replace=False)) for _ in range(n)]
    vocabulary = Vocabulary(tuple(words))
    images = vocabulary.bag_of_words(texts) @ rng.normal(size=(10, 12)) + labels @ rng.normal(size=(3, 12))
    parts = {"query": np.arange(20), "retrieval": np.arange(20, n), "train": np.arange(20, 100)}
    return PairedData(
        "v", images, vocabulary.bag_of_words(texts), parts, labels=labels, texts=texts, vocabulary=vocabulary
    )


@pytest.fixture(scope="module")
def fitted(vectors):
    return ck.CCA(bits=16, seed=2).fit(vectors)


# A fitted hasher is one whose fit has ended.

TRAINED = [method for method in OPTIONS if method not in LINEAR]


class Stop(Exception):
    pass


def stop(row, hasher) -> None:
    raise Stop


def uses(hasher, method: str, folder: Path) -> dict:
    """Every way to use what was learned."""
    given = probes(method)
    calls = {
        "encode": lambda: hasher.encode(images=given["images"]),
        "values": lambda: hasher.values(texts=given["texts"]),
        "evaluate": lambda: hasher.evaluate(data_for(method)),
        "save": lambda: hasher.save(folder / "h.safetensors"),
    }
    if method == "ADAH":
        calls["masks"] = lambda: hasher.masks(images=given["images"])
    if method == "SSAH":
        calls["features"] = lambda: hasher.features(images=given["images"])
        calls["label_scores"] = lambda: hasher.label_scores(labels=data_for(method).labels)
    return calls


def check_half_trained(hasher, method: str, folder: Path) -> None:
    assert not hasher.fitted and repr(hasher).endswith("seed=1, not fitted, since its last fit did not end)")
    for call in uses(hasher, method, folder).values():
        with pytest.raises(
            InputError,
            match=f"^{method}: expected a fitted hasher, but its last fit did not end, so that it is half trained; fit",
        ):
            call()
    assert not list(folder.glob("*.safetensors"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", OPTIONS)
def test_all_uses_wait_for_fit(shared_cache, tmp_path: Path, method: str) -> None:
    hasher = small(method)
    for call in uses(hasher, method, tmp_path).values():
        with pytest.raises(InputError, match=f"^{method}: expected a fitted hasher; call fit first$"):
            call()
    assert not hasher.fitted and fitted_small(method, hasher).fitted
    for call in uses(hasher, method, tmp_path).values():
        call()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("method", TRAINED)
def test_a_callback_that_raises_leaves_no_fitted_hasher(
    shared_cache, tmp_path: Path, method: str, again: bool, error
) -> None:
    def stops(row, hasher) -> None:
        raise error

    hasher = fitted_small(method) if again else small(method)
    with pytest.raises(error):
        fitted_small(method, hasher, callback=stops)
    assert len(hasher.history_) == 1
    check_half_trained(hasher, method, tmp_path)
    assert np.array_equal(
        fitted_small(method, hasher).encode(texts=["dog"]), fitted_small(method).encode(texts=["dog"])
    )
    assert hasher.fitted and repr(hasher).endswith("seed=1, fitted)")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", TRAINED)
def test_a_kept_hasher_that_a_callback_used_is_no_use_after_the_fit_failed(
    shared_cache, tmp_path: Path, method: str
) -> None:
    """What was allowed in the callback is not allowed after it."""

    def encodes_and_stops(row, hasher) -> None:
        hasher.encode(texts=["dog"])
        raise Stop

    hasher = small(method)
    with pytest.raises(Stop):
        fitted_small(method, hasher, callback=encodes_and_stops)
    check_half_trained(hasher, method, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", TRAINED)
def test_an_interrupt_within_an_epoch_leaves_no_fitted_hasher(
    shared_cache, tmp_path: Path, monkeypatch, method: str
) -> None:
    from cmhkit.train.loop import Schedule

    hasher = fitted_small(method)
    steps, step = [], Schedule._step

    def interrupted(self, name, loss) -> None:
        steps.append(name)
        if len(steps) == 3:
            raise KeyboardInterrupt
        step(self, name, loss)

    monkeypatch.setattr(Schedule, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted_small(method, hasher)
    check_half_trained(hasher, method, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", TRAINED)
def test_a_loss_that_is_not_finite_leaves_no_fitted_hasher(
    shared_cache, tmp_path: Path, monkeypatch, method: str
) -> None:
    from cmhkit.train.loop import Schedule

    hasher, check_finite = fitted_small(method), Schedule._check_finite
    monkeypatch.setattr(Schedule, "_check_finite", lambda self, row: check_finite(self, row | {"loss": float("nan")}))
    with pytest.raises(InputError, match=f"{method}: loss is not finite"):
        fitted_small(method, hasher)
    check_half_trained(hasher, method, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", OPTIONS)
def test_a_fit_that_is_refused_leaves_the_hasher_as_it_was(shared_cache, tmp_path: Path, method: str) -> None:
    hasher, data = fitted_small(method), data_for(method)
    # Texts alone are another width, so that even what a fit notes first would be seen.
    texts = np.ones((len(data), 3))
    one = PairedData("one", data.images, texts, data.parts, labels=None if method in LINEAR else data.labels).take([9])
    before, known = {name: call() for name, call in uses(hasher, method, tmp_path).items()}, dict(vars(hasher))
    if method == "RandomHash":
        with pytest.raises(InputError, match="backbone"):
            hasher.fit(dataclasses.replace(data_for("ADAH"), backbone="none such"), show_progress=False)
    else:
        with pytest.raises(InputError, match="data: expected"):
            hasher.fit(one, show_progress=False)
    for bad in (None, "scenes"):
        with pytest.raises(InputError, match="data: expected PairedData"):
            hasher.fit(bad)
    assert (
        hasher.fitted
        and vars(hasher).keys() == known.keys()
        and all(vars(hasher)[name] is known[name] for name in known)
    )
    for name in ("encode", "values"):
        assert np.array_equal(uses(hasher, method, tmp_path)[name](), before[name])
    unfitted = small(method)
    with pytest.raises(InputError):
        unfitted.fit(None)
    assert repr(unfitted).endswith("seed=1, not fitted)") and not hasattr(unfitted, "image_width_")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", LINEAR)
def test_a_baseline_that_is_interrupted_stays_as_it_was(monkeypatch, method: str) -> None:
    hasher = fitted_small(method)
    before = hasher.encode(texts=["dog sea"])
    monkeypatch.setattr(np, "ascontiguousarray", lambda *a, **o: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fitted_small(method, hasher)
    monkeypatch.undo()
    assert hasher.fitted and np.array_equal(hasher.encode(texts=["dog sea"]), before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", TRAINED)
def test_a_checkpoint_of_another_run_leaves_the_hasher_as_it_was(shared_cache, tmp_path: Path, method: str) -> None:
    fitted_small(method, checkpoint_dir=tmp_path)
    hasher = fitted_small(method, small(method, dropout=0.5))
    before = hasher.encode(texts=["dog sea"])
    there = small(method).config.dropout
    with pytest.raises(InputError, match=rf"of another run \(dropout: {there} there, 0\.5 here\); use an empty folder"):
        fitted_small(method, hasher, checkpoint_dir=tmp_path)
    assert hasher.fitted and np.array_equal(hasher.encode(texts=["dog sea"]), before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", TRAINED)
def test_a_callback_uses_the_hasher_as_it_stands(shared_cache, tmp_path: Path, method: str) -> None:
    seen, copies = [], []

    def callback(row, hasher) -> None:
        folder = tmp_path / str(row["epoch"])
        for call in uses(hasher, method, folder).values():
            call()
        assert not hasher.fitted and repr(hasher).endswith("seed=1, in training)")
        seen.append((folder / "h.safetensors", hasher.values(texts=["dog sea"]), copy.deepcopy(hasher.history_)))
        copies.append(copy.deepcopy(hasher))

    hasher = fitted_small(method, callback=callback)
    assert hasher.fitted and len(seen) == 3
    plain = fitted_small(method)
    assert np.array_equal(hasher.values(texts=["dog sea"]), plain.values(texts=["dog sea"])), "looking changes nothing"
    for (path, values, history), copied in zip(seen, copies, strict=True):
        assert described(path)["fit_ended"] is False
        for kept in (ck.load(path), copied):
            assert not kept.fitted and repr(kept).endswith("seed=1, as it was in training)")
            assert np.array_equal(kept.values(texts=["dog sea"]), values) and kept.history_ == history
            for call in uses(kept, method, path.parent).values():
                call()
            assert described(path)["fit_ended"] is False, "saved again, it claims no more"
    assert not np.array_equal(seen[0][1], seen[-1][1])
    assert fitted_small(method, copies[0]).fitted


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", TRAINED)
def test_a_callback_cannot_fit_the_same_hasher(shared_cache, method: str) -> None:
    with pytest.raises(InputError, match=f"{method}: expected fit to be called outside of this hasher's own callback"):
        fitted_small(method, callback=lambda row, hasher: hasher.fit(data_for(method)))


# Encode.


def test_texts_as_strings_vectors_and_split_are_the_same(fitted, vectors) -> None:
    query = vectors.query
    expected = fitted.encode(texts=query)
    assert expected.shape == (20, 2) and expected.dtype == np.uint8
    for texts in (
        query.texts,
        tuple(query.texts),
        np.array(query.texts),
        query.text_vectors,
        query.text_vectors.astype(int),
    ):
        assert np.array_equal(fitted.encode(texts=texts), expected)
    assert np.array_equal(fitted.encode(texts=["unheard of"]), fitted.encode(texts=np.zeros((1, 10))))


def test_pictures_as_vectors_and_split_are_the_same(fitted, vectors) -> None:
    assert np.array_equal(fitted.encode(images=vectors.query), fitted.encode(images=vectors.query.images))
    assert np.array_equal(fitted.encode(images=vectors.query.images.tolist()), fitted.encode(images=vectors.query))


def test_codes_are_the_packed_signs_of_the_values(fitted, vectors) -> None:
    values = fitted.values(images=vectors.query)
    assert values.shape == (20, 16) and values.dtype == np.float32
    assert np.array_equal(codes.unpack(fitted.encode(images=vectors.query)), np.where(values >= 0, 1, -1))


def test_pictures_enter_as_features(shared_cache, tiny, capsys) -> None:
    h = ck.RandomHash(bits=16).fit(tiny)
    assert capsys.readouterr().out == "RandomHash: pictures enter as cached SceneNet features (posterior).\n"
    assert np.array_equal(h.encode(images=tiny.query), h.encode(images=tiny.query.images))
    assert np.array_equal(h.encode(images=tiny.images[7:8]), h.encode(images=tiny.take([7])))
    assert h.encode(texts=["dog park sunny"]).shape == (1, 2)
    quiet = ck.RandomHash(bits=16).fit(tiny.train, show_progress=False)
    assert capsys.readouterr().out == ""
    assert np.array_equal(quiet.encode(images=tiny.query), h.encode(images=tiny.query)), (
        "a split trains as its set does"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"images, texts: expected exactly one of them"),
        ({"images": np.ones((1, 12)), "texts": ["dog"]}, r"images, texts: expected exactly one of them"),
        ({"texts": "dog park"}, r"texts: expected a list of texts, got one string; write \[text\]"),
        ({"texts": ["dog", 3]}, r"texts: expected strings, got int at position 1"),
        ({"texts": [3, "dog"]}, r"texts: expected strings, got int at position 0"),
        ({"texts": []}, r"texts: expected a matrix \(n, d\), got shape \(0,\)"),
        ({"texts": [[1, 2], [3]]}, r"texts: expected an array"),
        ({"texts": np.ones((2, 9))}, r"texts: expected vectors of width 10, as in training, got 9"),
        ({"texts": np.ones(10)}, r"texts: expected a matrix \(n, d\), got shape \(10,\)"),
        ({"texts": np.full((1, 10), np.nan)}, r"texts: expected finite numbers, got NaN or infinity in 1 rows"),
        ({"images": np.ones((2, 11))}, r"images: expected features of width 12, as in training, got 11"),
        ({"images": np.ones(12)}, r"images: expected pictures .* got shape \(12,\)"),
        ({"images": np.ones((64, 64, 3), np.uint8)}, r"images: expected pictures .* got shape \(64, 64, 3\)"),
        (
            {"images": np.ones((1, 64, 64, 3), np.uint8)},
            r"images: expected features of width 12, as in training, got \d+",
        ),
        ({"images": np.full((1, 12), np.inf)}, r"images: expected finite numbers"),
    ],
)
def test_what_cannot_be_encoded_gets_one_clear_error(fitted, given, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted.encode(**given)


def test_a_whole_set_is_no_input_of_encode(fitted, vectors) -> None:
    with pytest.raises(InputError, match="images: expected pictures"):
        fitted.encode(images=vectors)


def test_strings_need_a_vocabulary(vectors) -> None:
    bare = PairedData("bare", vectors.images, vectors.text_vectors, vectors.parts)
    h = ck.CCA(bits=8).fit(bare)
    with pytest.raises(
        InputError,
        match=r"texts: expected text vectors \(n, t\), since this hasher was fitted .* a vocabulary, got strings",
    ):
        h.encode(texts=["dog"])
    assert h.encode(texts=bare.query).shape == (20, 1)


@pytest.mark.parametrize("method", METHODS)
def test_before_fit_there_is_one_clear_error(vectors, tmp_path: Path, method: str) -> None:
    h = METHODS[method](bits=8)
    for call in (lambda: h.encode(texts=["dog"]), lambda: h.evaluate(vectors), lambda: h.save(tmp_path / "x")):
        with pytest.raises(InputError, match=f"{method}: expected a fitted hasher; call fit first"):
            call()
    assert repr(h) == f"{method}(bits=8, preset='lab', seed=0, not fitted)" and not list(tmp_path.iterdir())
    assert h.fit(vectors) is h and repr(h).endswith("seed=0, fitted)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 12}, r"bits: expected a multiple of 8 above 0, got 12"),
        ({"bits": 0}, r"bits: expected a multiple of 8 above 0, got 0"),
        ({"bits": -8}, r"bits: expected a multiple of 8 above 0, got -8"),
        ({"bits": 16.0}, r"bits: expected a multiple of 8 above 0, got 16.0"),
        ({"bits": True}, r"bits: expected a multiple of 8 above 0, got True"),
        ({"seed": -1}, r"seed: expected a whole number of at least 0, got -1"),
        ({"seed": None}, r"seed: expected a whole number of at least 0, got None"),
        ({"preset": "paper"}, r"preset: expected one of lab, got 'paper'"),
        ({"itertions": 3}, r"itertions: not an option of this method; did you mean 'iterations'\?"),
    ],
)
def test_options_that_do_not_fit(options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ck.ITQ(**options)


@pytest.mark.parametrize("data", [None, "scenes", np.ones((3, 3))])
def test_fit_and_evaluate_take_data_only(fitted, data) -> None:
    with pytest.raises(InputError, match="data: expected PairedData or Split, got "):
        ck.CCA(bits=8).fit(data)
    with pytest.raises(InputError, match="data: expected PairedData, got "):
        fitted.evaluate(data)


def test_a_second_fit_replaces_the_first(vectors) -> None:
    h = ck.CCA(bits=8).fit(vectors)
    narrow = PairedData("n", vectors.images[:, :5], vectors.text_vectors[:, :4], vectors.parts)
    h.fit(narrow)
    assert (h.image_width_, h.text_width_, h.vocabulary_) == (5, 4, None)
    assert np.array_equal(h.encode(images=narrow.query), ck.CCA(bits=8).fit(narrow).encode(images=narrow.query))


def test_a_second_fit_starts_a_new_history(vectors) -> None:
    class Epochs(ck.CCA):
        def _fit(self, images, texts, labels, run) -> None:
            super()._fit(images, texts, labels, run)
            for epoch in (1, 2):
                run.epoch_done({"epoch": epoch})

    assert Epochs(bits=8).fit(vectors).fit(vectors).history_ == [{"epoch": 1}, {"epoch": 2}]


def test_a_set_is_learned_from_by_its_training_part(fitted, vectors) -> None:
    values = {
        name: ck.CCA(bits=16, seed=2).fit(vectors.part(name)).values(images=vectors.query)
        for name in ("train", "retrieval")
    }
    assert np.array_equal(fitted.values(images=vectors.query), values["train"])
    assert not np.array_equal(values["train"], values["retrieval"])


def test_many_pictures_are_encoded_a_few_at_a_time(fitted, vectors, monkeypatch) -> None:
    at_once = fitted.values(images=vectors.images)
    monkeypatch.setattr("cmhkit.hasher._AT_ONCE", 50)
    assert at_once.shape == (120, 16)
    np.testing.assert_allclose(fitted.values(images=vectors.images), at_once, rtol=1e-5, atol=1e-6)


# Evaluate.


def test_a_report_holds_what_the_metrics_say(fitted, vectors) -> None:
    report = fitted.evaluate(vectors, precision_at=(5,), r=20)
    query, retrieval = vectors.query, vectors.retrieval
    i2t = metrics.evaluate(
        fitted.encode(images=query),
        fitted.encode(texts=retrieval),
        query.labels,
        retrieval.labels,
        precision_at=(5,),
        r=20,
    )
    t2i = metrics.evaluate(
        fitted.encode(texts=query),
        fitted.encode(images=retrieval),
        query.labels,
        retrieval.labels,
        precision_at=(5,),
        r=20,
    )
    assert (report.map_i2t, report.map_t2i) == (i2t.map, t2i.map) and report.map_i2t != report.map_t2i
    assert report.image_to_text.precision_at[5] == i2t.precision_at[5]
    assert report.image_codes.items == report.text_codes.items == 100
    assert (report.method, report.bits, report.data) == ("CCA", 16, "v")


def test_a_report_reads_the_same_every_time(fitted, vectors) -> None:
    first, again = fitted.evaluate(vectors), ck.CCA(bits=16, seed=2).fit(vectors).evaluate(vectors)
    assert repr(first) == repr(again) and first._repr_html_() == again._repr_html_()
    lines = repr(first).splitlines()
    assert lines[0] == "CCA, 16 bits, on v" and lines[1].split("  ")[-1].strip() == "text → image"
    assert f"{first.map_i2t:.3f}" in lines[2] and f"{first.map_t2i:.3f}" in lines[2] and lines[2].startswith("MAP")
    page = first._repr_html_()
    for row in first.rows():
        assert all(cell in repr(first) and cell in page for cell in row)
    assert page.count("<tr>") == page.count("</tr>") == len(first.rows()) + 1
    assert "0x" not in repr(first) + page


@pytest.mark.parametrize(("divisor", "name"), [("hits", "MAP@20"), ("hits_capped", "at the first hits, at most 20")])
def test_a_report_has_a_row_for_map_at_r(fitted, vectors, divisor, name) -> None:
    report = fitted.evaluate(vectors, r=20, divisor=divisor)
    values = tuple(f"{m.map_at_r:.3f}" for m in (report.image_to_text, report.text_to_image))
    row = next(row for row in report.rows() if row[0].endswith(name))
    assert row[1:] == values and report.rows().index(row) == 1
    assert all(cell in repr(report) and cell in report._repr_html_() for cell in row)
    assert not any("MAP@" in row[0] for row in fitted.evaluate(vectors).rows())


def test_a_report_draws_both_precision_recall_curves(fitted, vectors) -> None:
    import matplotlib.pyplot

    matplotlib.use("Agg")
    report = fitted.evaluate(vectors)
    figure = report.figure()
    matplotlib.pyplot.close(figure)
    for ax, found in zip(figure.axes, (report.image_to_text, report.text_to_image), strict=True):
        by_rank, by_radius = ax.lines
        np.testing.assert_array_equal(
            by_rank.get_xydata(), np.column_stack([found.recall_by_rank, found.precision_by_rank])
        )
        np.testing.assert_array_equal(
            by_radius.get_xydata(), np.column_stack([found.recall_by_radius, found.precision_by_radius])
        )


def test_collapsed_codes_are_reported(fitted, vectors, monkeypatch) -> None:
    monkeypatch.setattr(
        type(fitted), "values", lambda self, images=None, texts=None: np.ones((len(images or texts), 16))
    )
    with pytest.warns(codes.CollapseWarning):
        report = fitted.evaluate(vectors)
    assert report.image_codes.collapsed and ("different codes searched", "1 of 100", "1 of 100") in report.rows()


def test_a_name_cannot_break_the_page(fitted, vectors) -> None:
    named = PairedData("<b>&", vectors.images, vectors.text_vectors, vectors.parts, labels=vectors.labels)
    assert "<caption>CCA, 16 bits, on &lt;b&gt;&amp;</caption>" in fitted.evaluate(named)._repr_html_()


def test_without_labels_there_is_nothing_to_measure(fitted, vectors) -> None:
    with pytest.raises(InputError, match="data: expected labels, since relevance is a shared label, got none"):
        fitted.evaluate(vectors.without_labels())


# Save and load.


@pytest.mark.parametrize("method", METHODS)
def test_a_saved_hasher_gives_the_same_codes(vectors, tmp_path: Path, method: str) -> None:
    options = {
        "RandomHash": {},
        "CCA": {"ridge": np.float32(0.25), "rotate": True},
        "ITQ": {"iterations": np.int64(7)},
    }[method]
    h = METHODS[method](bits=np.int64(24), seed=np.int32(5), **options).fit(vectors)
    path = h.save(tmp_path / "deep" / "h.safetensors")
    back = ck.load(str(path))
    assert type(back) is METHODS[method] and repr(back) == repr(h) and back.config == h.config
    assert (back.vocabulary_, back.history_, back.fitted) == (h.vocabulary_, h.history_, True)
    for given in ({"images": vectors.query}, {"texts": vectors.query}, {"texts": ["dog sea", "boat"]}):
        assert np.array_equal(back.encode(**given), h.encode(**given))
        assert np.array_equal(back.values(**given), h.values(**given))
    assert back.save(tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_saved_hasher_knows_its_preset(vectors, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(ck.CCA.presets, "other", ck.CCA.presets["lab"])
    h = ck.CCA(bits=8, preset="other").fit(vectors)
    assert ck.load(h.save(tmp_path / "h")).preset == "other"


def test_a_hasher_without_a_vocabulary_comes_back(vectors, tmp_path: Path) -> None:
    bare = PairedData("bare", vectors.images, vectors.text_vectors, vectors.parts)
    h = ck.RandomHash(bits=8).fit(bare)
    assert ck.load(h.save(tmp_path / "h")).vocabulary_ is None


@pytest.fixture
def saved(fitted, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "h.safetensors")


def described(path: Path) -> dict:
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["cmhkit"])


CHANGED = {
    "a list": lambda d: [1],
    "nothing": lambda d: {},
    "null": lambda d: None,
    "no method": lambda d: {k: v for k, v in d.items() if k != "method"},
    "another method": lambda d: d | {"method": "os.system"},
    "a method that is a list": lambda d: d | {"method": ["CCA"]},
    "bits": lambda d: d | {"bits": "x"},
    "other bits": lambda d: d | {"bits": 24},
    "config": lambda d: d | {"config": 3},
    "vocabulary": lambda d: d | {"vocabulary": 3},
    "width": lambda d: d | {"image_width": 13},
    "no width": lambda d: d | {"text_width": None},
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_file_with_another_description_is_one_clear_error(saved: Path, change: str) -> None:
    changed = json.dumps(CHANGED[change](described(saved)))
    save_file(load_file(saved), saved, metadata={"cmhkit": changed})
    with pytest.raises(InputError, match=r"path: expected a file written by save, got .*h\.safetensors"):
        ck.load(saved)


def test_a_file_with_other_arrays_is_one_clear_error(saved: Path) -> None:
    metadata = {"cmhkit": json.dumps(described(saved))}
    save_file({"a": np.ones(2)}, saved, metadata=metadata)
    with pytest.raises(InputError, match="path: expected a file written by save"):
        ck.load(saved)


@pytest.mark.parametrize("method", OPTIONS)
def test_a_file_says_its_format_and_version(shared_cache, tmp_path: Path, method: str) -> None:
    hasher = fitted_small(method)
    path = hasher.save(tmp_path / "h")
    kept = described(path)
    assert (kept["format"], kept["version"], kept["fit_ended"]) == (2, ck.__version__, True)
    back = ck.load(path)
    assert back.fitted and repr(back) == repr(hasher) and back.config == hasher.config
    for kind, given in probes(method).items():
        assert np.array_equal(back.values(**{kind: given}), hasher.values(**{kind: given}))


OLD = Path(__file__).parent / "saved" / "format1"


@pytest.mark.parametrize("method", OPTIONS)
def test_a_file_of_format_1_is_loaded(shared_cache, tmp_path: Path, method: str) -> None:
    """Written by cmhkit 0.1.0 before files had a number; see `small_hashers`."""
    old = OLD / f"{method}.safetensors"
    assert not {"format", "version", "fit_ended"} & described(old).keys()
    expected = json.loads((OLD / "values.json").read_text())[method]
    back = ck.load(old)
    assert back.fitted and back.config == small(method).config
    again = ck.load(back.save(tmp_path / "h"))
    for kind, given in probes(method).items():
        np.testing.assert_allclose(back.values(**{kind: given}), expected[kind], rtol=2e-3, atol=2e-3)
        assert np.array_equal(again.values(**{kind: given}), back.values(**{kind: given}))
    assert described(tmp_path / "h")["format"] == saved_file.FORMAT


def rewritten(path: Path, state: dict | None = None, **changes) -> Path:
    """The same file with another description, or other arrays. A change to None removes an entry."""
    new = {
        name: value for name, value in (described(path) | changes).items() if name not in changes or value is not None
    }
    save_file(load_file(path) if state is None else state, path, metadata={"cmhkit": json.dumps(new)})
    return path


@pytest.mark.parametrize("number", [0, -1, "2", 1.5, True, [2]])
def test_a_format_that_is_no_number_is_one_clear_error(saved: Path, number) -> None:
    with pytest.raises(
        InputError,
        match=r"path: expected a file written by save, got .*: format: expected a whole number of at least 1, got",
    ):
        ck.load(rewritten(saved, format=number))


def test_a_newer_format_names_the_version_that_wrote_it(saved: Path) -> None:
    message = (
        rf"^path: expected a file of format 2 or older, got .*h\.safetensors, which cmhkit 9\.1\.0 wrote in format 3; "
        rf"this is cmhkit {ck.__version__}: update it, or fit the hasher again$"
    )
    with pytest.raises(InputError, match=message):
        ck.load(rewritten(saved, format=3, version="9.1.0", method="Later", config={"anything": 1}))


@pytest.mark.parametrize(
    ("changes", "version"), [({"version": "9.1.0"}, "9.1.0"), ({"format": None, "version": None}, "0.1.0")]
)
def test_an_option_that_is_not_known_names_the_version_that_wrote_it(saved: Path, changes: dict, version: str) -> None:
    options = described(saved)["config"] | {"depth": 3}
    message = (
        rf"^path: expected options of CCA in cmhkit {ck.__version__}, got .*h\.safetensors, which cmhkit {version} "
        r"wrote \(depth: not an option of this method; expected one of ridge, rotate\); "
        "load it with that version, or fit the hasher again$"
    )
    with pytest.raises(InputError, match=message):
        ck.load(rewritten(saved, config=options, **changes))


def test_a_value_that_is_not_known_names_the_version_that_wrote_it(saved: Path) -> None:
    options = described(saved)["config"] | {"ridge": "auto"}
    with pytest.raises(
        InputError, match=r"got .*h\.safetensors, of cmhkit 9\.1\.0: ridge: expected a number of at least 0, got 'auto'"
    ):
        ck.load(rewritten(saved, config=options, version="9.1.0"))


def test_options_that_are_no_more_are_migrated(saved: Path, fitted, monkeypatch) -> None:
    monkeypatch.setattr(type(ck.CCA.presets["lab"]), "gone", {"solver": "svd"})
    rewritten(saved, config={"ridge": 0.3, "rotate": False, "solver": "svd"})
    assert ck.load(saved).config == ck.CCA(ridge=0.3).config
    with pytest.raises(InputError, match=r"which cmhkit .* wrote \(solver: .*power\); load it with that version"):
        ck.load(rewritten(saved, config={"ridge": 0.3, "solver": "power"}))


@pytest.mark.parametrize("change", ["missing", "shape", "type", "more"])
@pytest.mark.parametrize("method", OPTIONS)
def test_arrays_that_do_not_fit_name_the_first_that_differs(
    shared_cache, tmp_path: Path, method: str, change: str
) -> None:
    path = fitted_small(method).save(tmp_path / "h.safetensors")
    state = load_file(path)
    names = [name for name in state if state[name].ndim > 0]
    name = names[len(names) // 2]
    array = state.pop(name) if change != "more" else None
    what = {
        "missing": "got none",
        "shape": r"got .* with shape \(.*\)",
        "type": r"got float16 with shape \(.*\)",
        "more": "got float64 with shape",
    }
    if change == "more":
        state[name := "zzz"] = np.ones(2)
    elif change == "shape":
        state[name] = np.concatenate([array, array], axis=-1)
    elif change == "type":
        state[name] = array.astype(np.float16)
    start = f"path: expected a file written by save, got .*, of cmhkit {ck.__version__}: "
    message = f"{start}expected (an|no) array '{name}',? .*{what[change]}"
    with pytest.raises(InputError, match=message):
        ck.load(rewritten(path, state))


JUNK = {
    "empty": lambda good: b"",
    "text": lambda good: b"hello",
    "noise": lambda good: np.random.default_rng(0).bytes(500),
    "half": lambda good: good[: len(good) // 2],
    "all but the end": lambda good: good[:-5],
    "json": lambda good: b'{"method": "CCA"}',
}


@pytest.mark.parametrize("kind", JUNK)
def test_a_file_of_another_kind_is_one_clear_error(saved: Path, kind: str) -> None:
    saved.write_bytes(JUNK[kind](saved.read_bytes()))
    with pytest.raises(InputError, match=r"path: expected a file written by save, got .*h\.safetensors"):
        ck.load(saved)


def test_safetensors_of_somebody_else_and_no_file_at_all(tmp_path: Path) -> None:
    save_file({"a": np.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="path: expected a file written by save"):
        ck.load(tmp_path / "other.safetensors")
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="path: expected a file that a hasher was saved to, got "):
            ck.load(path)


def test_a_save_that_fails_leaves_the_old_file(saved: Path, vectors, monkeypatch) -> None:
    import safetensors.numpy

    before = saved.read_bytes()

    def fails(state, path, metadata) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(safetensors.numpy, "save_file", fails)
    with pytest.raises(OSError, match="disk full"):
        ck.RandomHash(bits=8).fit(vectors).save(saved)
    assert saved.read_bytes() == before and [p.name for p in saved.parent.iterdir()] == [saved.name]
