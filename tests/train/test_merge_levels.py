"""Networks for one level each as one that takes the level."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

from train.__main__ import main
from train.merge_levels import merge_levels
from train.networks.interpolated import InterpolatedStack
from train.networks.plain import PlainStack
from train.onnx_levels import levels_to_onnx
from train.run import Run
from vs_srcomp.models.level import at_level

LEVELS = (20, 30, 40, 50)


def of_one_level(seed: int, slope: float = 0.1, channels: int = 8) -> bytes:
    torch.manual_seed(seed)
    network = PlainStack(stride=2, channels=channels, layers=4, slope=slope)
    torch.nn.init.normal_(network.shifts, std=0.2)
    return at_level(levels_to_onnx(network, "test"), 30)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"q{level}.onnx" for level in LEVELS]
    for seed, path in enumerate(paths):
        path.write_bytes(of_one_level(seed))
    return paths


LUMA = np.random.default_rng(0).random((1, 1, 24, 24), np.float32)


def run(network: bytes) -> np.ndarray:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"degraded": LUMA})[0])


@torch.no_grad()
def restored(network: InterpolatedStack, level: float) -> np.ndarray:
    return np.asarray(network(torch.from_numpy(LUMA), torch.tensor([float(level)])))


def test_at_each_level_it_is_the_network_of_that_level(files: list[Path], tmp_path: Path) -> None:
    network = merge_levels(files, LEVELS, tmp_path / "weights.safetensors")
    for level, path in zip(LEVELS, files, strict=True):
        expected = run(path.read_bytes())
        np.testing.assert_allclose(restored(network, level), expected, atol=1e-5)
        # A table in half precision: less than a tenth of a code.
        np.testing.assert_allclose(run(at_level(levels_to_onnx(network, "test"), level)), expected, atol=4e-4)


def test_the_command_writes_what_a_run_can_start_from(files: list[Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    out = Run(tmp_path / "runs" / "merged").weights
    result = CliRunner().invoke(main, ["merge-levels", *map(str, files), "--out", str(out)])
    assert result.exit_code == 0, result.output
    network = InterpolatedStack(stride=2, channels=8, layers=4, slope=0.1)
    network.load_state_dict(load_file(out))
    np.testing.assert_allclose(restored(network, 40), run(files[2].read_bytes()), atol=1e-5)


def test_networks_of_different_forms_are_refused(files: list[Path], tmp_path: Path) -> None:
    for other in (of_one_level(0, slope=0.2), of_one_level(0, channels=12)):
        files[1].write_bytes(other)
        with pytest.raises(ValueError, match=r"q30.onnx has another form than .*q20.onnx"):
            merge_levels(files, LEVELS, tmp_path / "weights.safetensors")


def test_a_network_that_takes_the_level_already_is_refused(files: list[Path], tmp_path: Path) -> None:
    files[0].write_bytes(levels_to_onnx(PlainStack(stride=2, channels=8, layers=4, slope=0.1), "test"))
    with pytest.raises(ValueError, match="is not a plain stack of convolutions for one level"):
        merge_levels(files, LEVELS, tmp_path / "weights.safetensors")


def test_as_many_files_as_levels_are_needed(files: list[Path], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["merge-levels", *map(str, files[:3]), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "4 levels need as many files, not 3" in result.output


def test_what_is_no_onnx_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    argv = ["merge-levels", str(tmp_path / "junk.onnx"), "--levels", "20", "--out", str(tmp_path / "out.safetensors")]
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 1
    assert "junk.onnx is not an ONNX file" in result.output
