"""The pages of a run, its report and a search in it: one HTML file each that needs nothing else, with its figures and
pictures inside, in light and in dark.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

#: What to cite for each method.
PAPERS = {
    "UGACH": "Jian Zhang, Yuxin Peng, Mingkuan Yuan. Unsupervised Generative Adversarial Cross-modal Hashing. "
    "AAAI 2018.",
    "ADAH": "Xi Zhang, Hanjiang Lai, Jiashi Feng. Attention-aware Deep Adversarial Hashing for Cross-Modal Retrieval. "
    "ECCV 2018.",
    "SSAH": "Chao Li, Cheng Deng, Ning Li, Wei Liu, Xinbo Gao, Dacheng Tao. Self-Supervised Adversarial Hashing "
    "Networks for Cross-Modal Retrieval. CVPR 2018.",
    "CCA": "Harold Hotelling. Relations Between Two Sets of Variates. Biometrika 1936.",
    "ITQ": "Yunchao Gong, Svetlana Lazebnik. Iterative Quantization: A Procrustean Approach to Learning Binary Codes. "
    "CVPR 2011.",
}
WAYS = {"image_to_text": "image → text", "text_to_image": "text → image"}
# A figure in SVG units: its size, the margins left (at least), right, top, bottom, and the width of a digit.
_WIDTH, _HEIGHT = 380, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 44
_DIGIT = 7
_MOST_ROWS = 500
# The longest side of a picture on a page, in pixels, and how well JPEG keeps it.
_SIDE, _QUALITY = 224, 85

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b636b; --line: #d5dade; --paper: #ffffff; --band: #f4f6f8;
  --one: #0b5fa5; --two: #b3470f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #a3abb3; --line: #3b4147; --paper: #16191c; --band: #1f2327;
    --one: #6cb6f5; --two: #f0a05a; }
}
body { margin: 2rem auto; max-width: 54rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .5rem 0; } .soft, figcaption, caption { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .25rem; font-size: .9rem; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th[scope=row], td.text { text-align: left; font-weight: normal; }
td.text { overflow-wrap: anywhere; } thead th { background: var(--band); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .9rem; } svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.grid { stroke: var(--line); } .frame { fill: none; stroke: var(--soft); }
.curve { fill: none; stroke: var(--one); stroke-width: 2; stroke-linejoin: round; } .mark { fill: var(--two); }
pre { background: var(--band); padding: .75rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .9rem; }
.warning { border-left: 4px solid var(--two); padding-left: .75rem; } summary { cursor: pointer; }
.hits { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1.25rem 1rem; padding: 0;
  list-style: none; }
.hits img, .asked img { width: 100%; height: auto; max-width: 14rem; border-radius: 4px; display: block; }
.hits p { margin: .25rem 0; font-size: .9rem; line-height: 1.35; overflow-wrap: anywhere; } .asked { margin: 1rem 0; }
"""


def report_page(
    content: dict[str, Any], config: dict[str, Any], history: Sequence[dict[str, Any]], command: str
) -> str:
    """The page as HTML.

    content: of report.json. config: of config.json. history: one row an epoch. command: what repeats the run.
    """
    title = f"{content['method']}, {content['bits']} bits, on {content['data']}"
    query, retrieval, train = (content["parts"][name] for name in ("query", "retrieval", "train"))
    lead = f"{query:,} queries against {retrieval:,} pairs; {train:,} of these trained the method."
    body = [f"<h1>{_text(title)}</h1>", f'<p class="soft">{_text(lead)}</p>']
    if content["measured"]:
        body += _results(content)
    else:
        body.append("<p>Not measured: the data have no labels, which would say what is relevant.</p>")
    body += [*_history(history), *_settings(config), *_again(content, config, command)]
    return _page(title, body)


