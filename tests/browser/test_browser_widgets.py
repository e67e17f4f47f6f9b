"""The widgets in JupyterLab: moved by keyboard, read as text. Screenshots go to out/browser/ for people to look at."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from in_lab import run_all

pytestmark = pytest.mark.timeout(180)

SETUP = '''
import numpy as np
import cmhkit as ck
from cmhkit.course import widgets

data = ck.data.load("scenes", size="tiny")


class StandIn:
    """Codes from the tags, and from noisy labels for the pictures: quick, and good enough to look at."""

    def __init__(self, bits, noise):
        rng = np.random.default_rng(bits)
        self.bits, self.noise, self.plane = bits, noise, rng.normal(size=(data.labels.shape[1], bits))
        x, y = data.train.text_vectors, data.train.labels.astype(float)
        self.read = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)

    def encode(self, images=None, texts=None):
        if texts is not None:
            x = texts.text_vectors if hasattr(texts, "text_vectors") else data.vocabulary.bag_of_words(texts)
            seen = x @ self.read
        else:
            seen = images.labels + np.random.default_rng(1).normal(scale=self.noise, size=images.labels.shape)
        return ck.codes.pack(ck.codes.sign((seen - seen.mean()) @ self.plane))


rng = np.random.default_rng(0)
train = data.train
seen = train.labels + rng.normal(scale=0.4, size=train.labels.shape)
'''
CELLS = {
    "RetrievalExplorer": (
        "few, more = {16: StandIn(16, 0.2), 32: StandIn(32, 0.2)}, StandIn(16, 0.6)\n"
        'widgets.RetrievalExplorer(data, {"rough": more, "finer": few}, words="dog")'
    ),
    "BitFlipper": "widgets.BitFlipper(16, seed=1)",
    "DataBrowser": "widgets.DataBrowser(data)",
    "GraphExplorer": "widgets.GraphExplorer(data, seen, train.text_vectors, item=4, k=6)",
    "SamplingViewer": (
        "h = 1 / (1 + np.exp(-seen[:60] @ rng.normal(size=(24, 16))))\nwidgets.SamplingViewer(h[:3], h, "
        "rng.normal(size=(3, 60)), pictures=train.images[:60], captions=train.texts[:60],\n                       "
        "queries=train.texts[:3], relevant=ck.graphs.label_similarity(train.labels[:3], train.labels[:60]))"
    ),
    "CodeWatcher": (
        "walk = np.cumsum(rng.normal(size=(8, 40, 32)) * np.linspace(1, 0.1, 8)[:, None, None], axis=0)\n"
        "widgets.CodeWatcher(np.tanh(walk), np.linspace(0.16, 0.42, 8))"
    ),
    "MaskExplorer": (
        "from cmhkit.course.masks import truth_places\n"
        "places = truth_places(train.truth.owner[:12])\n"
        "p = np.exp(places * 2.0 + rng.normal(size=places.shape))\n"
        "p /= p.sum(axis=(1, 2), keepdims=True)\n"
        "widgets.MaskExplorer(p, pictures=train.images[:12], truth=places)"
    ),
    "TripletViewer": (
        "distance = rng.random((12, 12)) * 4\nwidgets.TripletViewer(distance, "
        "ck.graphs.label_similarity(train.labels[:12], train.labels[:12]))"
    ),
    "MaskReplay": (
        "steps = np.stack([(places * t + rng.normal(size=places.shape)) > 0.8 for t in range(5)])\n"
        "widgets.MaskReplay(steps, train.images[:12], places)"
    ),
    "NetworkCodeWatcher": (
        "common = rng.normal(size=(1, 1, 24, 32)) * np.linspace(0, 2, 5)[:, None, None]\n"
        "widgets.NetworkCodeWatcher(*np.tanh(common + rng.normal(size=(3, 5, 24, 32))), captions=train.texts[:24])"
    ),
    "LabelCodeExplorer": (
        "plane = rng.normal(size=(train.labels.shape[1], 32))\nread = lambda sets: 1 / (1 + np.exp(3 - 6 * "
        "sets))\nwidgets.LabelCodeExplorer(train.labels, lambda sets: sets @ plane - 0.3, read, "
        "names=data.label_names, chosen=('bird',))"
    ),
    "DistributionReplay": (
        "apart = np.linspace(3, 0, 6)[:, None, None]\nlabel, image, text = (rng.random((6, 40, 16)) + apart * "
        "rng.random(16) for _ in range(3))\njudged = [np.stack([np.full((6, 40), 0.9), rng.random((6, 40)) ** "
        "np.linspace(6, 1, 6)[:, None]]) for _ in range(2)]\nwidgets.DistributionReplay(label, image, text, "
        "image_scores=judged[0], text_scores=judged[1], captions=train.texts[:40])"
    ),
    "ComparisonExplorer": (
        "parts = {'query': data.query, 'retrieval': data.retrieval}\n"
        "coded = lambda h: {n: {'images': h.encode(images=p), 'texts': h.encode(texts=p)} for n, p in parts.items()}\n"
        "widgets.ComparisonExplorer(data, {f'noise {s}': coded(StandIn(32, s)) for s in (0.9, 0.6, 0.3, 0.1)}, query=3)"
    ),
    "AblationSlider": (
        "maps = 0.3 + 0.1 * rng.random((5, 2, 2))\nabout = {'method': 'UGACH', 'bits': 32, 'size': 'lab', 'asked': "
        "'400 training pairs, held out', 'fixed': {'rounds': 0}}\nk_text = {**about, 'option': 'k_text', 'values': "
        "[5, 15, 50, 150, 500], 'default': 50, 'map': maps}\nwidgets.AblationSlider([k_text, {'method': 'ADAH', "
        "'option': 'margin', 'values': [8, 16, 32], 'default': 16, 'map': maps[:3]}])"
    ),
}
MULTIPLES = "widgets.CodeWatcher(np.tanh(walk), np.linspace(0.16, 0.42, 8)).small_multiples()"


@pytest.fixture(scope="module")
def page(new_tab, lab: str, lab_root: Path) -> Iterator[object]:
    """A notebook with every widget, opened and run."""
    sources = [SETUP, *CELLS.values(), MULTIPLES]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources], metadata=kernel
    )
    nbformat.write(notebook, lab_root / "widgets.ipynb")
    tab = new_tab()
    run_all(tab, lab.format("widgets.ipynb"), 90)
    tab.wait_for_function(
        "document.querySelectorAll('.jp-OutputArea-output .cmh-status').length >= " + str(len(CELLS)), timeout=90_000
    )
    tab.wait_for_function("document.querySelectorAll('.jp-OutputArea-output h4').length >= 3")
    yield tab
    tab.context.close()


def cell(page, name: str):
    """The output of one widget's cell, scrolled into view."""
    found = page.locator(".jp-CodeCell").nth(1 + list(CELLS).index(name)).locator(".jp-Cell-outputWrapper")
    found.scroll_into_view_if_needed()
    return found


