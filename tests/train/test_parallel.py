"""Processes that train together."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from train.networks import NETWORKS
from train.parallel import Team, processes_here, team

ROOT = Path(__file__).resolve().parents[2]
# The objective uses the last of three outputs alone.
TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
from tests.train.examples import blurred, changed
from dataclasses import replace
from train.fit import fit
from train.parallel import team
from train.run import save_weights
torch.set_num_threads(1)
small = [replace(example, degraded=example.degraded[::2, ::2]) for example in blurred()]
recipe = changed("several", network={"name": "fd-srcnn", "scale": 2, "width": 8}, optimizer=sys.argv[2], steps=4)
with team() as processes:
    network = fit(recipe, small, small, Path(sys.argv[1]), processes)
    save_weights(Path(sys.argv[1]) / f"{processes.rank}.safetensors", network)
"""


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_networks_of_several_outputs_are_trained_for_the_last_one(optimizer: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(TWO_PROCESSES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*launch, str(tmp_path), optimizer], env=environment, check=False, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()


def test_the_leader_may_code_material_for_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(distributed, "init_process_group", lambda backend, **options: given.update(options))
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: None)
    with team() as processes:
        assert (processes.rank, processes.size) == (1, 2)
    assert given["timeout"] >= timedelta(hours=12)


def test_memory_is_shared_with_the_processes_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert processes_here() == 1
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert processes_here() == 4


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_may_be_unused_where_a_network_has_several_outputs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("train.parallel.DistributedDataParallel", lambda network, **options: given.update(options))
    Team(torch.device("cpu"), 0, 2).synchronised(NETWORKS.make(name))
    assert given == {"find_unused_parameters": name in ("cisr-psi", "fd-srcnn", "lapsrn")}
