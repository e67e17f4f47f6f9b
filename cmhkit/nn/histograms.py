r"""The counts that `cmhkit.metrics` needs, made where the codes are: on a GPU, or on any device that torch knows.

Distances are one matrix product of ±1 codes, $\tfrac12 (K - u^\top v)$, and labels shared are another. Every term is a
small whole number, so float32 is exact, also where a GPU rounds factors to TF32. The counts are whole numbers, and
equal those of the NumPy path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_CELLS = {"cpu": 2**19}
_CELLS_GPU = 2**25


@dataclass(frozen=True)
class TensorPairs:
    """Queries and database as tensors of one device; to `metrics.evaluate` what its own pairs are in NumPy.

    query, database: packed, shapes (n, K // 8) and (m, K // 8). labels: two label matrices, float32, or None; then
    relevant: bool (n, m). grades: how many there are; 2 is irrelevant and relevant, more is 0, 1, 2, ... labels shared.
    """

    query: Tensor
    database: Tensor
    labels: tuple[Tensor, Tensor] | None
    relevant: Tensor | None
    grades: int

    @property
    def bits(self) -> int:
        return 8 * self.query.shape[1]

    @property
    def queries(self) -> int:
        return len(self.query)

    @property
    def items(self) -> int:
        return len(self.database)

    @property
    def chunk(self) -> int:
        """Queries at a time: each tile of the database is unpacked once for all of them."""
        return min(512, max(16, 2**20 // self._bins))

    @property
    def _bins(self) -> int:
        return (self.bits + 1) * self.grades

    def histogram(self, rows: slice) -> NDArray[np.int64]:
        """Number of items by query, distance and grade: (rows, K + 1, grades)."""
        queries = rows.stop - rows.start
        first = torch.arange(queries, dtype=torch.int32, device=self.query.device)[:, None] * self._bins
        total = torch.zeros(queries * self._bins, dtype=torch.int64, device=self.query.device)
        for distance, grade in self._tiles(rows):
            cell = distance.mul_(self.grades).add_(grade).int().add_(first)
            total += torch.bincount(cell.flatten(), minlength=len(total))
        return total.reshape(queries, self.bits + 1, self.grades).cpu().numpy()

    def stable_grades(self, row: int) -> NDArray:
        """The grades of one query's ranking, equal distances by place in the database."""
        distance, grade = (torch.cat(parts, dim=1)[0] for parts in zip(*self._tiles(slice(row, row + 1)), strict=True))
        return grade[distance.argsort(stable=True)].cpu().numpy()

    def _tiles(self, rows: slice) -> Iterator[tuple[Tensor, Tensor]]:
        """Distances (float32) and grades (float32 or bool), shape (rows, part of the items), a part at a time."""
        query, cells = _signs(self.query[rows]), _CELLS.get(self.query.device.type, _CELLS_GPU)
        step = max(1, cells // len(query))
        for columns in (slice(start, start + step) for start in range(0, self.items, step)):
            distance = (query @ _signs(self.database[columns]).T).sub_(self.bits).mul_(-0.5)
            if self.labels is None:
                yield distance, self.relevant[rows, columns]
            else:
                shared = self.labels[0][rows] @ self.labels[1][columns].T
                yield distance, shared if self.grades > 2 else shared > 0


def tensor_pairs(
    device: torch.device,
    query: NDArray[np.uint8],
    database: NDArray[np.uint8],
    labels: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None,
    relevant: NDArray[np.bool_] | Tensor | None,
    grades: int,
) -> TensorPairs:
    """What `metrics` has checked, on `device`."""
    codes = (torch.as_tensor(x, device=device) for x in (query, database))
    pair = None if labels is None else tuple(torch.as_tensor(x, device=device).float() for x in labels)
    return TensorPairs(*codes, pair, None if relevant is None else torch.as_tensor(relevant, device=device), grades)


def _signs(packed: Tensor) -> Tensor:
    """Packed codes as float32 ±1, shape (n, K): first bit = highest bit of byte 0."""
    values = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=packed.device)
    return ((packed[:, :, None] & values) != 0).flatten(1).float().mul_(2).sub_(1)