def status(output) -> str:
    return output.locator("[role=status]").inner_text()


def wait_status(output, pattern: str) -> str:
    """The status line, once it matches."""
    line = output.locator("[role=status]").filter(has_text=re.compile(pattern))
    try:
        line.wait_for(timeout=30_000)
    except Exception:
        focused = output.page.evaluate(
            "document.activeElement.value + ' in ' + document.activeElement.outerHTML.slice(0, 200)"
        )
        pytest.fail(
            f"the status line never said {pattern!r}; it says {status(output)!r}, and the focus is on {focused}"
        )
    return line.inner_text()


def theme(page, name: str) -> None:
    page.evaluate(
        "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", f"JupyterLab {name}"
    )
    page.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=str(name == "Light").lower())
    page.wait_for_timeout(300)


def test_retrieval_by_keyboard(page) -> None:
    output = cell(page, "RetrievalExplorer")
    assert re.search(r"Pictures for “dog”, rough, 16 bits: \d+ of 10 relevant", status(output))
    box = output.get_by_label("words")
    box.focus()
    box.press("Control+a")
    page.keyboard.type("boat zzz")
    page.keyboard.press("Enter")
    text = wait_status(output, "Not in the vocabulary: zzz")
    assert "words dog → “boat zzz”" in text
    assert output.locator(".cmh-card").count() == 10
    for picture in output.locator(".cmh-card img").all():
        assert re.match(r"Scene \d+: .+", picture.get_attribute("alt"))
    signs = output.locator(".cmh-card").all_inner_texts()
    assert all("✓ relevant" in sign or "✗ not relevant" in sign for sign in signs)
    method = output.get_by_label("method")
    method.focus()
    page.keyboard.press("ArrowDown")
    wait_status(output, "method rough → finer")
    assert method.evaluate("node => node === document.activeElement")  # the gallery changed, the focus stayed
    page.keyboard.press("Tab")
    assert output.get_by_label("bits").evaluate("node => node === document.activeElement")
    page.keyboard.press("ArrowDown")
    wait_status(output, "bits 16 → 32")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    wait_status(output, "k 10 → 4")
    assert output.locator(".cmh-card").count() == 4
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # the slider beside it
    wait_status(output, "k 4 → 5")
    output.get_by_label("query by").select_option(label="a picture")
    wait_status(output, "Texts for picture 0")
    assert output.locator("img").count() == 1
    assert not box.is_visible()


