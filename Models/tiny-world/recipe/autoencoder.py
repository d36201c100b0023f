"""The variational autoencoder: 128x128 pictures to 16x16 latents of four channels, and back.

Trained for fidelity alone: differences of values, and of their steps from pixel to pixel, which keep outlines sharp; no adversary and no other network's opinion. The
smaller the batch the more steps fit into an hour, and a network as small as this wants steps.
"""

import torch
from diffusers import AutoencoderKL
from torch.nn.functional import l1_loss, mse_loss

from . import pictures
from .files import written_aside
from .optimization import optimizers
from .progress import say
from .training import Training

CONFIGURATION = dict(
    sample_size=128,
    in_channels=3,
    out_channels=3,
    latent_channels=4,
    block_out_channels=(16, 32, 64, 64),
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
    layers_per_block=1,
    norm_num_groups=8,
    scaling_factor=1.0,
)
STEPS = 4500
BATCH = 8
RATE = 2e-3
# Of the latents' divergence from a standard normal, per number: just enough to keep them near 0 and smooth.
DIVERGENCE = 1e-3


def made(seed):
    torch.manual_seed(seed)
    return AutoencoderKL(**CONFIGURATION)


def gradients(picture):
    """Differences of neighbours across and down."""
    return picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]


def reconstruction_loss(decoded, truth):
    both = zip(gradients(decoded), gradients(truth))
    return l1_loss(decoded, truth) + 2 * mse_loss(decoded, truth) + 0.5 * sum(l1_loss(ours, theirs) for ours, theirs in both)


def train(data, folder, seed, steps, minutes=None, batch=BATCH, rate=RATE, stop_after=None):
    """data: pictures, (n, 3, 128, 128) bytes. Gives the trained autoencoder, its latents centred and of unit size."""
    network = made(seed)
    modules = {"autoencoder": network}
    settings = {"pictures": len(data), "batch": batch, "rate": rate}
    chosen = optimizers(modules, rate, but=("encoder.conv_in", "decoder.conv_out", "quant_conv"))
    training = Training("autoencoder", modules, chosen, folder, seed, steps, minutes, settings=settings)

    def step(draws):
        chosen = torch.randint(len(data), (batch,), generator=draws.tensors)
        truth = pictures.to_network(data[chosen])
        if draws.words.random() < 0.5:
            truth = truth.flip(-1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            latents = network.encode(truth).latent_dist
            mean, logvar = latents.mean.float(), latents.logvar.float()
            sample = mean + (logvar / 2).exp() * torch.randn(mean.shape, generator=draws.tensors)
            decoded = network.decode(sample).sample.float()
        divergence = (mean**2 + logvar.exp() - 1 - logvar).mean() / 2
        loss = reconstruction_loss(decoded, truth) + DIVERGENCE * divergence
        return loss, {"PSNR": psnr(decoded.detach(), truth).mean().item(), "divergence": divergence.item()}

    training.run(step, stop_after)
    network.eval()
    centre(network, data, seed)
    return network


def psnr(pictures, truth):
    """Of each picture in [-1, 1], in dB."""
    return 10 * torch.log10(4 / ((pictures.clamp(-1, 1) - truth) ** 2).flatten(1).mean(1))


@torch.no_grad()
def means(network, data, batch=32, mixed=False):
    """The latents of pictures in bytes, (n, 4, 16, 16), as the network gives them; `mixed` for bfloat16, which is faster."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        return torch.cat([network.encode(pictures.to_network(part)).latent_dist.mean.float() for part in data.split(batch)])


@torch.no_grad()
def centre(network, data, seed, sample=1024):
    """Gives each channel of the latents mean 0 and deviation 1, by the layers before and behind them: what is decoded stays the same.

    Diffusion starts from noise of mean 0 and deviation 1 in every channel, and a scaling factor alone cannot bring all of them there.
    """
    chosen = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:sample]
    latents = means(network, data[chosen])
    shift, size = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    channels = len(size)
    before, behind = network.quant_conv, network.post_quant_conv
    # Behind: W·z + b, with z = size·z' + shift.
    behind.bias += behind.weight[..., 0, 0] @ shift
    behind.weight *= size.view(1, -1, 1, 1)
    # Before: means first, then logarithms of variances.
    before.weight[:channels] /= size.view(-1, 1, 1, 1)
    before.bias[:channels] = (before.bias[:channels] - shift) / size
    before.bias[channels:] -= 2 * size.log()
    scale = means(network, data[chosen]).std().item()
    network.register_to_config(scaling_factor=1 / scale)
    say(f"autoencoder: latents had means {[f'{x:.2f}' for x in shift.tolist()]} and deviations {[f'{x:.2f}' for x in size.tolist()]}; now {scale:.4f} all over")


@torch.no_grad()
def fidelity(network, data, batch=32):
    """The PSNR of each of these pictures in bytes when encoded and decoded, in dB; in full precision."""
    parts = [pictures.to_network(part) for part in data.split(batch)]
    return torch.cat([psnr(network.decode(network.encode(part).latent_dist.mean).sample, part) for part in parts])


def save(network, folder):
    with written_aside(folder) as aside:
        network.save_pretrained(aside)


def opened(folder):
    return AutoencoderKL.from_pretrained(folder).eval()
