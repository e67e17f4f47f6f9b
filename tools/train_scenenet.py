"""Train SceneNet and write its weights and its card.

First it names the one drawing of a picture, then every drawing of pictures with one to three.
Run:  python -m tools.train_scenenet
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cmhkit.data import drawings
from cmhkit.data.scenes import compose, load_scenes
from cmhkit.nn import backbones
from cmhkit.nn.backbones import SceneNet
from cmhkit.support.files import sha256, write_atomically

# Seeds that no lesson and no test uses: the network never sees their pictures.
TRAINING_SEED, CHECK_SEED = 7_001, 7_002


class Pictures(torch.utils.data.IterableDataset):
    """Batches of new pictures without end: uint8 (b, 64, 64, 3), and the drawings in them, bool (b, drawings)."""

    def __init__(self, seed: int, batch: int, most: int, batches: int) -> None:
        self.seed, self.batch, self.most, self.batches = seed, batch, most, batches

    def __iter__(self):
        chosen = drawings.concept_drawings(None)
        rendered = [drawings.render(d, backbones.SIDE) for d, _ in chosen]
        rng = np.random.default_rng([self.seed, self.most])
        for _ in range(self.batches):
            images, present = [], np.zeros((self.batch, len(chosen)), dtype=bool)
            for row in range(self.batch):
                numbers = rng.choice(len(chosen), size=rng.integers(1, self.most + 1), replace=False)
                images.append(compose([rendered[i] for i in numbers], backbones.SIDE, rng)[0])
                present[row, numbers] = True
            yield torch.from_numpy(np.stack(images)), torch.from_numpy(present)


def naming_loss(scores: Tensor, present: Tensor) -> Tensor:
    """Cross-entropy of naming each drawing present, the mean over drawings. scores: (b, d). present: bool (b, d)."""
    return -F.log_softmax(scores, dim=1)[present].mean()


def stage(net: SceneNet, name: str, most: int, batch: int, steps: int, rate: float, snapshot: Path) -> None:
    """One stage of training: `steps` batches of pictures with up to `most` drawings, AdamW with a one-cycle rate.

    snapshot: the file that holds the network as it was at most 500 steps ago.
    """
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
    stream = torch.utils.data.DataLoader(
        Pictures(TRAINING_SEED, batch, most, steps), batch_size=None, num_workers=1, prefetch_factor=4
    )
    net.train()
    started, total = time.perf_counter(), 0.0
    for number, (pictures, present) in enumerate(stream, 1):
        loss = naming_loss(net(pictures), present)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
        if number % 50 == 0:
            print(
                f"{name} step {number}/{steps} loss {total / 50:.3f} {time.perf_counter() - started:.0f} s", flush=True
            )
            total = 0.0
        if number % 500 == 0:
            write_atomically(snapshot, lambda path: save_weights(net, path))


def save_weights(net: SceneNet, path: Path) -> None:
    """Write the network's weights as safetensors."""
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)


@torch.no_grad()
def naming_accuracy(net: SceneNet, most: int, pictures: int = 2000) -> float:
    """The share of drawings that are among the n highest scores of a new picture with n drawings."""
    net.eval()
    right = there = 0
    for images, present in Pictures(CHECK_SEED, 200, most, pictures // 200):
        scores = net(images)
        for row in range(len(images)):
            truth = present[row].nonzero()[:, 0]
            named = scores[row].topk(len(truth)).indices
            right += int(torch.isin(named, truth).sum())
            there += len(truth)
    return right / there


@torch.no_grad()
def linear_probes(net: SceneNet) -> dict[str, float]:
    """MAP of the labels from each kind of feature, by logistic regression, on scenes with all drawings."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import StandardScaler

    net.eval()
    data = load_scenes("lab", drawings_per_concept="all", seed=CHECK_SEED)
    maps = torch.cat(
        [net.feature_map(torch.from_numpy(np.array(data.images[i : i + 200]))) for i in range(0, len(data), 200)]
    )
    scores = net.scores(maps)
    kinds = {
        "pooled maximum and mean": torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], 1),
        "scores": scores,
        "square root of their softmax": scores.softmax(1).sqrt(),
    }
    probes = {}
    train, query = data.parts["train"], data.parts["query"]
    for name, features in kinds.items():
        x = features.numpy()
        if name != "square root of their softmax":
            x = StandardScaler().fit(x[train]).transform(x)
        probe = OneVsRestClassifier(LogisticRegression(C=1.0 if x.max() <= 1 else 0.01, max_iter=300)).fit(
            x[train], data.labels[train]
        )
        decisions = probe.decision_function(x[query])
        probes[name] = round(float(average_precision_score(data.labels[query], decisions, average="macro")), 3)
    return probes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--single-steps", type=int, default=800)
    parser.add_argument("--scene-steps", type=int, default=3500)
    parser.add_argument("--out", type=Path, default=backbones.WEIGHTS)
    options = parser.parse_args()
    torch.manual_seed(TRAINING_SEED)
    torch.set_num_threads(1)
    started = time.perf_counter()
    count = len(drawings.concept_drawings(None))
    net = SceneNet(count).to(memory_format=torch.channels_last)
    snapshot = options.out.with_suffix(".snapshot")
    stage(net, "single", 1, 128, options.single_steps, 4e-3, snapshot)
    stage(net, "scenes", 3, 96, options.scene_steps, 3e-3, snapshot)
    seconds = round(time.perf_counter() - started)
    write(net, count, seconds, options)


def write(net: SceneNet, count: int, seconds: int, options: argparse.Namespace) -> None:
    """Write the weights, then their card beside them."""
    write_atomically(options.out, lambda path: save_weights(net, path))
    options.out.with_suffix(".snapshot").unlink(missing_ok=True)
    described = {
        "name": "SceneNet",
        "task": "names the drawings in 64x64 pictures of one to three OpenMoji drawings",
        "drawings": count,
        "parameters": sum(p.numel() for p in net.parameters()),
        "data": {
            "packages": drawings.package_versions(),
            "credit": drawings.CREDIT,
            "training seed": TRAINING_SEED,
            "check seed": CHECK_SEED,
        },
        "licence": "MIT for the script; the weights were learned from OpenMoji drawings, CC BY-SA 4.0: credit OpenMoji",
        "steps": {"single": options.single_steps, "scenes": options.scene_steps},
        "naming accuracy": {f"up to {most} drawings": round(naming_accuracy(net, most), 3) for most in (1, 3)},
        "linear probes, mean average precision": linear_probes(net),
        "seconds": seconds,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "command": (
            f"python -m tools.train_scenenet --single-steps {options.single_steps} --scene-steps {options.scene_steps}"
        ),
        "sha256": sha256(options.out),
    }
    write_atomically(
        options.out.with_suffix(".json"),
        lambda path: path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8"),
    )
    print(json.dumps(described, indent=1))


if __name__ == "__main__":
    main()