def test_bits_by_keyboard(page) -> None:
    output = cell(page, "BitFlipper")
    before = int(re.search(r"distance (\d+)", status(output)).group(1))
    first = output.locator(".jupyter-widgets.widget-toggle-button").first
    assert first.get_attribute("title").startswith("code a, bit 0: ")
    first.focus()
    page.keyboard.press("Space")
    after = wait_status(output, "flipped a bit 0")
    assert abs(int(re.search(r"distance (\d+)", after).group(1)) - before) == 1
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    wait_status(output, "flipped a bit 1")
    output.get_by_label("bits K").select_option("32")
    wait_status(output, "of 32 bits")
    page.wait_for_function(
        "node => node.querySelectorAll('.widget-toggle-button').length === 64", arg=output.element_handle()
    )


def test_data_by_keyboard(page) -> None:
    output = cell(page, "DataBrowser")
    assert status(output) == "train: 400 of 400 items in all; items 1 to 12, page 1 of 34."
    concept = output.get_by_label("concept")
    assert concept.input_value() == "all"
    concept.focus()
    page.keyboard.press("ArrowDown")
    wait_status(output, "concept all → mammal")
    page.keyboard.press("ArrowUp")
    wait_status(output, "concept mammal → all")
    assert concept.input_value() == "all"
    page.keyboard.press("ArrowDown")
    wait_status(output, "concept all → mammal")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    wait_status(output, "page 2 of")
    output.get_by_label("show the true place of each drawing").focus()
    page.keyboard.press("Space")
    wait_status(output, "masks off → on")
    assert "Masks: 1 " in output.locator(".cmh-card").first.inner_text()
    assert "with masks: 1 " in output.locator(".cmh-card img").first.get_attribute("alt")


def test_graph_by_keyboard(page) -> None:
    output = cell(page, "GraphExplorer")
    assert re.search(r"Item 4, 6 neighbours in picture space \(cosine, k = 6\): \d share a label", status(output))
    output.get_by_label("modality").focus()
    page.keyboard.press("ArrowDown")
    wait_status(output, "modality image → text")
    box = output.get_by_label("neighbours k")
    box.focus()
    box.press("Control+a")
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    wait_status(output, "k 6 → 9")
    assert output.locator(".cmh-card").count() == 10  # the item and its neighbours
    assert (
        output.locator("figure img").get_attribute("alt").startswith("Drawn graph. Item 4, 9 neighbours in text space")
    )


def test_sampling_by_keyboard(page) -> None:
    output = cell(page, "SamplingViewer")
    spread = float(re.search(r"about ([\d.]+) items", status(output)).group(1))
    output.get_by_label("temperature").focus()
    page.keyboard.press("ArrowDown")
    text = wait_status(output, "temperature 1 → 2")
    assert float(re.search(r"about ([\d.]+) items", text).group(1)) > spread
    output.get_by_role("button", name="draw again").focus()
    page.keyboard.press("Enter")
    wait_status(output, "seed 0 → 1")
    assert output.locator("table tr").count() == 11


