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
# Enough to see whether a word was understood.
WORDING_STEPS = 20
EVENLY = {style: 1 for style in STYLES}


def scenes_to_make(count, held_out, chance, **attributes):
    return [Scene.drawn(chance, held_out=held_out, style_weights=EVENLY, **attributes) for _ in range(count)]


def prompts(count, held_out, any_wording, seed):
    """As many prompts for scenes by chance, all styles equally often; plain ones, or worded by chance."""
    chance = random.Random(f"{seed} {held_out} {any_wording}")
    scenes = scenes_to_make(count, held_out, chance)
    return [grammar.caption(scene, chance) if any_wording else grammar.plain(scene) for scene in scenes]


def prompts_of_wordings(count, seed):
    """For each wording that the grammar has besides the plain ones: (its attribute, its value, itself, as many prompts that are plain but for it)."""
    chance, found = random.Random(f"{seed} wordings"), []
    for attribute, values in ATTRIBUTES.items():
        for value in values:
            for wording in grammar.wordings(attribute, value)[1:]:
                scenes = scenes_to_make(count, False, chance, **{attribute: value})
                found.append((attribute, value, wording, [grammar.worded(scene, attribute, wording) for scene in scenes]))
    return found


class Judged:
    """For each prompt what it says, and for each attribute that it names whether the picture shows it."""

    def __init__(self, prompts, shown):
        self.prompts = prompts
        self.right = []
        for index, prompt in enumerate(prompts):
            wanted = grammar.parse(prompt)
            self.right.append({attribute: shown[attribute][index] == value for attribute, value in wanted.items()})

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
    shown = classifier.predicted(network, pictures)
    right = {attribute: [value == getattr(scene, attribute) for value, scene in zip(values, scenes)] for attribute, values in shown.items()}
    return {attribute: (sum(values), len(values)) for attribute, values in right.items()}


@torch.no_grad()
def through(vae, data, batch=32):
    """Pictures in bytes as the autoencoder gives them back, in [0, 1]."""
    parts = [vae.decode(autoencoder.means(vae, part)).sample for part in data.split(batch)]
    return (torch.cat(parts) / 2 + 0.5).clamp(0, 1)


