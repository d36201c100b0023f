"""How good a model of the tiny world is: what its autoencoder keeps, and whether its pictures show what the prompts say."""

import random

import torch

from . import autoencoder, classifier, grammar
from .attributes import ATTRIBUTES, STYLES
from .scene import Scene

# What is asked of the model: the autoencoder's PSNR in dB, the shares of attributes that are as the prompt says, and by how much
# combinations that were held out may be worse.
WANTED_PSNR = 31.0
WANTED = {"color": 0.97, "shape": 0.95, "ground": 0.97, "sky": 0.97, "style": 0.98}
WANTED_CLASSIFIER = 0.99
ALLOWED_LOSS = 0.05

STEPS, GUIDANCE = 50, 5.0


def prompts(count, held_out, any_wording, seed):
    """As many prompts for scenes by chance, all styles equally often; plain ones, or worded by chance."""
    chance = random.Random(f"{seed} {held_out} {any_wording}")
    scenes = [Scene.drawn(chance, held_out=held_out, style_weights={style: 1 for style in STYLES}) for _ in range(count)]
    return [grammar.caption(scene, chance) if any_wording else grammar.plain(scene) for scene in scenes]


class Judged:
    """For each prompt what it says, and for each attribute that it names whether the picture shows it."""

    def __init__(self, said, told):
        self.prompts = said
        self.right = []
        for index, prompt in enumerate(said):
            wanted = grammar.parse(prompt)
            self.right.append({attribute: told[attribute][index] == value for attribute, value in wanted.items()})

    def share(self, attribute, among=lambda prompt: True):
        """(how many are right, of how many that name it)"""
        found = [right[attribute] for prompt, right in zip(self.prompts, self.right) if attribute in right and among(prompt)]
        return sum(found), len(found)

    def whole(self):
        return sum(all(right.values()) for right in self.right), len(self.right)

    def __add__(self, other):
        both = Judged([], {})
        both.prompts, both.right = self.prompts + other.prompts, self.right + other.right
        return both


def percent(share):
    right, of = share
    return f"{100 * right / of:.1f}" if of else "–"


def accuracy(network, pictures, scenes):
    """The share of each attribute that the classifier tells right."""
    told = classifier.told(network, pictures)
    right = {attribute: [value == getattr(scene, attribute) for value, scene in zip(values, scenes)] for attribute, values in told.items()}
    return {attribute: (sum(values), len(values)) for attribute, values in right.items()}


@torch.no_grad()
def through(vae, data, batch=32):
    """Pictures in bytes as the autoencoder gives them back, in [0, 1]."""
    parts = [vae.decode(autoencoder.means(vae, part)).sample for part in data.split(batch)]
    return (torch.cat(parts) / 2 + 0.5).clamp(0, 1)