def search_page(
    query: str | np.ndarray,
    rows: Sequence[dict[str, Any]],
    pictures: Sequence[np.ndarray | None],
    lead: str,
    notes: Sequence[str] = (),
    credit: str | None = None,
) -> str:
    """A search as HTML: what was asked, and what was found, nearest first, with distances, captions and pictures.

    query: words, or a picture, uint8, shape (R, R, 3). rows: of `cmhkit.app.retrieval.search`. pictures: one a row, or
    None. lead: what was searched, in words. notes: what a reader should know besides. credit: of the pictures.
    """
    by_words = isinstance(query, str)
    title = f"Search: {query}" if by_words else "Search by a picture"
    body = [f"<h1>{_text(f'“{query}”' if by_words else title)}</h1>", f'<p class="soft">{_text(lead)}</p>']
    if not by_words:
        body.append(f'<figure class="asked">{_picture(query, "The picture that was asked with.")}</figure>')
    for note in (note.removeprefix("note: ") for note in notes):
        body.append(f'<p class="warning">{_text(note[:1].upper() + note[1:])}</p>')
    body.append('<ol class="hits">')
    for row, picture in zip(rows, pictures, strict=True):
        caption, labels, file = row.get("text", ""), ", ".join(row.get("labels", ())), row.get("file", "")
        bits = "1 bit" if row["distance"] == 1 else f"{row['distance']} bits"
        lines = [f"<p><strong>{row['rank']}.</strong> distance {bits}</p>"]
        if picture is not None:
            lines.append(_picture(picture, caption or labels or file or f"Item {row['id']}."))
        lines += [f'<p dir="auto">{_text(caption)}</p>'] if caption else []
        lines += [f'<p class="soft" dir="auto">{_text(line)}</p>' for line in (labels, file) if line]
        body.append(f"<li>{''.join(lines)}</li>")
    body.append("</ol>")
    if credit:
        body.append(f'<p class="soft">{_text(credit)}</p>')
    return _page(title, body)


def _page(title: str, body: Sequence[str]) -> str:
    """A whole page that loads and runs nothing."""
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
        f"<title>{_text(title)}</title>",
        f"<style>{_STYLE}</style>",
    ]
    page = ["<!doctype html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", "<main>", *body, "</main>"]
    return "\n".join([*page, "</body>", "</html>", ""])


def _picture(picture: np.ndarray, words: str) -> str:
    """A small picture inside the page. picture: uint8, shape (H, W, 3). words: for who does not see it."""
    from PIL import Image

    small = Image.fromarray(np.asarray(picture))
    small.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=_QUALITY)
    data = base64.b64encode(content.getvalue()).decode()
    size = f'width="{small.width}" height="{small.height}"'
    return f'<img src="data:image/jpeg;base64,{data}" {size} alt="{_text(words)}">'


def _results(content: dict[str, Any]) -> list[str]:
    rules = content["rules"]
    text = f"Rules: ties {rules['ties']}; queries without a relevant item: {rules['empty']}."
    if rules["r"] is not None:
        means = ", ".join(f"{WAYS[way]} {_value(content[way]['map_at_r'])}" for way in WAYS)
        text += f" MAP@{rules['r']}, divisor {rules['divisor']}: {means}."
    table = _table(
        ("", *WAYS.values()), content["table"], "Two items are relevant to each other if they share a label."
    )
    parts = ["<h2>Results</h2>", table, f'<p class="soft">{_text(text)}</p>']
    for name, codes in content["codes"].items():
        for reason in codes["reasons"]:
            parts.append(f'<p class="warning"><strong>Codes of {name}:</strong> {_text(reason)}.</p>')
    if any(content[way]["map"] is None for way in WAYS):
        return [*parts, "<p>No query has a relevant item, so that there is no curve.</p>"]
    figures = []
    for way, name in WAYS.items():
        rank, radius = content[way]["by_rank"], content[way]["by_radius"]
        first, last, half = rank["precision"][0], rank["precision"][-1], _precision_at_recall(rank, 0.5)
        label = (
            f"Precision against recall, {name}: precision {first:.2f} at the first item, "
            f"{half:.2f} at half of the recall, {last:.2f} at the end. MAP {content[way]['map']:.3f}."
        )
        curve = list(zip(rank["recall"], rank["precision"], strict=True))
        marks = [(r, p) for r, p in zip(radius["recall"], radius["precision"], strict=True) if r > 0]
        svg = _chart(label, curve, marks, ("recall", "precision"), ((0, 1), (0, 1)))
        caption = f"{_text(name)}: the curve is by rank, each dot is a Hamming radius."
        figures.append(f"<figure>{svg}<figcaption>{caption}</figcaption></figure>")
    parts += ["<h2>Precision and recall</h2>", f'<div class="figures">{"".join(figures)}</div>']
    columns = [(way, what) for way in WAYS for what in ("precision", "recall")]
    rows = [
        (str(radius), *(f"{content[way]['by_radius'][what][radius]:.3f}" for way, what in columns))
        for radius in range(content["bits"] + 1)
    ]
    head = ("radius", *(f"{what}, {WAYS[way]}" for way, what in columns))
    table = _table(head, rows, "Means over the queries.")
    return [*parts, f"<details><summary>The same as a table, by Hamming radius</summary>{table}</details>"]


