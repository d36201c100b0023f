/// Names of what is not a Stable Diffusion 1.x or 2.x model, so that a refusal can say what it is.
enum OtherModels {
  static func refusal(of path: String, _ what: String) -> ModelError {
    ModelError(
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
}
