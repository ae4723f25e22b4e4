"""A folder of models like that of the package, with random weights, for tests of the choice of models."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from tests.helpers.networks import make_onnx, random_doubler, random_level_network
from vs_srcomp.geometry import RATIOS
from vs_srcomp.models import TIERS


def write_models(folder: Path, *, crisp: Sequence[str] = ("fast", "light")) -> Path:
    """A network for each tier and ratio in ``folder``, the crisp ones of some tiers, and four of other systems."""
    entries: list[dict[str, Any]] = []
    for tier in TIERS:
        for ratio in RATIOS:
            for look in ("faithful", "crisp") if tier in crisp else ("faithful",):
                name = f"srcomp-{tier}-{ratio.slug}" + ("-crisp" if look == "crisp" else "")
                data = random_level_network(half=True, seed=len(entries))
                own = {"tier": tier, "ratio": ratio.name, "look": look}
                entries.append(_written(folder, name, data, system="srcomp", levels=[20, 50], stride=4, **own))
    for name, data, scale in (
        ("espcn-2x", random_doubler(half=True), 2),
        ("espcn-3x", nearest(3), 3),
        ("esrgan-4x", nearest(4), 4),
        ("vdsr", random_doubler(scale=1), 1),
    ):
        system = name.partition("-")[0]
        entries.append(_written(folder, name, data, system=system, levels=None, stride=1, scale=scale))
    (folder / "models.json").write_text(json.dumps({"models": entries}))
    return folder


def nearest(scale: int) -> bytes:
    """A network that repeats each pixel."""
    nodes = [
        helper.make_node("Concat", ["x"] * scale**2, ["c"], axis=1),
        helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=scale, mode="CRD"),
    ]
    return make_onnx(nodes, {"unused": np.zeros(1, np.float32)})


def _written(folder: Path, name: str, data: bytes, **known: Any) -> dict[str, Any]:
    file = folder / f"{name}.onnx"
    file.write_bytes(data)
    return known | {
        "name": name,
        "file": file.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "parameters": 1000,
        "macs_per_pixel": 62.5,
        "receptive_field": 54,
        "recipe": "train/recipes/test.toml",
        "ranges": [],
        "gain_db": {},
        "licence": "CC0-1.0",
    }