def _precision_at_recall(curve: dict[str, list[float]], recall: float) -> float:
    reached = (p for r, p in zip(curve["recall"], curve["precision"], strict=True) if r >= recall)
    return next(reached, curve["precision"][-1])


def _history(history: Sequence[dict[str, Any]]) -> list[str]:
    if not history:
        return []
    names = list(dict.fromkeys(name for row in history for name in row))
    figures = []
    for name in names:
        points = [(row["epoch"], row[name]) for row in history if isinstance(row.get(name), float)]
        if len(points) > 1:
            words = name.replace("_", " ")
            (first, start), (last, end) = points[0], points[-1]
            label = f"{words} by epoch: {start:.4g} in epoch {first}, {end:.4g} in epoch {last}."
            svg = _chart(label, points, [], ("epoch", ""), (_range(x for x, _ in points), _range(y for _, y in points)))
            figures.append(f"<figure><figcaption>{_text(words)}</figcaption>{svg}</figure>")
    shown = history[-_MOST_ROWS:]
    cut = f"The last {_MOST_ROWS} of {len(history)} epochs." if len(history) > len(shown) else "One row an epoch."
    rows = [[_value(row.get(name, "")) for name in names] for row in shown]
    table = _table([name.replace("_", " ") for name in names], rows, cut)
    parts = ["<h2>Training</h2>"]
    if figures:
        parts.append(f'<div class="figures">{"".join(figures)}</div>')
    return [*parts, f"<details><summary>The history as a table</summary>{table}</details>"]


def _settings(config: dict[str, Any]) -> list[str]:
    items = config["items"]
    run = {
        "method": config["method"],
        "bits": config["bits"],
        "preset": config["preset"],
        "seed": config["seed"],
        "device": config["device"],
        "data": config["data"],
        **{f"data: {name}": value for name, value in config["data_options"].items()},
        "pictures": " × ".join(map(str, items["images"])),
        "width of text vectors": items["text_width"],
        "started": config["started"],
        "machine": f"{config['machine']['system']}, {config['machine']['cores']:g} cores",
        "versions": ", ".join(f"{name} {version}" for name, version in config["versions"].items()),
    }
    changed = set(config["options"])
    options = [(name + " (set)" * (name in changed), _value(value)) for name, value in config["config"].items()]
    rows = [(name, _value(value)) for name, value in run.items()]
    parts = ["<h2>Settings</h2>", _table(("what", "value"), rows, "The run.", words=True)]
    if options:
        caption = f"Preset {config['preset']}; what was given besides is marked."
        table = _table(("option", "value"), options, caption, words=True)
        parts.append(f"<details><summary>All options of {_text(config['method'])}</summary>{table}</details>")
    return parts