def evaluate(model, judge, data, scenes, count, wording_count, seed, mixed=True):
    """The report in Markdown; and the pictures that were made of plain prompts, with these, to look at.

    data, scenes: renders that neither the model nor the classifier was trained on, of all combinations.
    count: pictures of each kind: trained and held-out combinations, plain prompts and any wording.
    wording_count: pictures of each wording besides the plain ones.
    """
    lines = ["| | wanted | measured | |", "|---|---|---|---|"]

    def row(what, wanted, measured, reached):
        lines.append(f"| {what} | {wanted} | {measured} | {'reached' if reached else 'not reached'} |")

    def share_row(what, wanted, share):
        row(what, f"{100 * wanted:.0f} %", f"{percent(share)} %", share[0] >= wanted * share[1])

    of_all = autoencoder.fidelity(model.vae, data)
    of_style = {style: of_all[[index for index, scene in enumerate(scenes) if scene.style == style]] for style in STYLES}
    photos = of_style["photo"]
    row(f"autoencoder, PSNR on {len(photos)} photos, mean", f"{WANTED_PSNR:.0f} dB", f"{photos.mean():.2f} dB", photos.mean() >= WANTED_PSNR)
    on_renders = accuracy(judge, data.float() / 255, scenes)
    for attribute, share in on_renders.items():
        share_row(f"classifier on {share[1]} renders, {attribute}", WANTED_CLASSIFIER, share)

    judged, sheet = {}, None
    for held_out in (False, True):
        for any_wording in (False, True):
            made_of = prompts(count, held_out, any_wording, seed)
            name = f"{'held out' if held_out else 'trained'}, {'any wording' if any_wording else 'plain'}"
            made = model.pictures(made_of, seed + len(judged), STEPS, GUIDANCE, mixed=mixed, name=name)
            judged[held_out, any_wording] = Judged(made_of, classifier.predicted(judge, made))
            sheet = sheet or (made, made_of)
    for any_wording in (False, True):
        for attribute, wanted in WANTED.items():
            share_row(f"{attribute}, trained combinations, {'any wording' if any_wording else 'plain'}", wanted, judged[False, any_wording].share(attribute))
    seen, unseen = judged[False, False] + judged[False, True], judged[True, False] + judged[True, True]
    for attribute in WANTED:
        (right, of), (held_right, held_of) = seen.share(attribute), unseen.share(attribute)
        loss = right / of - held_right / held_of
        wanted, measured = f"at most {100 * ALLOWED_LOSS:.0f} points lower", f"{percent((held_right, held_of))} %: {100 * loss:.1f} lower"
        row(f"{attribute}, held-out combinations", wanted, measured, loss <= ALLOWED_LOSS)

    by_wording = judge_wordings(model, judge, wording_count, seed, mixed)
    for attribute, wanted in WANTED.items():
        shares = [share for (of, _, _), share in by_wording.items() if of == attribute]
        if shares:
            total = sum(right for right, _ in shares), sum(of for _, of in shares)
            share_row(f"{attribute}, the {len(shares)} wordings besides the plain ones", wanted, total)

    lines += ["", f"{STEPS} DDIM steps, guidance {GUIDANCE:g}, {count} pictures of each kind; percent of the attributes that prompts name:", ""]
    lines += ["| combinations | wording | " + " | ".join(ATTRIBUTES) + " | all of them |", "|---" * (len(ATTRIBUTES) + 3) + "|"]
    for (held_out, any_wording), found in judged.items():
        cells = [percent(found.share(attribute)) for attribute in ATTRIBUTES] + [percent(found.whole())]
        lines.append(f"| {'held out' if held_out else 'trained'} | {'any' if any_wording else 'plain'} | " + " | ".join(cells) + " |")
    on_decoded = accuracy(judge, through(model.vae, data), scenes)
    for what, figures in (("renders", on_renders), ("renders through the autoencoder", on_decoded)):
        lines.append(f"| the classifier on {what} | | " + " | ".join(percent(figures[attribute]) for attribute in ATTRIBUTES) + " | |")

    of_whole = -10 * torch.log10((10 ** (-photos / 10)).mean()).item()
    lines += ["", "The autoencoder by style, mean PSNR in dB: " + ", ".join(f"{style} {value.mean():.2f}" for style, value in of_style.items()) + "."]
    lines += [f"Of the mean squared error over all photos the PSNR is {of_whole:.2f} dB.", ""]
    lines += wording_table(by_wording, judged[False, True] + judged[True, True], wording_count)
    return "\n".join(lines) + "\n", sheet


def judge_wordings(model, judge, count, seed, mixed):
    """For each wording besides the plain ones: (how many of its prompts' pictures show what it says, of how many)."""
    wordings = prompts_of_wordings(count, seed)
    made = model.pictures([prompt for *_, some in wordings for prompt in some], seed, WORDING_STEPS, GUIDANCE, mixed=mixed, name="wordings")
    shown = classifier.predicted(judge, made)
    found = {}
    for index, (attribute, value, wording, _) in enumerate(wordings):
        values = shown[attribute][index * count : (index + 1) * count]
        found[attribute, value, wording] = values.count(value), count
    return found


def wording_table(by_wording, found, count):
    """How well each wording is understood; and each order of the parts, where it was drawn by chance."""
    lines = [f"Each wording besides the plain ones, {count} pictures in {WORDING_STEPS} steps; the orders as they came by chance:", ""]
    lines += ["| wording | for | right, percent | pictures |", "|---|---|---|---|"]
    for (attribute, value, wording), share in by_wording.items():
        lines.append(f"| {wording.strip(', ') or '*nothing*'} | {attribute} {value} | {percent(share)} | {share[1]} |")
    for order in grammar.ORDERS:
        among = lambda prompt: grammar.order_of(prompt) == order
        cells = ", ".join(f"{attribute} {percent(found.share(attribute, among))}" for attribute in WANTED)
        lines.append(f"| {order.replace('{', '').replace('}', '')} | order | {cells} | {sum(map(among, found.prompts))} |")
    return lines
