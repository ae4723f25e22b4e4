"""The error of brightness, apart from detail."""

from torch import Tensor

from train.material.crops import Crops
from train.objectives.local import mean_around
from train.objectives.objective import Objective, mean_over
from train.objectives.pixel import SQUARED_SCALE


class Tone(Objective):
    """Squared error of the means over 17x17 pixels, times 25 as in `Squared`, weighted by crop.

    VMAF-NEG, and features less so, gain by contrast between areas, too: without this term, dark areas become darker
    and bright ones brighter by up to a code. Where the picture is nearly right already, that is most of the error.
    """

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network.

        Raises:
            ValueError: The output has another size than the original.
        """
        if outputs[0].shape != crops.targets[0].shape:
            raise ValueError("the objective tone is for networks whose output has the original's size")
        shift = mean_around(outputs[0].float() - crops.targets[0].float())
        return SQUARED_SCALE * mean_over(shift.square(), crops.weight)