def _again(content: dict[str, Any], config: dict[str, Any], command: str) -> list[str]:
    kit = f"cmhkit {_text(config['versions']['cmhkit'])}, an interactive teaching kit for deep cross-modal hashing."
    parts = [
        "<h2>To repeat it</h2>",
        f"<pre><code>{_text(command)}</code></pre>",
        '<p class="soft">The same seed gives the same codes on the same device with the same versions.</p>',
        "<h2>To cite it</h2>",
        f"<p>{kit}</p>",
    ]
    if content["method"] in PAPERS:
        parts.append(f"<p>{_text(PAPERS[content['method']])}</p>")
    if config["items"]["credit"]:
        parts.append(f"<p>{_text(config['items']['credit'])}</p>")
    return parts


def _text(value: Any) -> str:
    return html.escape(str(value))


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    return {None: "none", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, *, words: bool = False) -> str:
    """A table with headers. The first column heads the rows. words: the cells hold words, which stand left, and not
    numbers.
    """
    kind = ' class="text"' if words else ""
    first, *others = head
    columns = "".join(f'<th scope="col"{kind and " style=text-align:left"}>{_text(name)}</th>' for name in others)
    corner = f'<th scope="col" style="text-align:left">{_text(first)}</th>' if first else "<td></td>"
    body = "".join(
        f'<tr><th scope="row">{_text(row[0])}</th>{"".join(f"<td{kind}>{_text(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    head = f"<caption>{_text(caption)}</caption><thead><tr>{corner}{columns}</tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def _range(values: Any) -> tuple[float, float]:
    values = list(values)
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, at most seven, that hold low to high between them: multiples of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _chart(
    label: str,
    curve: Sequence[tuple[float, float]],
    marks: Sequence[tuple[float, float]],
    axes: tuple[str, str],
    limits: tuple[tuple[float, float], tuple[float, float]],
) -> str:
    """A figure as SVG: a curve, dots, and a grid. label: what a reader who cannot see it is told. limits: of the
    values; the grid may go beyond.
    """
    ticks_x, ticks_y = (_ticks(*limit) for limit in limits)
    (x0, x1), (y0, y1) = (ticks_x[0], ticks_x[-1]), (ticks_y[0], ticks_y[-1])
    names_y = [f"{y:.12g}" for y in ticks_y]  # in full: a loss may move in its sixth digit
    edge = max(_LEFT, 20 + _DIGIT * max(map(len, names_y)))

    def place(x: float, y: float) -> tuple[float, float]:
        across = edge + (x - x0) / (x1 - x0) * (_WIDTH - edge - _RIGHT)
        down = _HEIGHT - _BOTTOM - (y - y0) / (y1 - y0) * (_HEIGHT - _TOP - _BOTTOM)
        return across, down

    parts = []
    for x in ticks_x:
        across, bottom = place(x, y0)
        parts.append(f'<line class="grid" x1="{across:.1f}" x2="{across:.1f}" y1="{_TOP}" y2="{bottom:.1f}"/>')
        parts.append(f'<text x="{across:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{x:g}</text>')
    for y, name in zip(ticks_y, names_y, strict=True):
        left, down = place(x0, y)
        parts.append(f'<line class="grid" x1="{left:.1f}" x2="{_WIDTH - _RIGHT}" y1="{down:.1f}" y2="{down:.1f}"/>')
        parts.append(f'<text x="{left - 6:.1f}" y="{down + 4:.1f}" text-anchor="end">{name}</text>')
    middle_x, middle_y = (edge + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text x="{middle_x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{_text(axes[0])}</text>')
    turned = f'text-anchor="middle" transform="rotate(-90 12 {middle_y:.1f})"'
    parts.append(f'<text x="12" y="{middle_y:.1f}" {turned}>{_text(axes[1])}</text>')
    points = " ".join(f"{across:.1f},{down:.1f}" for across, down in (place(x, y) for x, y in curve))
    parts.append(f'<polyline class="curve" points="{points}"/>')
    for x, y in marks:
        across, down = place(x, y)
        parts.append(f'<circle class="mark" cx="{across:.1f}" cy="{down:.1f}" r="3.5"/>')
    title = _text(label)
    opening = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}"><title>{title}</title>'
    return f"{opening}{''.join(parts)}</svg>"