def evaluate(model, judge, data, scenes, count, seed, mixed=True):
    """The report in Markdown, and the pictures of plain prompts with these, to look at.

    data, scenes: renders that neither the model nor the classifier was trained on, of all combinations.
    count: pictures of each kind: trained and held-out combinations, plain prompts and any wording.
    """
    lines = []
    photos = [index for index, scene in enumerate(scenes) if scene.style == "photo"]
    of_all = autoencoder.fidelity(model.vae, data)
    fidelity = of_all[photos]
    of_style = {style: [index for index, scene in enumerate(scenes) if scene.style == style] for style in STYLES}
    by_style = {style: of_all[indices].mean().item() for style, indices in of_style.items()}
    all_photos = -10 * torch.log10((10 ** (-fidelity / 10)).mean()).item()
    on_renders = accuracy(judge, data.float() / 255, scenes)
    on_decoded = accuracy(judge, through(model.vae, data), scenes)

    judged, sheet = {}, None
    for held_out in (False, True):
        for any_wording in (False, True):
            said = prompts(count, held_out, any_wording, seed)
            name = f"{'held out' if held_out else 'trained'}, {'any wording' if any_wording else 'plain'}"
            made = model.pictures(said, seed + len(judged), STEPS, GUIDANCE, mixed=mixed, name=name)
            judged[held_out, any_wording] = Judged(said, classifier.told(judge, made))
            sheet = (made, said) if sheet is None else sheet

    seen, unseen = judged[False, False] + judged[False, True], judged[True, False] + judged[True, True]
    lines += ["| | wanted | measured | |", "|---|---|---|---|"]

    def row(what, wanted, measured, reached):
        lines.append(f"| {what} | {wanted} | {measured} | {'reached' if reached else 'not reached'} |")

    row(f"autoencoder, PSNR on {len(photos)} photos, mean", f"{WANTED_PSNR:.0f} dB", f"{fidelity.mean():.2f} dB", fidelity.mean() >= WANTED_PSNR)
    for attribute, (right, of) in on_renders.items():
        row(f"classifier on {of} renders, {attribute}", "99 %", percent((right, of)) + " %", right / of >= WANTED_CLASSIFIER)
    for attribute, wanted in WANTED.items():
        right, of = seen.share(attribute)
        row(f"{attribute}, trained combinations", f"{100 * wanted:.0f} %", percent((right, of)) + " %", right / of >= wanted)
    for attribute in WANTED:
        (right, of), (held_right, held_of) = seen.share(attribute), unseen.share(attribute)
        loss = right / of - held_right / held_of
        wanted, measured = f"at most {100 * ALLOWED_LOSS:.0f} points lower", f"{percent((held_right, held_of))} %: {100 * loss:.1f} lower"
        row(f"{attribute}, held-out combinations", wanted, measured, loss <= ALLOWED_LOSS)

    lines += ["", f"{STEPS} DDIM steps, guidance {GUIDANCE:g}, {count} pictures of each kind; percent of the attributes that prompts name:", ""]
    lines += ["| combinations | wording | " + " | ".join(ATTRIBUTES) + " | all of them |", "|---" * (len(ATTRIBUTES) + 3) + "|"]
    for (held_out, any_wording), found in judged.items():
        cells = [percent(found.share(attribute)) for attribute in ATTRIBUTES] + [percent(found.whole())]
        lines.append(f"| {'held out' if held_out else 'trained'} | {'any' if any_wording else 'plain'} | " + " | ".join(cells) + " |")
    for what, figures in (("renders", on_renders), ("renders through the autoencoder", on_decoded)):
        lines.append(f"| the classifier on {what} | | " + " | ".join(percent(figures[attribute]) for attribute in ATTRIBUTES) + " | |")

    lines += ["", "The autoencoder by style, mean PSNR in dB: " + ", ".join(f"{style} {value:.2f}" for style, value in by_style.items()) + "."]
    lines += [f"Of the mean squared error over all photos the PSNR is {all_photos:.2f} dB.", ""]
    lines += wording_table(judged[False, True] + judged[True, True])
    return "\n".join(lines) + "\n", sheet


def wording_table(found):
    """How well each wording is understood, where wordings were drawn by chance: by its attribute; by the order, over all attributes."""
    lines = ["| wording | for | right, percent | prompts |", "|---|---|---|---|"]
    for phrase, (attribute, value) in sorted(grammar.PHRASES.items(), key=lambda item: (list(ATTRIBUTES).index(item[1][0]), item[1][1], item[0])):
        words = " ".join(phrase)
        share = found.share(attribute, lambda prompt: (attribute, value, words) in grammar.spoken(prompt))
        if share[1]:
            lines.append(f"| {words} | {attribute} {value} | {percent(share)} | {share[1]} |")
    for order in grammar.ORDERS:
        shares = [found.share(attribute, lambda prompt: grammar.order_of(prompt) == order) for attribute in WANTED]
        total = sum(right for right, _ in shares), sum(of for _, of in shares)
        if total[1]:
            lines.append(f"| {order.replace('{', '').replace('}', '')} | order | {percent(total)} | {max(of for _, of in shares)} |")
    return lines
