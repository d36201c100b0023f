import ArgumentParser

struct Models: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say which models there are, and what is wrong with one.",
    discussion:
      "A model is a folder in diffusers' layout, or a single safetensors file in the original one, of Stable Diffusion 1.x or 2.x.",
    subcommands: [ModelsList.self, ModelsInspect.self, Verify.self])
}
