"""A network that is written as a function, for tests of what is scored."""

from torch import nn


class Written(nn.Module):
    """A network whose forward pass is a function of it and its input.

    Parameters
    ----------
    function : callable
        From the network and the input to the output.
    **parts : Module or Parameter
        By name, for the function to use.
    """

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)
