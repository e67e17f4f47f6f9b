"""Widgets: pure states without a browser, and views that follow them."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from cmhkit.course import widgets
from cmhkit.course.widgets import base
from cmhkit.course.widgets.sampling_viewer import generator_distribution, reward_of
from cmhkit.data.pairs import PairedData, SceneTruth
from cmhkit.data.text import Vocabulary
from cmhkit.support.checks import InputError

LIVE = "application/vnd.jupyter.widget-view+json"
WORDS = ("cat", "dog", "boat", "ship", "cake", "bread")
PLANE = np.random.default_rng(1).normal(size=(len(WORDS), 8))


def scenes(n: int = 60, pictures: bool = True, labels: bool = True) -> PairedData:
    """Items of three labels: two words each, and a picture whose colour is its label."""
    rng = np.random.default_rng(0)
    kind = np.arange(n) % 3
    vocabulary = Vocabulary(WORDS)
    texts = [f"{WORDS[2 * c]} {WORDS[2 * c + 1]}" if i % 2 else WORDS[2 * c] for i, c in enumerate(kind)]
    images = np.full((n, 16, 16, 3), 255, np.uint8)
    images[:, 4:12, 4:12] = np.eye(3, dtype=np.uint8)[kind][:, None, None] * 200 + rng.integers(
        0, 20, (n, 8, 8, 3)
    ).astype(np.uint8)
    owner = np.zeros((n, 16, 16), np.uint8)
    owner[:, 4:12, 4:12] = 1
    drawings = np.stack([kind, np.full(n, -1), np.full(n, -1)], axis=1).astype(np.int32)
    truth = SceneTruth(owner, drawings, ("a cat", "a boat", "a cake"), np.arange(3, dtype=np.int32))
    parts = {"query": np.arange(12), "retrieval": np.arange(12, n), "train": np.arange(12, n - 6)}
    return PairedData(
        name="toy",
        images=images if pictures else images.reshape(n, -1)[:, 300:340].astype(np.float32),
        text_vectors=vocabulary.bag_of_words(texts),
        parts=parts,
        labels=np.eye(3, dtype=np.uint8)[kind] if labels else None,
        texts=texts,
        label_names=("pet", "vessel", "food") if labels else (),
        ids=np.arange(n) + 1000,
        vocabulary=vocabulary,
        truth=truth if pictures else None,
    )


class Hasher:
    """A double that gives each kind its own code: 8 bits, two or three of them on."""

    def __init__(self, bits: int = 8) -> None:
        self.bits, self.calls = bits, 0
        self.codes = np.repeat(np.array([[0b11100000], [0b00011100], [0b00000011]], np.uint8), bits // 8, axis=1)

    def encode(self, images=None, texts=None):
        self.calls += 1
        if texts is not None:
            vectors = getattr(texts, "text_vectors", None)
            vectors = Vocabulary(WORDS).bag_of_words(texts) if vectors is None else vectors
            return self.codes[vectors.reshape(len(vectors), 3, 2).sum(axis=2).argmax(axis=1)]
        pictures = getattr(images, "images", images)
        return self.codes[pictures[:, 8, 8].astype(int).argmax(axis=1)]


def coded(data: PairedData, hasher: Hasher) -> dict:
    """Codes of both parts, of pictures and of texts."""
    parts = {"query": data.query, "retrieval": data.retrieval}
    return {
        name: {"images": hasher.encode(images=part), "texts": hasher.encode(texts=part)} for name, part in parts.items()
    }


def every_widget() -> list[base.Widget]:
    data = scenes()
    rng = np.random.default_rng(0)
    flat = data.train.images.reshape(len(data.train), -1) / 255.0
    return [
        widgets.RetrievalExplorer(data, {"A": Hasher(8), "B": {8: Hasher(8), 16: Hasher(16)}}, k=4),
        widgets.BitFlipper(16, seed=1),
        widgets.DataBrowser(data, page_size=5),
        widgets.GraphExplorer(data, flat, data.train.text_vectors, k=3, max_k=8),
        widgets.SamplingViewer(
            rng.random((2, 8)), rng.random((20, 8)), rng.normal(size=(2, 20)), pictures=data.train.images[:20], top=5
        ),
        widgets.CodeWatcher(np.tanh(rng.normal(size=(4, 10, 8))), [0.2, 0.3, 0.4, 0.5]),
        widgets.MaskExplorer(rng.dirichlet(np.ones(64), size=6).reshape(6, 8, 8), pictures=data.train.images[:6]),
        widgets.TripletViewer(rng.random((6, 6)), rng.random((6, 6)) < 0.5),
        widgets.MaskReplay(rng.random((3, 6, 8, 8)) < 0.4, data.train.images[:6]),
        widgets.DistributionReplay(
            *rng.random((3, 4, 20, 5)), image_scores=rng.random((2, 4, 20)), text_scores=rng.random((2, 4, 20))
        ),
        widgets.NetworkCodeWatcher(*np.tanh(rng.normal(size=(3, 4, 6, 8)))),
        widgets.LabelCodeExplorer(
            rng.random((20, 6)) < 0.4, lambda sets: sets @ PLANE - 0.4, names=tuple(WORDS), chosen=("dog", "boat")
        ),
        widgets.ComparisonExplorer(data, {"A": coded(data, Hasher(8)), "B": coded(data, Hasher(16))}, query=1, k=3),
        widgets.AblationSlider(
            [{"method": m, "option": "k", "values": [1, 5], "default": 5, "map": rng.random((2, 3, 2))} for m in "AB"]
        ),
    ]


WIDGETS = [type(widget).__name__ for widget in every_widget()]


@pytest.fixture(params=range(len(WIDGETS)), ids=WIDGETS)
def widget(request: pytest.FixtureRequest) -> base.Widget:
    return every_widget()[request.param]


def test_import_is_lazy() -> None:
    code = (
        "import sys, cmhkit.course.widgets; assert not {'ipywidgets', 'matplotlib', 'PIL', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_names_exist_and_others_do_not() -> None:
    assert all(hasattr(widgets, name) for name in widgets.__all__)
    with pytest.raises(AttributeError):
        widgets.Nothing  # noqa: B018


# what holds for every widget


def test_no_dropdown_is_empty(widget: base.Widget) -> None:
    for control in controls(widget, "Dropdown"):
        assert control.index is not None and control.label is not None, control.description
        assert all(value is not None for _, value in control.options), (
            f"{control.description}: ipywidgets shows None as an empty box"
        )


def test_bundle_has_live_view_and_fixed_twin(widget: base.Widget) -> None:
    bundle = widget._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", LIVE}
    assert bundle["text/plain"] == f"{widget.title}. {widget.result.summary}" == repr(widget)
    assert bundle[LIVE]["model_id"] == widget.view().model_id
    assert "VBox" not in bundle["text/plain"]


def test_twin_is_the_same_every_time(widget: base.Widget) -> None:
    again = every_widget()[WIDGETS.index(type(widget).__name__)]
    assert again.static().html == widget.static().html
    assert again.small_multiples().html == widget.small_multiples().html


def test_pictures_have_alternative_text(widget: base.Widget) -> None:
    for page in (widget.static().html, widget.small_multiples().html):
        for tag in re.findall(r"<img\b[^>]*>", page):
            assert re.search(r'alt="[^"]+"', tag)
            assert 'src="data:image/png;base64,' in tag


def test_pages_are_small(widget: base.Widget) -> None:
    assert len(widget.static().html) < 120_000


def test_state_is_frozen_and_unknown_inputs_are_named(widget: base.Widget) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        widget.state.anything = 1
    before = widget.state
    with pytest.raises(InputError, match="'colour'"):
        widget.set(colour="red")
    assert widget.state is before


def test_small_multiples_leave_the_widget_as_it_is(widget: base.Widget) -> None:
    before = widget.state
    series = widget.small_multiples()
    assert widget.state is before
    assert len(series.text.splitlines()) >= 2
    assert set(series._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_no_output_widget_and_no_interact(widget: base.Widget) -> None:
    import ipywidgets

    def walk(part):
        yield part
        for child in getattr(part, "children", ()):
            yield from walk(child)

    parts = list(walk(widget.view()))
    assert not any(isinstance(part, ipywidgets.Output) for part in parts)
    sliders = [part for part in parts if isinstance(part, ipywidgets.IntSlider)]
    boxes = [part for part in parts if isinstance(part, ipywidgets.BoundedIntText)]
    assert len(sliders) == len(boxes)
    assert all(not slider.continuous_update for slider in sliders)


def test_status_is_announced(widget: base.Widget) -> None:
    widget.view()
    assert 'role="status" aria-live="polite"' in widget._status.value


def controls(widget: base.Widget, kind: str) -> list:
    import ipywidgets

    found, waiting = [], [widget.view()]
    while waiting:
        part = waiting.pop(0)
        if type(part) is getattr(ipywidgets, kind):
            found.append(part)
        waiting = list(getattr(part, "children", ())) + waiting
    return found


# retrieval


def test_words_find_their_pictures() -> None:
    explorer = widgets.RetrievalExplorer(scenes(), {"A": Hasher()}, k=5, words="dog cat")
    result = explorer.result
    assert (result.distances == 0).all()
    assert result.relevant.all()
    assert result.rows.tolist() == [0, 3, 6, 9, 12]  # ties by row
    assert "5 of 5 relevant (by chance about 1.7), distance 0." in result.summary
    assert result.html.count("✓ relevant") == 5
    assert result.html.count('class="cmh-card cmh-yes"') == 5


def test_irrelevant_results_differ_by_border_and_sign() -> None:
    explorer = widgets.RetrievalExplorer(scenes(), {"A": Hasher()}, k=40, words="cake")
    hits = explorer.result.relevant
    assert hits[:16].all() and not hits[16:].any()
    assert explorer.result.html.count("✗ not relevant") == explorer.result.html.count("cmh-card cmh-no") == 24


def test_unknown_words_are_reported() -> None:
    explorer = widgets.RetrievalExplorer(scenes(), {"A": Hasher()}, words="dog zebra gnu")
    assert explorer.result.unknown == ("zebra", "gnu")
    assert "Not in the vocabulary: zebra, gnu." in explorer.result.summary
    nothing = explorer.set(words="zebra")
    assert len(nothing.rows) == 0 and "Not in the vocabulary: zebra." in nothing.summary and "cat" in nothing.summary
    assert "<script" not in explorer.set(words="<script>alert(1)</script> dog").html


def test_picture_finds_texts() -> None:
    explorer = widgets.RetrievalExplorer(scenes(), {"A": Hasher()}, k=3, picture=1)
    result = explorer.result
    assert result.relevant.all() and (result.distances == 0).all()
    assert result.html.count("<img") == 1  # the query; texts are cards of tags
    assert "boat" in result.html and "cat" not in result.html


def test_methods_and_bits_follow_each_other() -> None:
    explorer = widgets.RetrievalExplorer(scenes(), {"A": Hasher(8), "B": {16: Hasher(16), 32: Hasher(32)}})
    explorer.view()
    assert (explorer.state.method, explorer.state.bits) == ("A", 8)
    explorer.set(method="B")
    assert explorer.state.bits == 16
    method, bits = (
        next(c for c in controls(explorer, "Dropdown") if c.description == name) for name in ("method", "bits")
    )
    assert bits.options == (("16", 16), ("32", 32)) and bits.value == 16
    bits.value = 32
    assert explorer.state.bits == 32
    method.label = "A"
    assert (explorer.state.method, explorer.state.bits, bits.value) == ("A", 8, 8)
    with pytest.raises(InputError, match="bits"):
        explorer.set(bits=64)


def test_the_retrieval_set_is_encoded_once() -> None:
    hasher = Hasher()
    explorer = widgets.RetrievalExplorer(scenes(), {"A": hasher}, words="dog")
    explorer.set(k=3)
    explorer.set(words="cat")
    assert hasher.calls == 4  # the set once, and the query each time


def test_controls_follow_set_and_back() -> None:
    explorer = widgets.RetrievalExplorer(scenes(), {"A": Hasher()}, k=5, words="dog")
    explorer.view()
    slider = next(s for s in controls(explorer, "IntSlider") if s.max == 48)
    slider.value = 7
    assert explorer.state.k == 7 and len(explorer.result.rows) == 7
    assert "k 5 → 7" in explorer._status.value
    explorer.set(k=2)
    assert slider.value == 2
    (box,) = controls(explorer, "Text")
    box.value = "boat"
    assert explorer.state.words == "boat" and "words dog → boat" in explorer._status.value


def test_features_without_labels_or_texts() -> None:
    data = scenes(pictures=False, labels=False)
    data = dataclasses.replace(data, texts=None, vocabulary=None)
    hasher = SimpleNamespace(
        bits=8,
        encode=lambda images=None, texts=None: np.zeros((len(images if images is not None else texts), 1), np.uint8),
    )
    explorer = widgets.RetrievalExplorer(data, {"A": hasher}, k=2)
    assert explorer.state.mode == "picture" and explorer.result.relevant is None
    assert "relevant" not in explorer.result.summary
    assert "no picture" in widgets.DataBrowser(data).result.html
    graph = widgets.GraphExplorer(data, data.train.images, data.train.text_vectors)
    assert graph.result.agree is None and "<img" in graph.result.html


@pytest.mark.parametrize(
    "wrong", [{"k": 0}, {"k": 2.5}, {"mode": "sound"}, {"picture": 12}, {"words": 3}, {"method": "C"}]
)
def test_retrieval_refuses(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        widgets.RetrievalExplorer(scenes(), {"A": Hasher()}).set(**wrong)


def test_retrieval_needs_a_hasher() -> None:
    with pytest.raises(InputError, match="hashers"):
        widgets.RetrievalExplorer(scenes(), {})


# bits


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_inner_product_is_bits_minus_twice_the_distance(bits: int) -> None:
    flipper = widgets.BitFlipper(bits, seed=3)
    for bit in range(bits):
        before = flipper.result.distance
        result = flipper.flip("a", bit)
        assert abs(result.distance - before) == 1
        assert result.inner == bits - 2 * result.distance
        assert sum(int(o).bit_count() for o in result.bytes_xor) == result.distance
        assert (result.bytes_xor == (result.bytes_a ^ result.bytes_b)).all()


def test_bytes_are_the_library_s() -> None:
    codes = pytest.importorskip("cmhkit.codes")
    flipper = widgets.BitFlipper(16, seed=2)
    assert (flipper.result.bytes_a == codes.pack(flipper.state.a[None])[0]).all()


def test_switches_flip_bits_and_say_so() -> None:
    flipper = widgets.BitFlipper(8)
    flipper.view()
    flipper.set(a=np.ones(8), b=np.ones(8))
    flipper._buttons["b", 5].value = False
    assert flipper.result.distance == 1 and flipper.state.b[5] == -1
    assert "flipped b bit 5" in flipper._status.value
    assert flipper._buttons["b", 5].description == "0" and flipper._buttons["b", 5].tooltip == "code b, bit 5: -1"
    flipper.set(bits=32)
    assert len(flipper._buttons) == 64 and len(flipper._xor) == 4


@pytest.mark.parametrize("wrong", [{"bits": 12}, {"seed": -1}, {"a": np.zeros(8)}, {"b": np.ones(9)}])
def test_flipper_refuses(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        widgets.BitFlipper().set(**wrong)


# data


def test_browser_filters_and_pages() -> None:
    browser = widgets.DataBrowser(scenes(), split="retrieval", page_size=5)
    assert (browser.result.matching, browser.result.pages) == (48, 10)
    browser.set(page=9)
    assert len(browser.result.rows) == 3
    result = browser.set(concept="vessel")
    assert browser.state.page == 0 and result.matching == 16 and result.pages == 4
    assert set(result.rows % 3) == {1}
    assert "with the label vessel" in result.summary
    assert widgets.DataBrowser(scenes(), masks=True).result.html.count("Masks: 1 a ") == 12


def test_browser_pages_are_counted_from_one_on_the_page() -> None:
    browser = widgets.DataBrowser(scenes(), split="retrieval", page_size=5)
    browser.view()
    (box,), (slider,) = controls(browser, "BoundedIntText"), controls(browser, "IntSlider")
    assert (box.value, box.max) == (1, 10)
    box.value = 10
    assert browser.state.page == 9 and slider.value == 10
    next(c for c in controls(browser, "Dropdown") if c.description == "concept").label = "pet"
    assert (browser.state.page, box.value, box.max) == (0, 1, 4)


def test_the_concept_of_all_items_is_a_choice_like_the_others() -> None:
    browser = widgets.DataBrowser(scenes())
    browser.view()
    concept = next(c for c in controls(browser, "Dropdown") if c.description == "concept")
    assert (concept.index, concept.label) == (0, "all")  # an empty box would need two key presses to leave it
    concept.index = 1
    assert browser.state.concept == concept.label == "pet"
    concept.index = 0
    assert browser.state.concept is None and "items in all" in browser.result.summary
    browser.set(concept="vessel")
    browser.set(concept=None)
    assert (concept.index, concept.label) == (0, "all")


def test_overlay_marks_the_drawing() -> None:
    from cmhkit.course.widgets.data_browser import overlay

    data = scenes()
    drawn = overlay(data.images[0], data.truth.owner[0], scale=2)
    assert drawn.shape == (32, 32, 3) and drawn.dtype == np.uint8
    assert (drawn[8, 8] == (0, 114, 178)).all() and (drawn[0, 0] == 255).all()


@pytest.mark.parametrize("wrong", [{"split": "test"}, {"concept": "tree"}, {"page": 99}, {"masks": 1}])
def test_browser_refuses(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        widgets.DataBrowser(scenes()).set(**wrong)


# graph


def explorer_and_vectors(**options) -> tuple[widgets.GraphExplorer, np.ndarray, PairedData]:
    data = scenes()
    vectors = np.random.default_rng(5).normal(size=(len(data.train), 6))
    return (
        widgets.GraphExplorer(data, vectors, data.train.text_vectors + 0.01 * vectors, max_k=10, **options),
        vectors,
        data,
    )


def test_neighbours_and_agreement_equal_the_plain_ones() -> None:
    graphs = pytest.importorskip("cmhkit.graphs")
    explorer, vectors, data = explorer_and_vectors(metric="euclidean", k=4, item=7)
    distance = np.linalg.norm(vectors - vectors[7], axis=1)
    distance[7] = np.inf
    assert explorer.result.neighbours.tolist() == np.argsort(distance)[:4].tolist()
    graph = graphs.knn_graph(vectors, 4, metric="euclidean")
    assert explorer.result.overall == pytest.approx(graph.agreement(data.train.labels))
    kind = data.train.labels.argmax(axis=1)
    assert explorer.result.agree.tolist() == (kind[explorer.result.neighbours] == kind[7]).tolist()
    pairs = kind[:, None] == kind
    assert explorer.result.chance == pytest.approx((pairs.sum() - len(kind)) / (len(kind) * (len(kind) - 1)))
    assert explorer.result.mutual.tolist() == [7 in graph.neighbours[j] for j in explorer.result.neighbours]


def test_both_is_the_union() -> None:
    explorer, _, data = explorer_and_vectors(k=4, modality="both")
    one, two = (explorer.state.change(modality=m).result.neighbours for m in ("image", "text"))
    assert set(explorer.result.neighbours) == set(one) | set(two)
    assert len(set(explorer.result.neighbours)) == len(explorer.result.neighbours)
    kind, lists = data.train.labels.argmax(axis=1), explorer.state.source.lists("both", "cosine", 4)
    sets = [set(row) for row in lists]
    by_hand = [kind[i] == kind[j] for i, row in enumerate(sets) for j in row]
    assert explorer.result.overall == pytest.approx(np.mean(by_hand))


@pytest.mark.parametrize("wrong", [{"item": 999}, {"k": 0}, {"metric": "city"}, {"modality": "sound"}])
def test_graph_refuses(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        explorer_and_vectors()[0].set(**wrong)


def test_graph_wants_a_vector_for_each_item() -> None:
    data = scenes()
    with pytest.raises(InputError, match="image_vectors: expected 42 rows"):
        widgets.GraphExplorer(data, np.zeros((5, 2)), data.train.text_vectors)


# sampling


def test_generator_distribution_is_a_softmax_of_squared_distances() -> None:
    rng = np.random.default_rng(0)
    q, pool = rng.random(6), rng.random((5, 6))
    weights = np.exp([-((x - q) ** 2).sum() / 0.5 for x in pool])
    assert generator_distribution(q, pool, 0.5) == pytest.approx(weights / weights.sum())
    assert generator_distribution(q, 1e3 * pool).sum() == pytest.approx(1)  # no overflow


def test_rewards() -> None:
    assert reward_of(np.array([0.0, 800.0]), "softplus") == pytest.approx([np.log(2), 800])
    assert reward_of(np.array([0.0, 800.0, -800.0]), "sigmoid") == pytest.approx([0.5, 1, 0])


def sampler(**options) -> widgets.SamplingViewer:
    rng = np.random.default_rng(1)
    return widgets.SamplingViewer(rng.random((3, 8)), rng.random((30, 8)), rng.normal(size=(3, 30)), **options)


def test_draws_follow_p() -> None:
    result = sampler(draws=1000, temperature=0.3, pool=6).result
    drawn = (result.drawn[:, None] == result.members).mean(axis=0)
    assert drawn.sum() == pytest.approx(1)  # the draws come from the pool
    assert drawn == pytest.approx(result.p, abs=4 * np.sqrt(0.25 / 1000))


def test_sampling_numbers() -> None:
    viewer = sampler(pool=10, draws=25, reward="sigmoid")
    result = viewer.result
    assert result.p.sum() == pytest.approx(1) and len(result.members) == 10 and len(result.drawn) == 25
    assert result.rewards == pytest.approx(1 / (1 + np.exp(-viewer.state.scores[0][result.drawn])))
    assert (sampler(pool=10, draws=25).result.drawn == result.drawn).all()  # seeded
    assert set(viewer.state.members) <= set(viewer.state.change(pool=20).members)
    hot, cold = (viewer.state.change(temperature=t).result.effective for t in (100.0, 0.01))
    assert hot == pytest.approx(10, abs=0.1) and cold < 3
    assert "The first 20 of 25 draws." in result.html


def test_sampling_controls() -> None:
    viewer = sampler(temperature=0.7, queries=["one", "two", "three"])
    viewer.view()
    warm = next(c for c in controls(viewer, "Dropdown") if c.description == "temperature")
    assert warm.value == 0.7
    viewer.set(temperature=0.33)
    assert warm.value == 0.33
    next(c for c in controls(viewer, "Dropdown") if c.description == "query").index = 2
    assert "“three”" in viewer.result.summary
    (again,) = controls(viewer, "Button")
    again.click()
    assert viewer.state.seed == 1 and "seed 0 → 1" in viewer._status.value


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0},
        {"temperature": "hot"},
        {"pool": 1},
        {"pool": 31},
        {"draws": 0},
        {"query": 3},
        {"reward": "gold"},
        {"seed": -2},
    ],
)
def test_sampling_refuses(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        sampler().set(**wrong)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [("h_query", ((7,), (5, 8), (5,))), ("h_pool", ((8,), (8,), (5,))), ("scores", ((8,), (5, 8), (4,)))],
)
def test_sampling_shapes(name: str, shapes: tuple) -> None:
    with pytest.raises(InputError, match=name):
        widgets.SamplingViewer(*(np.zeros(shape) for shape in shapes))


# codes by epoch


def test_watcher_counts_flips_balance_and_map() -> None:
    history = -np.ones((3, 4, 8))
    history[1, 0, 2] = 0.0  # 0 counts as +1
    history[2, :2, 2] = 0.5
    watcher = widgets.CodeWatcher(history, [0.1, 0.2, 0.3], epochs=[0, 5, 10])
    result = watcher.result
    assert result.codes.dtype == np.int8 and set(np.unique(result.codes)) == {-1, 1}
    assert result.flips.tolist() == [0, 0, 1, 0, 0, 0, 0, 0] and result.balance[2] == 0.5 and result.map == 0.3
    assert (
        "Epoch 10: 1 of 32 bits flipped (3.1 %); 2 different codes among 4 items; balance 0.00 to 0.50; MAP 0.300."
        == result.summary
    )
    assert "the first step" in watcher.set(epoch=0).summary


def test_watcher_plays_and_steps() -> None:
    watcher = widgets.CodeWatcher(np.random.default_rng(0).normal(size=(4, 5, 8)), epoch=0)
    watcher.view()
    (play,) = controls(watcher, "Play")
    back, on = controls(watcher, "Button")
    on.click()
    assert watcher.state.epoch == play.value == 1
    play.value = 3
    on.click()
    assert watcher.state.epoch == 3
    back.click()
    assert watcher.state.epoch == play.value == 2 and "step 3 → 2" in watcher._status.value


def test_watcher_of_one_epoch_has_a_view() -> None:
    watcher = widgets.CodeWatcher(np.ones((1, 5, 8)))
    watcher.view()
    assert watcher.state.epoch == 0


@pytest.mark.parametrize("history", [np.ones((2, 3)), np.ones((0, 3, 8)), np.full((1, 2, 8), np.nan)])
def test_watcher_refuses(history: np.ndarray) -> None:
    with pytest.raises(InputError, match="history"):
        widgets.CodeWatcher(history)


def test_a_bad_value_from_a_control_is_said_and_undone() -> None:
    browser = widgets.DataBrowser(scenes(), page_size=5)
    browser.view()
    before = browser.state
    browser._from_control(page=99)
    assert browser.state is before and "page: expected a whole number" in browser._status.value
