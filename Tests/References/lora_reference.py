#!/usr/bin/env python3
"""What diffusers makes of LoRAs in every layout that people have them in, on small models with random weights: what LoRAReferenceTests compare with.

    lora_reference.py .build/reference/loras                                 # `make test-reference` does so
    lora_reference.py --small Tests/StableDiffusionTests/Goldens/loras       # what is committed

Models are shaped as Stable Diffusion 1.x and 2.x, with few channels; `--small` with fewer and with two levels instead of four. They take the
tokenizer of Models/tiny-world. FOLDER/sd1 and FOLDER/sd2 then hold

  unet, text_encoder         a model's, in diffusers' layout, 16 bits
  NAME.safetensors           the LoRAs; how each is made says a function below
  golden.safetensors         what the networks compute; PyTorch's layouts, F frames, h×w latents, L positions:
    text.input_ids (1, L), unet.sample (F, 4, h, w), unet.context (F, L, width)
    CASE.text (1, L, width), CASE.unet (F, 4, h, w)
    metadata: prompt, timestep, and `cases`, a JSON object of each case's LoRAs and their weights

Loading and weighing is diffusers' own (`load_lora_weights`, `set_adapters`), but for one thing: of kohya's alphas it keeps the commonest one for
all layers of attention, whatever theirs is. Where they are different the strengths are therefore worked into the numbers before it reads them
(alpha / rank · down, which is what an alpha means), and the script says how far diffusers' own reading is off.
"""

import argparse
import json
import pathlib
import shutil
import warnings

import diffusers
import peft
import torch
import transformers
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.training_utils import _collate_lora_metadata
from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_kohya
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROMPT, TIMESTEP, FRAMES = "a photo of a red metal ball on sand", 301, 2


