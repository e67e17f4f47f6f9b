"""What the three schedules share: epochs that a run can be taken up after, rates that fall, steps of an optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from cmhkit.support.checkpoints import Checkpoints
from cmhkit.support.checks import check
from cmhkit.support.options import as_dict
from cmhkit.support.progress import progress
from cmhkit.train import distributed
from cmhkit.train.device import optimiser_for, restore
from cmhkit.train.run import Run

# What a rate falls to in an epoch where `lr_decay` is "geometric": the code of SSAH divides by the root of 10.
_GEOMETRIC = 0.1**0.5


class Schedule:
    """A method's steps over one training set of n pairs.

    A method says which `networks` and `banks` it has, makes its `optimisers`, and writes `_epoch`. Every random draw
    comes from `random`, so the state of these is all that a checkpoint needs: a run that is taken up from one ends as
    it would have ended, to the bit.
    """

    #: The name in progress, messages and checkpoints.
    method: ClassVar[str]
    #: The number of the first epoch.
    first: ClassVar[int] = 1
    #: What to try where a loss is not finite.
    advice: ClassVar[str] = "try a lower rate"

    def __init__(self, hasher: Any, n: int, random: torch.Generator) -> None:
        self.hasher, self.config, self.n, self.random = hasher, hasher.config, n, random
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        #: Tensors that training renews in place, by name and by network.
        self.banks: dict[str, dict[str, Tensor]] = {}

    @property
    def networks(self) -> dict[str, nn.Module]:
        """All that is trained, by its name in a checkpoint."""
        return {"network": self.hasher.network_}

    @property
    def epochs(self) -> int:
        """How many epochs there are."""
        return self.config.epochs

    def _steps(self, epochs: int) -> int:
        """How many steps the first so many epochs take."""
        raise NotImplementedError

    def _epoch(self, epoch: int, step: Any) -> dict[str, Any]:
        """One epoch. step: to be called with the number of steps done. Returns the row of the history."""
        raise NotImplementedError

    def _look_at(self, row: dict[str, Any], last: bool) -> None:
        """Called after each epoch, before the callback; for warnings and what the hasher shows meanwhile."""

    def run(self, run: Run) -> None:
        """All epochs, with a checkpoint after each."""
        key = {"method": self.method, "bits": self.hasher.bits, "seed": self.hasher.seed, "items": self.n}
        checkpoints = Checkpoints(run.checkpoint_dir, key | as_dict(self.config))
        state = checkpoints.load()
        run.begin()
        done = self._resume(state)
        with progress(self._steps(self.epochs), self.method, run.show_progress) as step:
            step(self._steps(done))
            for number in range(done + 1, self.epochs + 1):
                row = self._epoch(self.first + number - 1, step)
                self._check_finite(row)
                self._look_at(row, last=number == self.epochs)
                run.epoch_done(row)
                checkpoints.save(self._checkpoint(number))

    def _optimiser(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        """The config's optimiser. groups: parameters, each group with its rate at the start."""
        for group in groups:
            group["start"] = group["lr"]
        return optimiser_for(self.config.optimiser, groups, self.hasher._device)

    def _by_rate(
        self, parameters: Sequence[nn.Parameter], rate: float, backbone: set[nn.Parameter]
    ) -> list[dict[str, Any]]:
        """Groups: parameters of the backbone with the rate `lr_backbone`, the others with `rate`."""
        fast, slow = ([p for p in parameters if (p in backbone) == part] for part in (False, True))
        return [{"params": part, "lr": lr} for part, lr in ((fast, rate), (slow, self.config.lr_backbone)) if part]

    def _set_rates(self, epoch: int) -> None:
        """The rates of an epoch, by `lr_decay`."""
        c, share = self.config, 1.0
        if c.lr_decay == "linear":
            share = 1 - (epoch - 1) / c.epochs
        elif c.lr_decay == "geometric":
            share = _GEOMETRIC ** (epoch - 1)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = group["start"] * share

    def _whole(self, rows: int, net: Any, *part: Tensor) -> Any:
        """What a network gives for a batch. part: this process's of its rows; what the others compute is gathered."""
        with distributed.part_of(rows):
            outputs = net(*part)
        return distributed.gathered(outputs, rows)

    def _step(self, name: str, loss: Tensor) -> None:
        """One step of an optimiser down a loss."""
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def _check_finite(self, row: dict[str, Any]) -> None:
        bad = next((name for name, x in row.items() if isinstance(x, float) and not np.isfinite(x)), None)
        check(bad is None, f"{self.method}: {bad} is not finite after epoch {row['epoch']}; {self.advice}")

    def _checkpoint(self, epochs: int) -> dict[str, Any]:
        """The state after so many epochs."""
        return {
            "epochs": epochs,
            **{name: net.state_dict() for name, net in self.networks.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            **self.banks,
            "random": self.random.get_state(),
            "history": self.hasher.history_,
        }

    def _resume(self, state: dict[str, Any] | None) -> int:
        """Take a state up. Returns how many epochs are done."""
        if state is None:
            return 0
        for name, net in self.networks.items():
            net.load_state_dict(state[name])
        for name, optimiser in self.optimisers.items():
            restore(optimiser, state["optimisers"][name])
        for name, bank in self.banks.items():
            for network, value in state[name].items():
                bank[network].copy_(value)
        self.random.set_state(state["random"])
        self.hasher.history_ = state["history"]
        return state["epochs"]


def exact(x: Tensor) -> Tensor:
    """A number for the history, without its graph, in float64 (MPS has none). To read it would wait for the step."""
    return x.detach().to(torch.float32 if x.device.type == "mps" else torch.float64)


def means(rows: list[dict[str, Tensor]]) -> dict[str, float]:
    """The mean of each figure over an epoch's steps. rows: scalars as `exact` gives them, read here all at once."""
    if not rows:
        return {}
    table = torch.stack([value for row in rows for value in row.values()]).cpu().double().numpy().reshape(len(rows), -1)
    return {name: float(np.mean(table[:, i].copy())) for i, name in enumerate(rows[0])}
