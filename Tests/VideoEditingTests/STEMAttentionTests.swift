import EditSettings
import StableDiffusion
import Tensor
import Testing

@testable import VideoEditing

@Suite struct STEMAttentionTests {
  @Test("starting noise is drawn just where there are more tokens than bases")
  func noise() throws {
    let model = try TinyWorld.model.get()
    let latents = RandomNumbers(seed: 3, stream: "latents").normal([3, 9, 6, 4])
    let context = model.encode(["a ball"])
    // Levels of 162, 45, 18 and 6 tokens.
    for (bases, layers) in [(200, 0), (162, 0), (161, 5), (45, 5), (20, 10), (5, 16)] {
      var drawn: [String] = []
      let stem = STEMAttention(bases: bases, iterations: 2) { path, shape in
        drawn.append(path)
        return RandomNumbers(seed: 5, stream: "stem.noise.\(path)").normal(shape)
      }
      let output = try model.unet(latents, timestep: 401, context: context, processor: stem)
      #expect(drawn.count == layers && Set(drawn).count == layers, "\(bases): \(drawn)")
      let seeded = STEMAttention(bases: bases, iterations: 2, seed: 5)
      let expected = try model.unet(latents, timestep: 401, context: context, processor: seeded)
      #expect(output.values == expected.values)
    }
  }

  /// Compares what STEM with and without its empty bases finds in each layer.
  private final class Comparison: UNetProcessor {
    private let masked = STEMAttention(bases: 64, iterations: 5, emptyBases: .masked, seed: 5)
    private let attended = STEMAttention(bases: 64, iterations: 5, seed: 5)
    var (empty, full, layers) = (0, 0, 0)

    func selfAttention(
      _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
    ) throws -> Tensor {
      let (some, all) = (
        try masked.bases(layer, of: hiddenStates, at: site),
        try attended.bases(layer, of: hiddenStates, at: site)
      )
      #expect(some.keys.values == all.keys.values && some.values.values == all.values.values)
      #expect(all.bias == nil)
      if let bias = some.bias {
        layers += 1
        #expect(
          bias.shape == [layer.heads, 64] && bias.values.allSatisfy { $0 == 0 || $0 == -1e30 })
        empty += bias.values.count { $0 < 0 }
        full += bias.values.count { $0 == 0 }
        for head in 0..<layer.heads {
          #expect(bias.values[head * 64..<(head + 1) * 64].contains(0))
        }
      }
      return try masked.selfAttention(layer, hiddenStates, grid: grid, at: site)
    }
  }

  @Test("bases that stand for no token are left out where they are to be, and only these")
  func emptyBases() throws {
    let model = try TinyWorld.model.get()
    let latents = RandomNumbers(seed: 3, stream: "latents").normal([3, 9, 6, 4])
    let context = model.encode(["a ball"])
    let comparison = Comparison()
    let output = try model.unet(
      latents, timestep: 401, context: context, processor: comparison)
    #expect(comparison.layers == 5 && comparison.empty > 0 && comparison.full > comparison.layers)
    let attended = try model.unet(
      latents, timestep: 401, context: context,
      processor: STEMAttention(bases: 64, iterations: 5, seed: 5))
    #expect(output.isFinite && output.values != attended.values)
  }

  @Test("the memory of the bases is estimated by where they are looked for")
  func memory() throws {
    let model = try TinyWorld.model.get()
    func estimate(_ bases: Int, _ inversion: InversionMethod = .stem, frames: Int = 8) -> Int {
      var settings = EditSettings(prompt: "a ball", sourcePrompt: "a ball")
      (settings.bases, settings.inversion) = (bases, inversion)
      let memory = VideoEdit(model: model, settings: settings).estimatedMemory(
        frames: frames, height: 128, width: 128)
      #expect(memory.total > memory.bases)
      return memory.bases
    }
    let tokens = 8 * 16 * 16
    #expect(estimate(256, .ddim) == 0)
    #expect(estimate(tokens) == 0 && estimate(65536) == 0)
    // The noise of the first level's five layers at least.
    #expect(estimate(tokens - 1) > 5 * (tokens - 1) * 64 * 4)
    #expect(estimate(tokens - 1) > 3 * estimate(256))
    #expect(estimate(65536, frames: 1000) == 0)
    // Keys and values of a long clip's sample besides.
    #expect(estimate(2000, frames: 33) > estimate(2000, frames: 32) + 10 * 2000 * 64 * 4)
  }
}