# ------------------------------------------------------------------------------------------------ models
def networks(kind, small):
    channels = (8, 16) if small else (32, 64, 96, 96)
    flat, wide = len(channels) - 1, 16 if small else 48
    unet = dict(
        down_block_types=("CrossAttnDownBlock2D",) * flat + ("DownBlock2D",), up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * flat,
        block_out_channels=channels, layers_per_block=1 if small else 2, norm_num_groups=4 if small else 16, cross_attention_dim=wide, sample_size=16)
    if kind == "sd1":
        unet |= dict(attention_head_dim=2)
        text = dict(hidden_act="quick_gelu")
    else:
        unet |= dict(attention_head_dim=tuple(width // 8 for width in channels), use_linear_projection=True)
        text = dict(hidden_act="gelu")
    tokenizer = CLIPTokenizer.from_pretrained(REPOSITORY / "Models" / "tiny-world" / "tokenizer")
    text |= dict(
        vocab_size=len(tokenizer), hidden_size=wide, intermediate_size=3 * wide, num_hidden_layers=2 if small else 4, num_attention_heads=2,
        max_position_embeddings=32, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return tokenizer, UNet2DConditionModel(**unet), CLIPTextModel(CLIPTextConfig(**text))


class Model:
    """A folder with a model in it; each `opened` pair of networks is new, without LoRAs."""

    def __init__(self, kind, folder, small):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        torch.manual_seed(0)
        self.tokenizer, unet, text_encoder = networks(kind, small)
        unet.half().save_pretrained(folder / "unet")
        text_encoder.half().save_pretrained(folder / "text_encoder")
        self.size = (6, 8) if small else (24, 16)

    def opened(self):
        unet = UNet2DConditionModel.from_pretrained(self.folder / "unet", torch_dtype=torch.float32)
        text_encoder = CLIPTextModel.from_pretrained(self.folder / "text_encoder", dtype=torch.float32)
        return unet.eval(), text_encoder.eval()

    def pipeline(self):
        unet, text_encoder = self.opened()
        return StableDiffusionPipeline(
            vae=None, text_encoder=text_encoder, tokenizer=None, unet=unet, scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
            safety_checker=None, feature_extractor=None, requires_safety_checker=False)

    @torch.no_grad()
    def computed(self, loras):
        """What the networks make of fixed inputs, with LoRAs: (file's name or tensors, weight) each."""
        pipeline = self.pipeline()
        adapters = [f"lora{index}" for index in range(len(loras))]
        for (source, _), adapter in zip(loras, adapters):
            if isinstance(source, dict):
                pipeline.load_lora_weights(source, adapter_name=adapter)
            elif source == "of-unet-alone":
                pipeline.unet.load_lora_adapter(str(self.folder), weight_name=f"{source}.safetensors", adapter_name=adapter, prefix=None)
            else:
                pipeline.load_lora_weights(str(self.folder), weight_name=f"{source}.safetensors", adapter_name=adapter)
        if loras:
            pipeline.set_adapters(adapters, [weight for _, weight in loras])
        inputs = self.inputs()
        return {
            "text": pipeline.text_encoder(inputs["text.input_ids"])[0],
            "unet": pipeline.unet(inputs["unet.sample"], TIMESTEP, encoder_hidden_states=inputs["unet.context"]).sample,
        }

    @torch.no_grad()
    def inputs(self):
        ids = self.tokenizer([PROMPT], padding="max_length", max_length=32, truncation=True, return_tensors="pt").input_ids
        context = self.opened()[1](ids)[0].expand(FRAMES, -1, -1).contiguous()
        sample = torch.randn(FRAMES, 4, *self.size, generator=torch.Generator().manual_seed(1))
        return {"text.input_ids": ids, "unet.sample": sample, "unet.context": context}


# ------------------------------------------------------------------------------------------------ LoRAs
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
TEXT_ATTENTION = ["q_proj", "k_proj", "v_proj", "out_proj"]


def random(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator) * 0.15


def low_rank(layer, rank, random):
    """(down, up) of a linear layer or a convolution, which goes up by 1×1."""
    weight = layer.weight
    return random(rank, *weight.shape[1:]), random(weight.shape[0], rank, *(1,) * (weight.ndim - 2))


def of_2023(model, name):
    """As diffusers' train_text_to_image_lora.py and train_dreambooth_lora.py of that year saved attention's processors: of rank 4, without alphas."""
    numbers, tensors = random(2), {}
    unet, text_encoder = model.opened()
    for path, layer in unet.named_modules():
        if path.endswith(tuple("." + end for end in ATTENTION)) and ".attn" in path:
            place, end = path.replace(".to_out.0", ".to_out").rsplit(".", 1)
            down, up = low_rank(layer, 4, numbers)
            tensors |= {f"unet.{place}.processor.{end}_lora.down.weight": down, f"unet.{place}.processor.{end}_lora.up.weight": up}
    for path, layer in text_encoder.named_modules():
        for end, old in zip(TEXT_ATTENTION, ["to_q", "to_k", "to_v", "to_out"]):
            if path.endswith("self_attn." + end):
                place = "text_encoder.text_model." + path.removeprefix("text_model.").removesuffix(end) + old
                down, up = low_rank(layer, 4, numbers)
                tensors |= {f"{place}_lora.down.weight": down, f"{place}_lora.up.weight": up}
    save_file(tensors, model.folder / f"{name}.safetensors")


def adapted(model, unet_options, text_options, seed):
    """Networks with peft's layers in them, which hold random numbers."""
    networks = model.opened()
    numbers = random(seed)
    for network, options in zip(networks, (unet_options, text_options)):
        network.add_adapter(peft.LoraConfig(**options), adapter_name="default")
        for path, parameter in sorted(network.named_parameters()):
            if ".lora_" in path:
                parameter.data = numbers(*parameter.shape)
    return networks


def state(network):
    return {name: value.contiguous() for name, value in peft.get_peft_model_state_dict(network).items()}


UNET_LAYERS = ATTENTION + ["ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv2", "conv_shortcut", "time_emb_proj"]
UNET = dict(r=3, lora_alpha=5, target_modules=UNET_LAYERS)
TEXT = dict(r=2, lora_alpha=3, target_modules=TEXT_ATTENTION + ["fc1", "fc2"])


def of_today(model, name):
    """As diffusers' training scripts save them: peft's names, and beside the tensors what each layer's strength is."""
    unet, text_encoder = adapted(
        model, UNET | dict(alpha_pattern={"attn1.to_q": 7, "ff.net.2": 1.5, "^mid_block.attentions.0.proj_in": 4}, rank_pattern={"attn2.to_k": 5}),
        TEXT | dict(alpha_pattern={"fc1": 6}), seed=3)
    StableDiffusionPipeline.save_lora_weights(
        model.folder, unet_lora_layers=state(unet), text_encoder_lora_layers=state(text_encoder), weight_name=f"{name}.safetensors",
        **_collate_lora_metadata({"unet": unet, "text_encoder": text_encoder}))


def rank_stabilised(model, name):
    """As `of_today`, of the kind that divides by the rank's root."""
    unet, text_encoder = adapted(model, UNET | dict(use_rslora=True), TEXT | dict(use_rslora=True), seed=4)
    StableDiffusionPipeline.save_lora_weights(
        model.folder, unet_lora_layers=state(unet), text_encoder_lora_layers=state(text_encoder), weight_name=f"{name}.safetensors",
        **_collate_lora_metadata({"unet": unet, "text_encoder": text_encoder}))


def without_alphas(model, name):
    """As diffusers' training scripts saved them from the end of 2023 on: attention's layers in names of their own, and a strength of 1."""
    # Of a UNet's other layers too, diffusers would write both kinds of names, and then itself read only one of them.
    unet, text_encoder = adapted(model, UNET | dict(target_modules=ATTENTION, rank_pattern={"to_v": 2}), TEXT, seed=5)
    StableDiffusionPipeline.save_lora_weights(
        model.folder, unet_lora_layers=convert_state_dict_to_diffusers(state(unet)),
        text_encoder_lora_layers=convert_state_dict_to_diffusers(state(text_encoder)), weight_name=f"{name}.safetensors")


def of_unet_alone(model, name):
    """What a UNet itself saves: no name of a component, neither before the tensors nor in what is noted beside them."""
    unet, _ = adapted(model, UNET, TEXT, seed=6)
    unet.save_lora_adapter(model.folder, weight_name=f"{name}.safetensors")


def of_kohya(model, name, alphas=lambda path, rank: 1, ranks=lambda path: 4, convolutions=True):
    """As kohya's sd-scripts (networks/lora.py) name and store them, convolutions of 3×3 included: 16 bits, and each layer's own alpha."""
    numbers, tensors = random(7), {}
    unet, text_encoder = model.opened()
    chosen = {"unet": [], "te_text_model": []}
    for path, layer in unet.named_modules():
        is_layer = isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d))
        if is_layer and (".attentions." in path or convolutions and (".resnets." in path or "samplers." in path)):
            chosen["unet"].append((path, layer))
    for path, layer in text_encoder.named_modules():
        if isinstance(layer, torch.nn.Linear):
            chosen["te_text_model"].append((path.removeprefix("text_model."), layer))
    for component, layers in chosen.items():
        for path, layer in layers:
            rank = ranks(path)
            down, up = low_rank(layer, rank, numbers)
            place = f"lora_{component}_" + path.replace(".", "_")
            tensors |= {f"{place}.lora_down.weight": down.half(), f"{place}.lora_up.weight": up.half()}
            tensors[f"{place}.alpha"] = torch.tensor(float(alphas(path, rank))).half()
    save_file(tensors, model.folder / f"{name}.safetensors", metadata={"ss_network_module": "networks.lora", "ss_network_dim": "4"})


def is_convolution(path):
    return ".resnets." in path or "samplers." in path


def of_kohya_by_diffusers(model, name):
    """What diffusers' scripts save besides for programs that read kohya's layout; the text encoder is `te1`, as Stable Diffusion XL's first."""
    unet, text_encoder = adapted(model, UNET | dict(lora_alpha=3), TEXT | dict(lora_alpha=2), seed=8)
    tensors = {f"unet.{key}": value for key, value in state(unet).items()}
    tensors |= {f"text_encoder.text_model.{key.removeprefix('text_model.')}": value for key, value in state(text_encoder).items()}
    save_file({key: value.contiguous() for key, value in convert_state_dict_to_kohya(tensors).items()}, model.folder / f"{name}.safetensors")


def worked_in(tensors):
    """The same LoRA in kohya's layout with its strengths in its numbers, and no alphas."""
    plain = {}
    for key, value in tensors.items():
        if key.endswith(".lora_down.weight"):
            value = value.float() * (tensors[key.replace(".lora_down.weight", ".alpha")].item() / value.shape[0])
        if not key.endswith(".alpha"):
            plain[key] = value.float()
    return plain


# ------------------------------------------------------------------------------------------------ goldens
def write(kind, folder, small):
    model = Model(kind, folder, small)
    of_2023(model, "of-2023")
    of_today(model, "of-today")
    rank_stabilised(model, "rank-stabilised")
    without_alphas(model, "without-alphas")
    of_unet_alone(model, "of-unet-alone")
    # As LoCons are trained: convolutions with a rank and an alpha of their own.
    of_kohya(model, "kohya", lambda path, _: 1 if is_convolution(path) else 2, lambda path: 2 if is_convolution(path) else 4)
    of_kohya(model, "kohya-each", lambda path, rank: 1 + len(path) % 3 * rank, lambda path: 1 + len(path) % 4, convolutions=kind == "sd2")
    of_kohya_by_diffusers(model, "kohya-by-diffusers")
    names = sorted(path.stem for path in folder.glob("*.safetensors"))
    cases = {"plain": {}} | {name: {name: weight} for name, weight in zip(names, [1, 0.6, 1, -0.5, 0.8, 1, 0.5, 1.5])}
    cases["several"] = {"kohya": 0.7, "of-today": -0.4, "of-2023": 0.5}

    out, plain = model.inputs(), model.computed([])
    for case, loras in cases.items():
        sources = {name: worked_in(load_file(folder / f"{name}.safetensors")) if name == "kohya-each" else name for name in loras}
        computed = model.computed([(sources[name], weight) for name, weight in loras.items()])
        out |= {f"{case}.{part}": value for part, value in computed.items()}
        print(f"{kind} {case}: changes " + distances(computed, plain), flush=True)
        if "kohya-each" in loras:
            print("    as diffusers reads its alphas it is off by " + distances(model.computed(list(loras.items())), computed))
    metadata = {"prompt": PROMPT, "timestep": str(TIMESTEP), "cases": json.dumps(cases)}
    save_file({name: value.contiguous() for name, value in out.items()}, folder / "golden.safetensors", metadata=metadata)


def distances(computed, other):
    return ", ".join(f"{part} {((computed[part] - other[part]).norm() / other[part].norm()).item():.3g}" for part in computed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--small", action="store_true", help="write what is committed")
    arguments = parser.parse_args()
    for library in (diffusers, transformers):
        library.logging.set_verbosity_error()
        library.logging.disable_progress_bar()
    # Of alphas that it does not find a layer for; the script says what comes of that.
    warnings.filterwarnings("ignore", module="peft")
    for kind in ("sd1", "sd2"):
        write(kind, arguments.folder / kind, arguments.small)


if __name__ == "__main__":
    main()
