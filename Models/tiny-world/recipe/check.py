"""Checks of the recipe itself, in a minute or two: what the trainings rely on, on small examples."""

import itertools
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

import torch
from diffusers import StableDiffusionPipeline

from . import autoencoder, classifier, clips, denoiser, export, golden, grammar, tokenizer
from .attributes import ATTRIBUTES, COLORS, GROUNDS, SHAPES, is_held_out
from .model import Model
from .pictures import to_bytes, to_network
from .renderer import render
from .scene import Scene
from .training import Interrupted


class Broken(Exception):
    pass


def expect(condition, otherwise):
    if not condition:
        raise Broken(otherwise)


def scenes(count, seed=0, **attributes):
    chance = random.Random(seed)
    return [Scene.drawn(chance, held_out=None, **attributes) for _ in range(count)]


def check_renderer(folder):
    """the same scene gives the same picture, and a change of one attribute changes nothing else"""
    some = scenes(12)
    once, again = render(some), render(some)
    expect(torch.equal(once, again), "the same scenes give other pictures the second time")
    expect(once.isfinite().all() and once.min() >= 0 and once.max() <= 1, "pictures leave [0, 1]")
    # A processor may compute a number's last bit otherwise in other company.
    alone = torch.cat([render([scene]) for scene in some])
    photos = [scene.style in ("photo", "watercolor") for scene in some]
    expect((alone - once)[photos].abs().max() < 2 / 255, "a scene's picture depends on what is rendered with it")
    for scene in some:
        for attribute, values in ATTRIBUTES.items():
            for value in values:
                changed = scene.changed(**{attribute: value})
                differing = [name for name in ATTRIBUTES if getattr(changed, name) != getattr(scene, name)]
                expect(changed.pose == scene.pose and differing in ([], [attribute]), f"changing the {attribute} changes more")
    scene = Scene("red", "ball", "rubber", "sand", "day", "photo")
    pictures = render([scene, scene.changed(color="blue"), scene.changed(color="blue", material="metal")])
    different = (pictures[1:] - pictures[:1]).abs().amax(1) > 0
    expect(0.05 < different[0].float().mean() < 0.3 and not different[:, :, :8].any(), "another color changes more than the object")
    expect(not (different[1] & ~different[0]).any(), "another material changes more than the object")


def check_attributes_visible(folder):
    """every attribute shows in every style: changing it changes the picture by more than noise"""
    for style in ATTRIBUTES["style"]:
        base = Scene("red", "cube", "rubber", "grass", "day", style)
        for attribute, values in ATTRIBUTES.items():
            others = [base.changed(**{attribute: value}) for value in values if value != getattr(base, attribute)]
            pictures = render([base] + others)
            least = (pictures[1:] - pictures[:1]).abs().mean((1, 2, 3)).min().item()
            expect(least > 0.003, f"in the style {style} another {attribute} changes a picture by no more than {least:.4f}")


def check_grammar(folder):
    """every caption says its scene, and nothing else"""
    chance, orders, phrases = random.Random(1), set(), set()
    for scene in scenes(20_000, 1):
        caption = grammar.caption(scene, chance)
        said = grammar.parse(caption)
        wrong = {name: value for name, value in said.items() if getattr(scene, name) != value}
        expect(not wrong, f"'{caption}' is said of {scene.attributes}, but says {wrong}")
        expect("shape" in said, f"'{caption}' names no object")
        expect(not re.search(r"\ba [aeiou]|\ban [^aeiou]|  | ,|,$", caption), f"'{caption}' is no English")
        expect(grammar.parse(grammar.plain(scene)) == scene.attributes, f"'{grammar.plain(scene)}' leaves something out")
        orders.add(grammar.order_of(caption))
        phrases |= {phrase for _, _, phrase in grammar.spoken(caption)}
    expect(orders == set(grammar.ORDERS), "some order never comes")
    expect(phrases == {" ".join(phrase) for phrase in grammar.PHRASES}, "some wording never comes")
    scene = Scene("orange", "cone", "metal", "snow", "night", "watercolor")
    expect(grammar.plain(scene) == "a watercolor of an orange metal cone on snow at night", f"'{grammar.plain(scene)}' is not plain")
    for attribute, values in ATTRIBUTES.items():
        for value, words in ((value, words) for value in values for words in grammar.wordings(attribute, value)):
            one = scene.changed(**{attribute: value})
            expect(grammar.parse(grammar.worded(one, attribute, words)) == one.attributes, f"'{grammar.worded(one, attribute, words)}' says something else")
    for bad in ("a red blue ball", "a photo of a dog"):
        try:
            grammar.parse(bad)
        except ValueError:
            continue
        raise Broken(f"'{bad}' is understood")


