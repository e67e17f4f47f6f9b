"""The files in circulation and the benchmarks as their makers publish them, as tables read by one reader.

`tables.FILES` declares each kind of file in circulation, `layouts.LAYOUTS` each makers' folder, `protocols.PROTOCOLS`
how a benchmark is split, `options.ReadOptions` what a reader can be told. `recognise` finds what the keys of a file
hold, `containers` opens MATLAB v5 (after `outline` has followed it) and HDF5, `reader` makes pairs. What no table can
say stays code: the makers' text files, in `folders` and `wikipedia`.

To add a file in circulation, add a row to `tables.FILES`. To add a makers' folder, add a row to `LAYOUTS` and one to
`PROTOCOLS`, and to `folders` a parser and a loader.
"""

from __future__ import annotations

from cmhkit.data.field.folders import load_coco, load_iapr, load_mirflickr, load_nuswide_tc10, load_nuswide_tc21
from cmhkit.data.field.layouts import check_path
from cmhkit.data.field.reader import load_mat
from cmhkit.data.field.recognise import recognise
from cmhkit.data.field.wikipedia import load_wikipedia

__all__ = [
    "check_path",
    "load_coco",
    "load_iapr",
    "load_mat",
    "load_mirflickr",
    "load_nuswide_tc10",
    "load_nuswide_tc21",
    "load_wikipedia",
    "recognise",
]
