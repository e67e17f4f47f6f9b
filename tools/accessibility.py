"""What a page must keep to so that everybody can read it: checks of HTML, each a function of the parsed page.

`problems(html)` gives all of them for a whole page, `fragment_problems(html)` those that fit a piece, such as a
notebook's output. They follow WCAG 2.2, level AA, where no browser is needed to tell: 1.1.1 text for pictures, 1.3.1
headings and tables, 1.4.3 contrast, 2.4.1 to 2.4.6 skip link, title, links and headings, 3.1.1 language, 4.1.2 names.
Contrast is computed for colours that are written down: inline styles here, the report's themes in `theme_problems`.
Whether meaning hangs on colour alone a program cannot see: the course's palette changes line style and marker with the
colour (`cmhkit.course.lessons.notebook`), and each coloured box holds its word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from bs4 import BeautifulSoup, Tag

AA = 4.5  # WCAG 1.4.3, for text of any size
SIGNS = 3.0  # WCAG 1.4.11, for signs such as ▲ without a letter or a digit
NAMED = {"white": "#ffffff", "black": "#000000"}
# Pairs (text, ground) that report.css puts on each other, by the names of its variables.
THEME_PAIRS = [
    *((ink, ground) for ink in ("ink", "quiet", "link") for ground in ("paper", "raised")),
    *((ink, "raised") for ink in ("keyword", "string", "number", "comment", "function")),
]


def parse(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def problems(html: str) -> list[str]:
    """All that is wrong with a page. Empty: none found."""
    page = parse(html)
    return [*document(page), *headings(page), *pieces(page)]


def fragment_problems(html: str) -> list[str]:
    """All that is wrong with a piece of HTML, apart from what only a whole page can have."""
    return list(pieces(parse(html)))


def pieces(page: BeautifulSoup) -> Iterator[str]:
    for one in (pictures, tables, names, identifiers, folds, contrasts):
        yield from one(page)


def document(page: BeautifulSoup) -> Iterator[str]:
    """A language, a title, one main part, and a first link that leads to it."""
    root = page.find("html")
    if not isinstance(root, Tag) or not root.get("lang"):
        yield "the page names no language: <html lang>"
    if page.title is None or not page.title.get_text(strip=True):
        yield "the page has no title"
    if len(mains := page.find_all("main")) != 1:
        yield f"one <main> is expected, {len(mains)} were found"
    first = page.body.find("a") if page.body else None
    if first is None or not mains or first.get("href") != f"#{mains[0].get('id')}":
        yield "the first link is to lead to <main>"


def headings(page: BeautifulSoup) -> Iterator[str]:
    """One h1, first; no level skipped; none empty."""
    level, titles = 0, 0
    for heading in page.find_all(re.compile("^h[1-6]$")):
        own, text = int(heading.name[1]), heading.get_text(" ", strip=True)
        titles += own == 1
        if own > level + 1:
            yield f"heading {text!r} skips from level {level} to {own}"
        if not text:
            yield f"an empty {heading.name}"
        level = own
    if titles != 1:
        yield f"one h1 is expected, {titles} were found"


def pictures(page: BeautifulSoup) -> Iterator[str]:
    """Every picture has a text that is no file name; an empty one only where the picture is marked as decoration."""
    for image in page.find_all("img"):
        alt = str(image.get("alt", "")).strip()
        decoration = image.get("role") == "presentation" and image.get("alt") == ""
        if not decoration and (
            not alt
            or re.fullmatch(r"\S+\.(png|jpe?g|svg|gif)|image|figure|plot|no description.*", alt, flags=re.IGNORECASE)
        ):
            yield f"a picture without a text that says what is seen: {str(image)[:60]}"
    for drawing in page.find_all("svg"):
        hidden = drawing.get("aria-hidden") == "true"
        if not hidden and not (drawing.get("aria-label") or drawing.find("title")):
            yield "an <svg> without a name"


def tables(page: BeautifulSoup) -> Iterator[str]:
    """Every table has header cells, and each says what it heads."""
    for table in page.find_all("table"):
        if table.get("role") == "presentation":
            continue
        heads = table.find_all("th")
        if not heads:
            yield f"a table without header cells: {table.get_text(' ', strip=True)[:60]!r}"
        for head in heads:
            in_head = head.find_parent("thead") is not None
            if head.get("scope") not in ("row", "col", "rowgroup", "colgroup") and not in_head:
                yield f"a header cell that does not say what it heads (scope): {head.get_text(' ', strip=True)[:40]!r}"


def names(page: BeautifulSoup) -> Iterator[str]:
    """Links, buttons and fields have names; formulas have a text."""
    for link in page.find_all(["a", "button", "summary"]):
        if not link.get_text(strip=True) and not link.get("aria-label") and not link.find("img"):
            yield f"a nameless {link.name}: {str(link)[:60]}"
    for field in page.find_all(["input", "select", "textarea"]):
        labelled = field.get("aria-label") or field.get("aria-labelledby") or field.find_parent("label")
        if not labelled and not (field.get("id") and page.find("label", attrs={"for": field["id"]})):
            yield f"a field without a label: {str(field)[:60]}"
    for formula in page.find_all("math"):
        if not formula.get("alttext"):
            yield "a formula without its TeX (alttext)"


def identifiers(page: BeautifulSoup) -> Iterator[str]:
    """No id twice."""
    for name, times in Counter(str(tag["id"]) for tag in page.find_all(id=True)).items():
        if times > 1:
            yield f"the id {name!r} stands {times} times"


def folds(page: BeautifulSoup) -> Iterator[str]:
    """Every <details> begins with a <summary>."""
    for fold in page.find_all("details"):
        first = fold.find(True)
        if first is None or first.name != "summary":
            yield "a <details> without a <summary>"


# ── Contrast ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def contrasts(page: BeautifulSoup) -> Iterator[str]:
    """Text whose colour is written down differs from the nearest ground that is written down by 4.5 to 1 at least;
    signs by 3 to 1.
    """
    for tag in page.find_all(style=True):
        style = style_of(tag)
        ink, ground = colour(style.get("color", "")), _ground(tag)
        if ink is None or not tag.get_text(strip=True):
            continue
        least = AA if re.search(r"\w", tag.get_text()) else SIGNS
        if (ratio := contrast(ink, ground)) < least:
            yield f"contrast {ratio:.1f} of {style['color']} on {ground}: {tag.get_text(' ', strip=True)[:40]!r}"


def style_of(tag: Tag) -> dict[str, str]:
    """An inline style as a dict."""
    parts = (part.split(":", 1) for part in str(tag.get("style", "")).split(";") if ":" in part)
    return {name.strip().lower(): value.strip() for name, value in parts}


def _ground(tag: Tag) -> str:
    """The nearest ground that is written down, from a tag outwards; white where there is none."""
    for one in [tag, *tag.parents]:
        style = style_of(one) if isinstance(one, Tag) and one.get("style") else {}
        for name in ("background", "background-color"):
            if (rgb := colour(style.get(name, "").split(" ")[0])) is not None:
                return rgb
    return "#ffffff"


def colour(text: str) -> str | None:
    """A colour as #rrggbb; None for what is none, or depends on a theme (var(…), inherit, transparent)."""
    text = NAMED.get(text.strip().lower(), text.strip().lower())
    if re.fullmatch(r"#[0-9a-f]{3}", text):
        text = "#" + "".join(2 * digit for digit in text[1:])
    if digits := re.fullmatch(r"rgb\(\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)\s*\)", text):
        text = "#" + "".join(f"{min(255, int(part)):02x}" for part in digits.groups())
    return text if re.fullmatch(r"#[0-9a-f]{6}", text) else None


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours #rrggbb, from 1 to 21: WCAG 2.2, relative luminance."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(text: str) -> float:
    parts = [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def themes(css: str) -> dict[str, dict[str, str]]:
    """The colours of report.css: {"light": {"ink": "#…"}, "dark": {…}}, dark on top of light."""
    light, _, rest = css.partition("@media (prefers-color-scheme: dark)")
    dark = rest.split("\n}\n", 1)[0]
    schemes = {
        name: dict(re.findall(r"--([a-z]+):\s*(#[0-9a-f]{6})", part))
        for name, part in (("light", light), ("dark", dark))
    }
    return {"light": schemes["light"], "dark": {**schemes["light"], **schemes["dark"]}}


def theme_problems(theme: Mapping[str, str]) -> list[str]:
    """Pairs of a theme whose contrast is below AA."""
    ratios = {(ink, ground): contrast(theme[ink], theme[ground]) for ink, ground in THEME_PAIRS}
    return [f"contrast {ratio:.1f} of {ink} on {ground}" for (ink, ground), ratio in ratios.items() if ratio < AA]
