"""The three inversions' self-attention for PyTorch, as attention processors of diffusers."""

import time

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from torch.nn.functional import scaled_dot_product_attention


def split(tensor, heads):
    """(..., tokens, channels) as (..., heads, tokens, head channels)."""
    return tensor.unflatten(-1, (heads, -1)).transpose(-3, -2)


def attend(attention, queries, keys, values):
    """All (frames or 1, heads, tokens, head channels); gives (frames, tokens, channels)."""
    frames = len(queries)
    keys, values = keys.expand(frames, -1, -1, -1), values.expand(frames, -1, -1, -1)
    mixed = scaled_dot_product_attention(queries, keys, values, scale=attention.scale)
    return attention.to_out[0](mixed.transpose(-3, -2).flatten(-2))


def bases(keys, values, noise, iterations=5, temperature=0.01):
    """STEM's expectation maximisation as its authors released it: keys, values (heads, n, c) and noise (heads, m, c) give the
    bases of both, (heads, m, c). Where there are no more tokens than bases, the tokens serve themselves."""
    if keys.shape[1] <= noise.shape[1]:
        return keys, values
    deviation, mean = torch.std_mean(keys, dim=1, keepdim=True)
    found = mean + deviation * noise
    for _ in range(iterations):
        unit = found / (found.norm(dim=-1, keepdim=True) + 1e-4)
        shares = torch.softmax(keys @ (unit.mT / temperature), dim=-1).mT
        weights = shares.sum(dim=-1, keepdim=True) + 1e-4
        found = shares @ keys / weights
    return found, shares @ values / weights


class VideoAttention:
    """Every frame attends to the keys and values of all frames."""

    def __call__(self, attention, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
        queries = split(attention.to_q(hidden_states), attention.heads)
        video = hidden_states.flatten(0, 1)[None]
        keys, values = (split(to(video), attention.heads) for to in (attention.to_k, attention.to_v))
        return attend(attention, queries, keys, values)


class STEMAttention:
    """Every frame attends to the bases of all frames' keys and values."""

    def __init__(self, noise):
        self.noise = noise
        self.seconds = 0.0

    def __call__(self, attention, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
        queries = split(attention.to_q(hidden_states), attention.heads)
        video = hidden_states.flatten(0, 1)
        keys, values = (split(to(video), attention.heads) for to in (attention.to_k, attention.to_v))
        begun = time.perf_counter()
        keys, values = bases(keys, values, self.noise)
        self.seconds += time.perf_counter() - begun
        return attend(attention, queries, keys[None], values[None])


def self_attention_paths(unet):
    """Path and module of every self-attention."""
    return {name: module for name, module in unet.named_modules() if name.endswith(".attn1")}


def use_self_attention(unet, processors):
    """Plugs processors in by path; self-attentions that are not named are diffusers' own again."""
    # What diffusers chooses itself; its set_default_attn_processor goes back to the slower one of PyTorch 1.
    unet.set_attn_processor(AttnProcessor2_0())
    for path, processor in processors.items():
        unet.get_submodule(path).set_processor(processor)
