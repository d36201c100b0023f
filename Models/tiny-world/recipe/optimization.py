"""How weights learn: Muon for the matrices within the networks, AdamW for all else."""

import torch


class MatrixMuon:
    """PyTorch's Muon for weights of convolutions too: each is taken as the matrix of its outputs and all their inputs.

    Muon (Keller Jordan, 2024) makes every direction of a matrix' momentum equally long before it takes the step, here of AdamW's usual size for the same rate.
    """

    def __init__(self, parameters, rate):
        self.parameters = list(parameters)
        # They share the weights' memory.
        self.matrices = [torch.nn.Parameter(parameter.detach().view(len(parameter), -1)) for parameter in self.parameters]
        self.muon = torch.optim.Muon(self.matrices, lr=rate, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw")

    @property
    def param_groups(self):
        return self.muon.param_groups

    def step(self):
        for matrix, parameter in zip(self.matrices, self.parameters):
            matrix.grad = parameter.grad.view_as(matrix)
        self.muon.step()

    def zero_grad(self, set_to_none=True):
        for matrix, parameter in zip(self.matrices, self.parameters):
            matrix.grad = parameter.grad = None

    def state_dict(self):
        return self.muon.state_dict()

    def load_state_dict(self, state):
        self.muon.load_state_dict(state)


def optimizers(modules, rate, but=()):
    """Those of some modules, by name.

    rate: Muon's; AdamW has half of it, since what it trains, single numbers of layers that everything passes through, is sooner upset.
    but: parts of the names of matrices that Muon is wrong for: embeddings, first and last layers.
    """
    named = [(f"{key}.{name}", parameter) for key, module in modules.items() for name, parameter in module.named_parameters()]
    is_matrix = lambda name, parameter: parameter.ndim >= 2 and not any(part in name for part in but)
    matrices = [parameter for name, parameter in named if is_matrix(name, parameter)]
    others = [parameter for name, parameter in named if not is_matrix(name, parameter)]
    adamw = torch.optim.AdamW(others, lr=rate / 2, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    return {"adamw": adamw, "muon": MatrixMuon(matrices, rate)}