def check_held_out(folder):
    """one in ten combinations is held out, evenly, and never trained on"""
    combinations = list(itertools.product(COLORS, SHAPES, GROUNDS))
    out = [combination for combination in combinations if is_held_out(*combination)]
    expect(len(out) * 10 == len(combinations), f"{len(out)} of {len(combinations)} combinations are held out")
    for place, values in enumerate((COLORS, SHAPES, GROUNDS)):
        counts = [sum(combination[place] == value for combination in out) for value in values]
        expect(max(counts) - min(counts) <= 1, f"held-out combinations are uneven: {dict(zip(values, counts))}")
    chance = random.Random(2)
    for held_out in (False, True):
        expect(all(Scene.drawn(chance, held_out).is_held_out == held_out for _ in range(2000)), "drawing does not keep to what is held out")


def check_tokenizer(folder):
    """any text has tokens, those that transformers gives, and they spell the text"""
    tokenizer.write(folder / "tokenizer")
    words = tokenizer.opened(folder / "tokenizer")
    vocabulary = json.loads((folder / "tokenizer/vocab.json").read_text())
    merges = {tuple(line.split()): rank for rank, line in enumerate((folder / "tokenizer/merges.txt").read_text().splitlines()[1:])}
    letters = dict(zip([*range(33, 127), *range(161, 173), *range(174, 256)], tokenizer.byte_letters()))
    letters |= dict(zip([byte for byte in range(256) if byte not in letters], tokenizer.byte_letters()[len(letters) :]))

    def spelled(word):
        """Byte pair encoding by its definition."""
        parts = [letters[byte] for byte in word.encode()]
        parts[-1] += "</w>"
        while len(parts) > 1:
            rank, at = min((merges.get(pair, len(merges)), at) for at, pair in enumerate(itertools.pairwise(parts)))
            if rank == len(merges):
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return [vocabulary[part] for part in parts]

    chance = random.Random(3)
    known = [grammar.caption(scene, chance) for scene in scenes(500, 3)]
    unknown = ["a dodecahedron, made of cheese", "it's the cat's pyjamas", "Zürich, naïve café", "日本語 кот", "x9 42 !?", "antidisestablishmentarianism"]
    for text in known + unknown:
        pieces = re.findall(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+", text.lower())
        ours = [token for piece in pieces for token in spelled(piece)]
        theirs = words(text, add_special_tokens=False).input_ids
        expect(ours == theirs, f"'{text}': transformers has {theirs}, not {ours}")
        expect(vocabulary[tokenizer.END] not in theirs, f"'{text}' has a token that is unknown")
        expect("".join(words.decode(theirs).split()) == "".join(text.lower().split()), f"'{text}' comes back as '{words.decode(theirs)}'")
    for text in known:
        expect(len(words(text).input_ids) <= tokenizer.LENGTH, f"'{text}' is longer than {tokenizer.LENGTH} tokens")
        expect(len(words(text, add_special_tokens=False).input_ids) == len(re.findall(r"[a-z]+|,", text)), f"a word of '{text}' is not one token")
    expect(len(vocabulary) == len(words) == max(vocabulary.values()) + 1 < 800, f"the vocabulary has {len(vocabulary)} tokens")


def resumed(train, folder, steps=4):
    """The states that `train(folder, steps, stop_after)` ends with, uninterrupted and interrupted half-way."""
    def states(networks):
        networks = networks if isinstance(networks, tuple) else (networks,)
        return [tensor for network in networks for tensor in network.state_dict().values()]

    whole = states(train(folder / "whole", steps, None))
    try:
        train(folder / "halves", steps, steps // 2)
    except Interrupted:
        return whole, states(train(folder / "halves", steps, None))
    raise Broken("the training was not interrupted")


def check_resuming(folder):
    """trainings that were interrupted come to the same bits as ones that were not"""
    some = scenes(24, 4)
    data = to_bytes(render(some))
    words = tokenizer.opened(folder / "tokenizer")
    latents = torch.randn(2 * len(some), 4, 16, 16, generator=torch.Generator().manual_seed(0))
    trainings = {
        "autoencoder": lambda folder, steps, stop: autoencoder.train(data, folder, 0, steps, batch=2, stop_after=stop),
        "denoiser": lambda folder, steps, stop: denoiser.train(latents, some, words, folder, 0, steps, batch=4, stop_after=stop),
        "classifier": lambda folder, steps, stop: classifier.train(data, some, folder, 0, steps, stop_after=stop),
    }
    for name, train in trainings.items():
        whole, halves = resumed(train, folder / name)
        expect(all(torch.equal(a, b) for a, b in zip(whole, halves, strict=True)), f"the {name} differs where it was interrupted")


def check_centring(folder):
    """centred latents have mean 0 and deviation 1, and decode to the same pictures"""
    network = autoencoder.made(0).eval()
    with torch.no_grad():
        network.post_quant_conv.bias.normal_(generator=torch.Generator().manual_seed(1))
    data = to_bytes(render(scenes(16, 5)))
    before = autoencoder.fidelity(network, data)
    latents = network.encode(to_network(data)).latent_dist.logvar
    autoencoder.centre(network, data, 0)
    after, means = autoencoder.fidelity(network, data), autoencoder.means(network, data)
    expect((before - after).abs().max() < 0.01, "centred latents decode to other pictures")
    expect(means.mean((0, 2, 3)).abs().max() < 1e-3 and (means.std((0, 2, 3)) - 1).abs().max() < 1e-3, "centred latents are not centred")
    expect(abs(network.config.scaling_factor - 1) < 1e-2, "the scaling factor is not that of centred latents")
    ratio = (network.encode(to_network(data)).latent_dist.logvar - latents).flatten(2).std(2)
    expect(ratio.max() < 1e-3, "variances do not follow the means")


def check_export(folder):
    """an exported model opens in diffusers, makes the pictures that it makes here, and stemctl computes the same with it"""
    words = tokenizer.opened(folder / "tokenizer")
    unet = denoiser.made_unet(0)
    # An untrained one says nothing at all.
    torch.nn.init.normal_(unet.conv_out.weight, std=0.05, generator=torch.Generator().manual_seed(0))
    size = export.write(autoencoder.made(0), unet, denoiser.made_text_encoder(words, 0), folder / "tokenizer", folder / "model")
    expect(size <= export.LIMIT, f"the model takes {size} bytes")
    expect_layout(folder / "model")
    prompt = "an orange cone"
    ours = Model(folder / "model").pictures([prompt], seed=7, steps=3, mixed=False)
    pipeline = StableDiffusionPipeline.from_pretrained(folder / "model", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(7))
    theirs = pipeline(prompt, latents=noise, num_inference_steps=3, guidance_scale=5.0, output_type="pt").images
    expect((ours - theirs).abs().max() < 1e-3, "diffusers' pipeline makes another picture")


def check_stages(folder):
    """all stages from nothing to the evaluation and clips run in small, and leave a model that says nothing of this machine"""
    sizes = "--pictures 60 --autoencoder-steps 2 --denoiser-steps 2 --count 2 --wording-count 1 --unseen 40 --judge-pictures 60 --judge-steps 2 --clips 1"
    for stage in ("all", "evaluate", "clips"):
        command = [sys.executable, "-B", "-m", __package__, stage, "--folder", folder / "small", *sizes.split()]
        done = subprocess.run(command, capture_output=True, text=True, cwd=pathlib.Path(__file__).resolve().parents[1])
        expect(done.returncode == 0, f"the stage {stage} fails:\n{done.stderr[-2000:]}")
    expect_layout(folder / "small/tiny-world")
    left = [file.name for file in (folder / "small/tiny-world").rglob("*.json") if str(folder) in file.read_text()]
    expect(not left, f"{', '.join(left)} name the folder that the model was made in")
    made = {file.name for file in (folder / "small").iterdir()}
    expect({"evaluation.md", "evaluation.png", "evaluation.txt", "clips"} <= made, f"something is not written: there are only {sorted(made)}")


def expect_layout(model):
    """That a folder is laid out as the one that comes with the source."""
    wanted = pathlib.Path(__file__).resolve().parents[1]
    names = lambda folder: {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    committed = {name for name in names(wanted) if name.split("/")[0] not in ("clips", "recipe", "README.md", "pictures")}
    expect(names(model) == committed, f"the files are {sorted(names(model))}, not {sorted(committed)}")
    for part in ("vae", "unet", "text_encoder"):
        ours, theirs = (json.loads((folder / part / "config.json").read_text()) for folder in (model, wanted))
        own = {"scaling_factor", "vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"}
        different = [key for key in ours.keys() | theirs.keys() if key not in own and ours.get(key) != theirs.get(key)]
        expect(not different, f"the {part} is configured otherwise: {', '.join(sorted(different))}")


def check_clips(folder):
    """a clip comes with prompts and a truth that differs by one attribute"""
    for kind in clips.KINDS:
        for held_out in (False, True):
            scene, edited = clips.drawn(kind, held_out, random.Random(8))
            expect(edited == scene.changed(**{kind: getattr(edited, kind)}) != scene, f"an edit of the {kind} changes something else")
            expect(edited.is_held_out == held_out, f"an edit of the {kind} makes a combination of the wrong kind")
        expect(not clips.example(kind)[1].is_held_out, f"the example of the {kind} is held out")
    frames = clips.frames_of(Scene("red", "ball", "metal", "sand", "day", "photo"), clips.movement(random.Random(9)), 3)
    clips.write_video(folder / "clip.mp4", frames)
    expect(clips.psnr(clips.read_video(folder / "clip.mp4"), frames) > 38, "a clip loses much when it is encoded")


def verified(stemctl, model, folder):
    golden.write(model, folder / "golden.safetensors", golden.frames())
    done = subprocess.run([stemctl, "models", "verify", model, folder / "golden.safetensors"], capture_output=True, text=True)
    expect(done.returncode == 0, f"stemctl computes something else with {model}:\n{done.stdout}{done.stderr}")


CHECKS = [check_renderer, check_attributes_visible, check_grammar, check_held_out, check_tokenizer, check_resuming, check_centring, check_clips, check_export, check_stages]


def run(stemctl, model=None):
    """Runs all checks; ends the program with 1 where one is broken.

    stemctl: the program that is to read exported models; model: another one that it is to read too.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder, broken = pathlib.Path(folder), False
        checks = [(check.__doc__, lambda check=check: check(folder)) for check in CHECKS]
        if stemctl.exists():
            for name in [folder / "model"] + ([model] if model else []):
                checks.append((f"stemctl verifies {name}", lambda name=name: verified(stemctl, name, folder)))
        for what, check in checks:
            began = time.monotonic()
            try:
                check()
                print(f"ok ({time.monotonic() - began:.1f} s): {what}", flush=True)
            except Broken as error:
                broken = True
                print(f"BROKEN: {what}\n    {error}", flush=True)
        if not stemctl.exists():
            print(f"left out: {stemctl} is not there to read an exported model")
    if broken:
        sys.exit(1)
