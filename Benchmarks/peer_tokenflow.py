"""TokenFlow (arXiv 2307.10373) with plug-and-play injection for PyTorch: an attention processor for every self-attention of a
UNet, and a hook in one ResNet. Rows of a batch: source, unconditional, conditional."""

import re

import torch

from peer_attention import attend, self_attention_paths, split

GROUP = 8
ATTENTION_SHARE, FEATURE_SHARE = 0.5, 0.8
# Plug-and-play's decoder blocks 4 to 11.
INJECTED = re.compile(r"up_blocks\.(1\.attentions\.[12]|[23]\.attentions\.[012])\.")


class TokenFlow:
    """What all layers share: where in the edit the UNet is."""

    def __init__(self, unet, frames):
        self.unet = unet
        self.groups = torch.arange(frames).split(GROUP)
        self.group = None  # None in the keyframe pass
        self.injects_attention = self.injects_features = False
        for path, attention in self_attention_paths(unet).items():
            attention.set_processor(TokenFlowAttention(self, bool(INJECTED.match(path))))
        # A ResNet's hidden state before its shortcut is added is what its second convolution gives.
        unet.up_blocks[1].resnets[1].conv2.register_forward_hook(self.feature)

    def feature(self, _module, _inputs, hidden_state):
        if self.injects_features:
            return hidden_state[: len(hidden_state) // 3].repeat(3, 1, 1, 1)

    def edit(self, scheduler, trajectory, contexts, guidance, keyframe):
        """Latents of the edited clip. `trajectory` maps time steps to the inversion's latents; `contexts` are the three streams'
        texts; `keyframe` draws a frame for a step, a group's number and its frames."""
        times = scheduler.timesteps.tolist()
        latents = trajectory[times[0]]

        def predicted(frames, time):
            rows = torch.cat([trajectory[time][frames], latents[frames], latents[frames]])
            context = contexts.repeat_interleave(len(frames), dim=0)
            return self.unet(rows, time, context).sample.chunk(3)

        for step, time in enumerate(times):
            self.injects_attention = step < int(len(times) * ATTENTION_SHARE)
            self.injects_features = step < int(len(times) * FEATURE_SHARE)
            self.group = None
            predicted(torch.tensor([keyframe(step, number, frames) for number, frames in enumerate(self.groups)]), time)
            moved = []
            for self.group, frames in enumerate(self.groups):
                _, unconditional, conditional = predicted(frames, time)
                noise = unconditional + guidance * (conditional - unconditional)
                moved.append(scheduler.step(noise, time, latents[frames]).prev_sample)
            latents = torch.cat(moved)
        return latents


class TokenFlowAttention:
    def __init__(self, flow, is_injected):
        self.flow, self.is_injected = flow, is_injected

    def __call__(self, attention, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
        unit = hidden_states[: len(hidden_states) // 3]
        unit = unit / unit.norm(dim=-1, keepdim=True)
        if self.flow.group is not None:
            return self.propagated(unit)
        self.units = unit
        self.outputs = self.attended(attention, hidden_states)
        return self.outputs

    def attended(self, attention, hidden_states):
        """The source attends within each keyframe, the other two streams to all keyframes."""
        injects = self.is_injected and self.flow.injects_attention
        streams = hidden_states.chunk(3)
        outputs = []
        for stream in streams:
            projected = streams[0] if injects else stream
            queries, keys, values = attention.to_q(projected), attention.to_k(projected), attention.to_v(stream)
            if stream is not streams[0]:
                keys, values = keys.flatten(0, 1)[None], values.flatten(0, 1)[None]
            outputs.append(attend(attention, *(split(each, attention.heads) for each in (queries, keys, values))))
        return torch.cat(outputs)

    def propagated(self, unit):
        """The outputs of each token's nearest neighbours in the keyframes of its own group and of the one before."""
        frames, tokens, channels = unit.shape
        group = self.flow.group
        outputs = self.outputs.unflatten(0, (3, -1))
        found = []
        for other in (group, group - 1)[: 1 + (group > 0)]:
            nearest = (unit.flatten(0, 1) @ self.units[other].T).argmax(dim=-1)
            found.append(outputs[:, other][:, nearest].view(3, frames, tokens, channels))
        if len(found) == 1:
            return found[0].flatten(0, 1)
        own, before = ((self.flow.groups[group] - middle(self.flow.groups[other])).abs() for other in (group, group - 1))
        weight = torch.sigmoid(before / (own + before))[None, :, None, None]
        return (weight * found[0] + (1 - weight) * found[1]).flatten(0, 1)


def middle(frames):
    return frames[len(frames) // 2]
