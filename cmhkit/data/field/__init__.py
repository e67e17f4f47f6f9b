"""The files in circulation and the benchmarks as their makers publish them, as tables read by one reader.

`tables.FILES` declares each kind of file in circulation, `layouts.LAYOUTS` each makers' folder, `protocols.PROTOCOLS` how each benchmark is
split, `options.ReadOptions` what a reader can be told. `recognise` finds the row of a file, `reader` makes pairs of it, `containers` opens
MATLAB v5 (after `outline` has followed it) and HDF5. What no table can say stays code: the makers' text files in `folders` and
`wikipedia`.

To add a file in circulation, add a row to `tables.FILES`. To add a makers' folder, add a row to `LAYOUTS` and to `PROTOCOLS`, and a parser
and a loader to `folders`.
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
