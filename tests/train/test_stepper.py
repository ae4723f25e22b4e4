"""One step of training: the average of the weights, the mean loss, and crops that can be drawn again."""

import copy

import pytest
import torch

from tests.train.examples import TINY, blurred, changed
from train.material.crops import CropBank, Crops
from train.parallel import Team
from train.stepper import State, Stepper, beside_black

CPU = torch.device("cpu")


class Recorded(CropBank):
    """Crops that remember what was drawn."""

    def __init__(self) -> None:
        super().__init__(blurred(), TINY.crop, CPU)
        self.drawn: list[Crops] = []

    def draw(self, count: int, generator: torch.Generator | None = None) -> Crops:
        self.drawn.append(super().draw(count, generator))
        return self.drawn[-1]


def begun() -> tuple[Stepper, State, Recorded]:
    network = TINY.make_network()
    state, crops = State(TINY, network, copy.deepcopy(network), CPU), Recorded()
    return Stepper(TINY, state, network, crops, Team(CPU)), state, crops


def test_the_average_is_the_mean_of_the_weights_so_far() -> None:
    stepper, state, _ = begun()
    stepper.begin(0, 0)
    seen = []
    for _ in range(5):
        stepper.take(1e-2)
        seen.append([weight.detach().clone() for weight in state.network.parameters()])
    for index, average in enumerate(state.average.parameters()):
        mean = torch.stack([weights[index] for weights in seen]).mean(0)
        torch.testing.assert_close(average, mean)
        assert not torch.equal(average, seen[-1][index])


def test_beside_black_is_where_lanczos_rings() -> None:
    luma = torch.full((1, 1, 64, 96), 17 / 255)
    luma[..., 60:, :] = 16 / 255
    luma[..., 10, 40] = 0
    found = beside_black(luma)[0, 0]
    assert found[48:].all()
    assert found[:23, 28:53].all()
    assert found.sum() == 16 * 96 + 23 * 25


def test_a_teacher_is_not_heard_beside_black() -> None:
    recipe = changed("taught", teacher_share=0.75, teacher_spares_black=True)
    network = TINY.make_network()
    state = State(recipe, network, copy.deepcopy(network), CPU)
    state.teacher = copy.deepcopy(network)
    stepper = Stepper(recipe, state, network, Recorded(), Team(CPU))
    original = torch.full((1, 1, 64, 64), 0.5)
    original[..., :8] = 0
    crops = Crops(torch.full_like(original, 0.4), (original,), torch.tensor([30.0]), torch.ones(1))
    (target,) = stepper._taught(crops).targets
    with torch.no_grad():
        answer = state.teacher(crops.source, crops.q)
    assert torch.equal(target[..., :20], original[..., :20])
    torch.testing.assert_close(target[..., 20:], 0.25 * original[..., 20:] + 0.75 * answer[..., 20:])


def test_the_loss_is_the_mean_over_the_steps_since_the_beginning() -> None:
    stepper, _, _ = begun()
    totals = []
    stepper.begin(0, 0)
    for _ in range(3):
        stepper.take(0.0)
        totals.append(stepper.loss_of(1))
    assert 0 < totals[0] < totals[1] < totals[2]
    assert stepper.loss_of(3) == pytest.approx(totals[2] / 3)
    stepper.begin(0, 0)
    stepper.take(0.0)
    assert stepper.loss_of(1) == totals[0]


def test_crops_depend_on_where_a_part_begins_alone() -> None:
    stepper, _, crops = begun()
    for step in (0, 7, 0):
        stepper.begin(step, 0)
        stepper.take(0.0)
    first, other, again = (drawn.source for drawn in crops.drawn)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
