"""Which picture of a folder a name in a file means, and which text file belongs to which picture.

Names come without their folder, without an ending, in another case, with the folders of another machine, or as a number
whose zeros were lost.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_ELSEWHERE = re.compile(r"/|[A-Za-z]+:/")
_LONGEST = 400


def composed(name: str) -> str:
    """A name in Unicode's composed form."""
    return unicodedata.normalize("NFC", name)


def folder_of(file: str) -> str:
    """The folder that holds a file; empty for the folder that was given."""
    return file.rpartition("/")[0]


def stem_of(file: str) -> str:
    """A file's name with its folders, without its ending."""
    return file.removesuffix(posixpath.splitext(file)[1])


def _without_number(name: str) -> str:
    """A name without the number of a caption, which token files have after it."""
    before, mark, number = name.rpartition("#")
    return before if mark and number.isdecimal() else name


class PictureNames:
    """The pictures of a folder by every name that a file can have for them.

    pictures: names relative to the folder, with slashes, composed. endings: of picture files, such as ".jpg".
    """

    def __init__(self, pictures: Iterable[str], endings: Iterable[str]) -> None:
        self.pictures = set(pictures)
        self._endings = tuple(endings)
        by_file, by_stem, by_number = self._by = tuple(defaultdict(list) for _ in range(3))
        for picture in sorted(self.pictures):
            file = picture.rpartition("/")[2].casefold()
            stem = stem_of(file)
            by_file[file].append(picture)
            by_stem[stem].append(picture)
            if stem.isdecimal():
                by_number[stem.lstrip("0")].append(picture)
        self._found: dict[tuple[str, str], tuple[str | None, str]] = {}

    def looks(self, name: str) -> bool:
        """Whether a name is that of a picture file, in the folder or not."""
        name = _without_number(name.strip())
        return "\n" not in name and len(name) < _LONGEST and name.casefold().endswith(self._endings)

    def find(self, name: object, base: str = "") -> tuple[str | None, str]:
        """The picture that a name means, or None, and why there is none or a remark.

        name: text or a number. base: the folder of the file that has it: a name may be relative to it.
        """
        if isinstance(name, bool) or not isinstance(name, (str, int)):
            return None, "no name"
        key = (str(name), base)
        if key not in self._found:
            self._found[key] = self._search(*key)
        return self._found[key]

    def _search(self, name: str, base: str) -> tuple[str | None, str]:
        name = composed(name.strip()).replace("\\", "/")
        none = "in the table, but no picture of the folder"
        if not name or len(name) > _LONGEST or "\n" in name:
            return None, none
        several = ""
        for each in dict.fromkeys((name, _without_number(name))):
            file = each.rpartition("/")[2].casefold()
            if file not in self._by[0] and file not in self._by[1] and file.lstrip("0") not in self._by[2]:
                continue
            places = [posixpath.normpath(posixpath.join(base, each)), posixpath.normpath(each)]
            for place in places:
                if place in self.pictures:
                    return place, ""
            if places[0].startswith("../"):
                continue
            path = places[0] if base and each.startswith("../") else places[1]
            for index in self._by:
                found = self._alike(path, base, index)
                if len(found) == 1:
                    other = not _agree(path.casefold().split("/")[:-1], found[0])
                    return found[0], "named with folders of another place, and found by its name alone" if other else ""
                if found:
                    several = f"in the table, but several pictures have this name, such as {', '.join(found[:2])}"
                    break
        return None, several or none

    def _alike(self, name: str, base: str, index: dict[str, list[str]]) -> list[str]:
        """The pictures whose name agrees with `name` as far as both have folders; those in `base` before others."""
        *folders, file = name.casefold().split("/")
        if index is self._by[2]:
            file = file.lstrip("0")
        found = index.get(file, [])
        if _ELSEWHERE.match(name):
            deep = [(_common(folders, picture), picture) for picture in found]
            most = max((depth for depth, _ in deep), default=0)
            found = [picture for depth, picture in deep if depth == most]
        else:
            found = [picture for picture in found if _agree(folders, picture)]
        near = [picture for picture in found if base and picture.startswith(f"{base}/")]
        return near or found


def _agree(folders: list[str], picture: str) -> bool:
    """Whether the folders of a name and those of a picture are the same from the last one up, as far as both go."""
    held = picture.casefold().split("/")[:-1]
    shared = min(len(folders), len(held))
    return not shared or folders[-shared:] == held[-shared:]


def _common(folders: list[str], picture: str) -> int:
    """How many folders a name and a picture share, from the last one up."""
    held = picture.casefold().split("/")[:-1]
    depth = 0
    while depth < min(len(folders), len(held)) and folders[-1 - depth] == held[-1 - depth]:
        depth += 1
    return depth


class Beside:
    """Text files of pictures: beside them, or in a tree of their own that runs parallel.

    pictures: names of pictures. A tree of texts is told by its folders, which hold no picture.
    """

    def __init__(self, pictures: Iterable[str]) -> None:
        self._beside: dict[str, list[str]] = defaultdict(list)
        self._apart: dict[str, list[str]] = defaultdict(list)
        self._holders = {folder_of(picture) for picture in pictures}
        for picture in pictures:
            for key in (picture, stem_of(picture)):
                self._beside[key].append(picture)
            for key in dict.fromkeys((stem_of(picture), *_without_one_folder(stem_of(picture)))):
                self._apart[key].append(picture)

    def pictures_of(self, file: str) -> list[str]:
        """The pictures that a file belongs to, none or several."""
        stem = stem_of(file)
        if stem in self._beside:
            return self._beside[stem]
        if folder_of(file) in self._holders and folder_of(file):
            return []
        for key in (stem, stem_of(stem)):
            for other in (key, *_without_one_folder(key)):
                if len(self._apart.get(other, ())) == 1:
                    return self._apart[other]
        return []


def _without_one_folder(name: str) -> list[str]:
    """A name without one of its folders, each in turn."""
    *folders, file = name.split("/")
    return ["/".join([*folders[:i], *folders[i + 1 :], file]) for i in range(len(folders))]