def test_masks_by_keyboard(page) -> None:
    output = cell(page, "MaskExplorer")
    before = status(output)
    truth = output.get_by_label("show the truth")
    truth.focus()
    page.keyboard.press("Space")
    wait_status(output, "truth off → on")
    item = output.get_by_label("item", exact=True)
    item.focus()
    item.press("Control+a")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    assert wait_status(output, "item 0 → 3") != before
    assert all(picture.get_attribute("alt") for picture in output.locator("img").all())


def test_triplets_by_keyboard(page) -> None:
    output = cell(page, "TripletViewer")
    anchor = output.get_by_label("anchor", exact=True)
    anchor.focus()
    anchor.press("Control+a")
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    wait_status(output, "anchor 0 → 5")


def test_replay_by_keyboard(page) -> None:
    output = cell(page, "MaskReplay")
    output.get_by_role("button", name="step back").focus()
    page.keyboard.press("Enter")
    wait_status(output, "step 4 → 3")


def test_labels_by_keyboard(page) -> None:
    output = cell(page, "LabelCodeExplorer")
    assert re.match(r"Bird: \d+ training items have exactly this set\.", status(output))
    box = output.get_by_label("fruit", exact=True)
    box.focus()
    page.keyboard.press("Space")
    wait_status(output, r"fruit on: \d+ of 32 bits flipped\. Bird, fruit: ")
    assert box.is_checked() and box.evaluate("node => node === document.activeElement")
    output.get_by_role("button", name="all off").focus()
    page.keyboard.press("Enter")
    wait_status(output, "bird off, fruit off: .*No label: 0 training items")
    assert not output.get_by_label("bird", exact=True).is_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the next common set
    wait_status(output, "exactly this set")
    rows = output.locator("table tr").count()
    listed = output.get_by_label("sets listed", exact=True)
    listed.focus()
    listed.press("Control+a")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    wait_status(output, "sets listed 8 → 3")
    assert rows == 9 and output.locator("table tr").count() == 4


def test_distributions_by_keyboard(page) -> None:
    output = cell(page, "DistributionReplay")
    assert re.match(
        r"Epoch 5: energy share against labels: pictures 0\.\d\d, words 0\.\d\d; the discriminator is right",
        status(output),
    )
    output.get_by_role("button", name="step back").focus()
    page.keyboard.press("Enter")
    wait_status(output, "step 5 → 4")
    shown = output.get_by_label("show labels with")
    shown.focus()
    page.keyboard.press("ArrowDown")
    assert "words" not in wait_status(output, "shown all → pictures").split(":", 1)[1]
    output.get_by_label("lines").select_option(label="of all items")
    wait_status(output, "lines item → all")
    item = output.get_by_label("item", exact=True)
    item.focus()
    item.press("Control+a")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    wait_status(output, "item 0 → 7")
    assert "Lines join the features of every item." in output.locator("img").first.get_attribute("alt")


def test_comparison_by_keyboard(page) -> None:
    output = cell(page, "ComparisonExplorer")
    assert status(output).startswith("Query 3, a picture asks for texts, the first 5: noise 0.9 ")
    assert output.locator("td .cmh-card").count() == 20
    box = output.get_by_label("query", exact=True)
    box.focus()
    box.press("Control+a")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    wait_status(output, "query 3 → 7")
    way = output.get_by_label("way", exact=True)
    way.focus()
    page.keyboard.press("ArrowDown")
    wait_status(output, "way images → texts")
    assert way.evaluate("node => node === document.activeElement")
    for picture in output.locator("td img").all():
        assert re.match(r"Scene \d+: .+", picture.get_attribute("alt"))
    output.get_by_label("compare with").focus()
    page.keyboard.press("ArrowDown")
    wait_status(output, r"In common with noise 0\.6: noise 0\.9 \d")


def test_ablations_by_keyboard(page) -> None:
    output = cell(page, "AblationSlider")
    assert status(output).startswith("UGACH, k_text = 50: MAP 0.")
    value = output.get_by_label("value", exact=True)
    value.focus()
    page.keyboard.press("ArrowDown")
    wait_status(output, r"k_text = 150: MAP 0\.\d{3}")
    output.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    wait_status(output, "k_text = 500: ")
    output.get_by_label("sweep", exact=True).select_option(label="ADAH, margin")
    wait_status(output, "ADAH, margin = 16: MAP")
    assert value.evaluate("node => node.selectedOptions[0].textContent") == "16"


