"""The error of brightness, apart from detail."""

from torch import Tensor

from train.material.crops import Crops
from train.objectives.local import mean_around
from train.objectives.objective import Objective, mean_over, of_one_size
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
        output, original = of_one_size(outputs, crops, "tone")
        shift = mean_around(output - original)
        return SQUARED_SCALE * mean_over(shift.square(), crops.weight)
