"""What judges the model's pictures: a network that tells every attribute of a picture, trained on renders alone.

It sees them also a little blurred, noisy and faded, since what is judged came out of an autoencoder; it never sees what that makes of a picture.
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from .attributes import ATTRIBUTES
from .files import written_aside
from .optimization import optimizers
from .styles import blurred
from .training import Training

BATCH = 48
STEPS = 3600
RATE = 2e-3


def level(inputs, outputs, stride):
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


class Classifier(nn.Module):
    """Pictures (n, 3, 128, 128) in [0, 1] to the logits of every attribute's values."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *level(3, 24, 2), *level(24, 48, 2), *level(48, 48, 1), *level(48, 96, 2), *level(96, 96, 1),
            *level(96, 128, 2), *level(128, 128, 1), *level(128, 160, 2),
        )  # fmt: skip
        # What is anywhere in the picture, and where.
        self.where = nn.Sequential(nn.Flatten(), nn.Linear(160 * 16, 192), nn.ReLU())
        self.heads = nn.ModuleDict({attribute: nn.Linear(192 + 160, len(values)) for attribute, values in ATTRIBUTES.items()})

    def forward(self, picture):
        features = self.body(picture * 2 - 1)
        seen = torch.cat([self.where(features), features.amax((2, 3))], 1)
        return {attribute: head(seen) for attribute, head in self.heads.items()}


def targets(scenes):
    return {attribute: torch.tensor([values.index(getattr(scene, attribute)) for scene in scenes]) for attribute, values in ATTRIBUTES.items()}


def augmented(picture, draws):
    """The picture as a camera of less than the best would give it."""
    chance = draws.words
    if chance.random() < 0.6:
        picture = blurred(picture, chance.uniform(0.4, 1.4))
    n = len(picture)
    drawn = lambda low, high: low + (high - low) * torch.rand(n, 1, 1, 1, generator=draws.tensors)
    picture = (picture - 0.5) * drawn(0.9, 1.1) + 0.5 + drawn(-0.03, 0.03)
    return picture + drawn(0, 0.03) * torch.randn(picture.shape, generator=draws.tensors)


def train(data, scenes, folder, seed, steps=STEPS, stop_after=None):
    """data: renders, (n, 3, 128, 128) bytes, of the scenes."""
    torch.manual_seed(seed)
    network = Classifier()
    modules = {"classifier": network}
    chosen = optimizers(modules, RATE, but=("heads", "body.0."))
    # Without an average: it would leave out what the layers know of the pictures' means.
    training = Training("classifier", modules, chosen, folder, seed, steps, decay=0.0, settings={"pictures": len(data)})
    truth = targets(scenes)

    def step(draws):
        chosen = torch.randint(len(data), (BATCH,), generator=draws.tensors)
        picture = data[chosen].float() / 255
        if draws.words.random() < 0.5:
            picture = picture.flip(-1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(augmented(picture, draws))
        wanted = {attribute: values[chosen] for attribute, values in truth.items()}
        loss = sum(cross_entropy(logits[attribute].float(), values) for attribute, values in wanted.items())
        right = sum((logits[attribute].argmax(1) == values).float().mean().item() for attribute, values in wanted.items())
        return loss, {"right": right / len(wanted)}

    training.run(step, stop_after)
    return network.eval()


@torch.no_grad()
def predicted(network, pictures, batch=64):
    """The values that it tells of pictures in [0, 1]: for each attribute a list."""
    found = {attribute: [] for attribute in ATTRIBUTES}
    for part in pictures.split(batch):
        for attribute, logits in network(part).items():
            found[attribute] += [ATTRIBUTES[attribute][index] for index in logits.argmax(1).tolist()]
    return found


def save(network, path):
    with written_aside(path) as aside:
        torch.save(network.state_dict(), aside)


def opened(path):
    network = Classifier()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()