def test_watcher_by_keyboard(page) -> None:
    output = cell(page, "CodeWatcher")
    assert status(output).startswith("Epoch 7: ")
    output.get_by_role("button", name="step back").focus()
    page.keyboard.press("Enter")
    wait_status(output, "step 7 → 6")
    box = output.get_by_label("step", exact=True)
    box.focus()
    box.press("Control+a")
    page.keyboard.type("0")
    page.keyboard.press("Enter")
    wait_status(output, "the first step")
    output.locator(".jupyter-widget-play button, .widget-play button").first.focus()
    page.keyboard.press("Enter")
    wait_status(output, r"Epoch [23456]: ")
    assert re.search(r"MAP 0\.\d{3}", status(output))


def test_networks_by_keyboard(page) -> None:
    output = cell(page, "NetworkCodeWatcher")
    assert status(output).startswith("Epoch 4, 24 items, bits that agree with B: LabNet ")
    output.get_by_role("button", name="step back").focus()
    page.keyboard.press("Enter")
    wait_status(output, "step 4 → 3")
    item = output.get_by_label("item", exact=True)
    item.focus()
    item.press("Control+a")
    page.keyboard.type("20")
    page.keyboard.press("Enter")
    wait_status(output, "item 0 → 20")
    assert "the arrow points at item 20" in output.inner_text()
    assert output.locator("img").count() == 5 and all(
        picture.get_attribute("alt") for picture in output.locator("img").all()
    )


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("look", ["Light", "Dark"])
def test_nothing_is_cut(page, shots: Path, width: int, look: str) -> None:
    page.set_viewport_size({"width": width, "height": 1700})
    theme(page, look)
    page.evaluate("window.jupyterapp.shell.collapseLeft()")
    page.wait_for_timeout(300)
    for name in CELLS:
        output = cell(page, name)
        output.screenshot(path=str(shots / f"{name}-{width}-{look.lower()}.png"))
        wide = output.evaluate(
            """node => { const edge = node.getBoundingClientRect().right + 1;
            return [...node.querySelectorAll('.widget-vbox *, .widget-hbox *')]
              .filter(e => !e.closest('.cmh-scroll') && !e.closest('select')
                && getComputedStyle(e).visibility !== 'hidden'
                && e.getBoundingClientRect().width > 1 && e.getBoundingClientRect().right > edge)
              .map(e => e.tagName + '.' + e.className).slice(0, 5) }"""
        )
        assert wide == [], (name, wide)
    page.screenshot(path=str(shots / f"lab-{width}-{look.lower()}.png"))


STOPS = """node => {
    const kinds = 'button, input, select, textarea, [tabindex="0"]';
    const stops = [...node.querySelectorAll(kinds)]
        .filter(e => e.offsetParent && !e.disabled && e.tabIndex >= 0 && !e.closest('.cmh-scroll'));
    window.cmhStops = stops;
    return stops.map(e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.bottom]; });
}"""


@pytest.mark.parametrize("name", CELLS)
def test_tab_goes_through_the_controls_as_they_are_read(page, name: str) -> None:
    output = cell(page, name).locator(".cmh-controls").first
    places = output.evaluate(STOPS)
    assert len(places) > 1
    page.evaluate("window.cmhStops[0].focus()")
    seen = []
    for _ in places:
        seen.append(page.evaluate("window.cmhStops.indexOf(document.activeElement)"))
        page.keyboard.press("Tab")
    assert seen == list(range(len(places)))
    for (left, _, bottom), (next_left, next_top, _) in itertools.pairwise(places):
        assert next_left > left or next_top >= bottom - 8, (name, places)  # to the right, or down


def test_labels_are_whole(page) -> None:
    """No label or option is shortened with an ellipsis."""
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.widget-label, .widget-button, .jupyter-button')]
          .filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1 && e.textContent.trim())
          .map(e => e.textContent)"""
    )
    assert cut == []


def test_the_console_is_empty(page) -> None:
    assert page.problems == []
