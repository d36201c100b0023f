import Foundation

/// Names of what is not a Stable Diffusion 1.x or 2.x model, so that a refusal can say what it is.
enum OtherModels {
  static func refusal(of path: String, _ what: String) -> ModelError {
    if what == lora {
      let isThere =
        URL(fileURLWithPath: path).deletingLastPathComponent().lastPathComponent == "loras"
      return ModelError(
        "\(path) is \(what), and none itself: "
          + (isThere ? "" : "put it into the folder 'loras' among the models, and ")
          + "name it with the key 'loras'")
    }
    return ModelError(
      "\(path) is \(what), which is not supported; supported are whole models of Stable Diffusion 1.x and 2.x, also those that take instructions as InstructPix2Pix does"
    )
  }

  /// - Parameter pipeline: the class that a folder's model_index.json names.
  static func name(pipeline: String) -> String? {
    pipelines.first { pipeline.contains($0.part) }?.name
  }

  private static let pipelines: [(part: String, name: String)] = [
    ("XL", "a Stable Diffusion XL model"), ("StableDiffusion3", "a Stable Diffusion 3 model"),
    ("Flux", "a Flux model"), ("StableCascade", "a Stable Cascade model"),
    ("StableVideoDiffusion", "a Stable Video Diffusion model"),
    ("AltDiffusion", "an AltDiffusion model"),
    ("Kandinsky", "a Kandinsky model"), ("PixArt", "a PixArt model"), ("Sana", "a Sana model"),
    ("Wan", "a Wan model"), ("CogVideo", "a CogVideoX model"), ("LTX", "an LTX-Video model"),
    ("Hunyuan", "a Hunyuan model"), ("QwenImage", "a Qwen-Image model"),
    ("UnCLIP", "an unCLIP model"), ("DeepFloyd", "a DeepFloyd IF model"),
  ]

  /// - Parameter component: the class that a config.json names.
  static func name(component: String) -> String? { components[component] }

  private static let components = [
    "UNet2DConditionModel": "only the UNet of a model",
    "AutoencoderKL": "only the autoencoder of a model",
    "CLIPTextModel": "only the text encoder of a model",
    "CLIPTextModelWithProjection": "only the text encoder of a model",
    "CLIPModel": "a CLIP model, of which Stable Diffusion uses only a part",
    "ControlNetModel": "a ControlNet", "T2IAdapter": "a T2I adapter",
    "MotionAdapter": "a motion adapter (AnimateDiff)", "AutoencoderTiny": "a tiny autoencoder",
    "SD3Transformer2DModel": "only the transformer of a Stable Diffusion 3 model",
    "FluxTransformer2DModel": "only the transformer of a Flux model",
  ]

  /// - Parameters:
  ///   - inputs: the UNet's channels.
  ///   - latents: those of the latents that it denoises.
  static func name(unetOf inputs: Int, latents: Int) -> String? {
    switch inputs - latents {
    case latents + 1:
      "an inpainting model (its UNet also takes a mask and a picture, \(inputs) channels)"
    case 1: "a model that also takes a depth map (its UNet takes \(inputs) channels)"
    case 3: "an upscaler (its UNet also takes a small picture, \(inputs) channels)"
    default: nil
    }
  }

  /// - Parameter names: of the tensors of a single file.
  static func name(checkpoint names: [String]) -> String? { first(of: marks, in: names) }

  /// - Parameter names: of the tensors of a file that is to be a LoRA.
  static func name(lora names: [String]) -> String? { first(of: loraMarks, in: names) }

  private static func first(of marks: [(mark: Mark, name: String)], in names: [String]) -> String? {
    marks.first { mark, _ in
      names.contains { name in
        switch mark {
        case .prefix(let prefix): name.hasPrefix(prefix)
        case .part(let part): name.contains(part)
        case .suffix(let suffix): name.hasSuffix(suffix)
        }
      }
    }?.name
  }

  private static let lora = "a LoRA, which changes a model"

  private enum Mark {
    case prefix(String)
    case part(String)
    case suffix(String)
  }

  private static let loraMarks: [(mark: Mark, name: String)] = [
    (.part(".hada_w1_"), "a LoHa"), (.part(".lokr_w"), "a LoKr"),
    (.part(".lora_mid."), "a LoCon with a middle part"),
    (.suffix(".dora_scale"), "a DoRA"), (.part(".lora_magnitude_vector"), "a DoRA"),
    (.suffix(".diff"), "a LoRA with whole differences"),
    (.suffix(".lora_B.bias"), "a LoRA with biases"),
    (.prefix("base_model.model."), "a LoRA as peft saves it, its strength in another file"),
    (.prefix("lora_te2_"), "a LoRA for Stable Diffusion XL"),
    (.prefix("text_encoder_2."), "a LoRA for Stable Diffusion XL"),
    (.prefix("lora_unet_input_blocks_"), "a LoRA for Stable Diffusion XL"),
    (.prefix("lora_unet_double_blocks_"), "a LoRA for Flux"),
    (.prefix("transformer."), "a LoRA for a model with a transformer, such as Flux"),
  ]

  /// Those that are parts of others come later.
  private static let marks: [(mark: Mark, name: String)] = [
    (.part("lora_up."), lora),
    (.part("lora_A."), lora),
    (.part("to_q_lora."), lora),
    (.part(".lora.up."), lora),
    (.part(".lora_linear_layer."), lora),
    (.part(".hada_w1_"), "a LyCORIS, which changes a model"),
    (.part(".lokr_w"), "a LyCORIS, which changes a model"),
    (.prefix("control_model."), "a ControlNet"), (.part("input_hint_block."), "a ControlNet"),
    (.part("controlnet_cond_embedding."), "a ControlNet"),
    (.part("motion_modules."), "a motion module (AnimateDiff)"),
    (.prefix("conditioner.embedders."), "a Stable Diffusion XL model"),
    (
      .prefix("model.diffusion_model.label_emb."),
      "a Stable Diffusion XL model, or another with classes"
    ),
    (.part("joint_blocks."), "a Stable Diffusion 3 model"),
    (.part("double_blocks."), "a Flux model"),
    (.prefix("string_to_param"), "a textual inversion, which adds words to a model"),
    (.prefix("emb_params"), "a textual inversion, which adds words to a model"),
    (.prefix("down_blocks."), "only the UNet of a model"),
    (.prefix("input_blocks."), "only the UNet of a model"),
    (.prefix("encoder.down_blocks."), "only the autoencoder of a model"),
    (.prefix("encoder.down."), "only the autoencoder of a model"),
    (.prefix("text_model."), "only the text encoder of a model"),
    (.prefix("encoder.layers."), "only the text encoder of a model"),
    (.prefix("transformer.resblocks."), "only the text encoder of a model"),
    (.prefix("encoder.block."), "a T5 text encoder"),
  ]
}
