import Foundation
import StableDiffusion
import Tensor

/// Compares every component of a model with numbers that PyTorch and diffusers gave for the same
/// inputs (a golden file).
public struct Verification {
  public struct Row: Sendable {
    public let name: String
    /// ‖ours − theirs‖₂ / ‖theirs‖₂; for whole numbers 0 or 1, equal or not.
    public let error: Double
    public let tolerance: Double
    public var passes: Bool { error <= tolerance }
  }

  public enum Outcome: Sendable {
    case compared(Row)
    /// The file does not hold what the comparison needs.
    case skipped(name: String, missing: String)
    /// What the file holds cannot be computed with; counts as a failure.
    case unusable(name: String, reason: String)
  }

  private let model: StableDiffusionModel
  private let golden: GoldenFile

  /// - Parameter golden: its tensors are PyTorch's, channels first.
  public init(model: StableDiffusionModel, golden: SafetensorsFile) {
    (self.model, self.golden) = (model, GoldenFile(golden, for: model))
  }

  /// Runs all comparisons that the file has numbers for.
  ///
  /// - Parameter report: called with each outcome as it is known.
  /// - Returns: whether everything compared lies within its tolerance, and anything was compared at
  ///   all.
  public func run(_ report: (Outcome) throws -> Void) throws -> Bool {
    var (compared, allPass) = (0, true)
    for check in checks {
      do {
        // The expected results first: without them there is nothing to compute for.
        for output in check.gives { _ = try golden.shape(output.name, output.shape) }
        for (output, ours) in zip(check.gives, try check.compute()) {
          let error = try golden.relativeError(of: ours, to: output.name)
          let row = Row(
            name: output.name, error: output.tolerance == 0 ? min(1, error.rounded(.up)) : error,
            tolerance: output.tolerance)
          (compared, allPass) = (compared + 1, allPass && row.passes)
          try report(.compared(row))
        }
      } catch let missing as GoldenFile.Missing {
        for output in check.gives {
          try report(.skipped(name: output.name, missing: missing.name))
        }
      } catch let error as WeightsError {
        allPass = false
        for output in check.gives {
          try report(.unusable(name: output.name, reason: error.description))
        }
      } catch let error as ModelError {
        allPass = false
        for output in check.gives {
          try report(.unusable(name: output.name, reason: error.description))
        }
      }
    }
    return compared > 0 && allPass
  }

  private struct Output {
    let name: String
    let tolerance: Double
    let shape: [GoldenFile.Size]
  }

  private struct Check {
    let gives: [Output]
    /// One result for each of `gives`, laid out as the golden tensor is.
    let compute: () throws -> [Tensor]

    init(_ gives: [(String, Double)], rank: Int, compute: @escaping () throws -> [Tensor]) {
      self.gives = gives.map {
        Output(name: $0.0, tolerance: $0.1, shape: Array(repeating: .any, count: rank))
      }
      self.compute = compute
    }
  }

  /// The tolerance of the model's precision.
  ///
  /// In mixed precision the factors of the UNet's and autoencoder's products are bf16, whose eight
  /// bits of significand leave each an error of up to 2⁻⁹ = 2e-3: some hundred times what full
  /// precision gives, however well it is computed. `mixed` is about three times what was measured, so
  /// that another order of summation passes and a wrong number does not: on `Models/tiny-world`,
  /// and for one pass of the UNet on one of Stable Diffusion 1.5's size, which has more layers
  /// (4.6e-3 instead of 1e-3). What depends on no such product has one tolerance.
  private func within(_ full: Double, mixed: Double) -> Double {
    switch model.precision {
    case .full: full
    case .mixed: mixed
    }
  }

  private var checks: [Check] {
    [
      Check([("text.input_ids", 0)], rank: 2) { [try tokenIds()] },
      Check([("text.hidden", 1e-5)], rank: 3) { [try hiddenStates()] },
      Check([("vae.mean", within(1e-4, mixed: 8e-3))], rank: 4) {
        let images = try golden.pictures(
          "vae.image", channels: 3, multipleOf: model.autoencoder.scale)
        return [model.autoencoder.encode(images).channelsFirst()]
      },
      Check([("vae.decoded", within(1e-4, mixed: 3e-3))], rank: 4) {
        let latents = try golden.pictures("vae.mean", channels: model.autoencoder.latentChannels)
        return [model.autoencoder.decode(latents).channelsFirst()]
      },
      Check([("unet.output", within(1e-4, mixed: 1e-2))], rank: 4) {
        [try unetOutput(PlainProcessor())]
      },
      Check([("st.unet_output", within(1e-4, mixed: 1e-2))], rank: 4) {
        [try unetOutput(SpatialTemporalAttention())]
      },
      Check([("stem.unet_output", within(3e-3, mixed: 1e-2))], rank: 4) {
        [try unetOutput(stemAttention())]
      },
      Check([("ddim.timesteps", 0)], rank: 1) {
        let steps = try golden.shape("ddim.timesteps", [.any])[0]
        return [Tensor(try model.scheduler.timesteps(steps).map(Float.init), shape: [steps])]
      },
      Check(
        [
          ("ddim.inverted", within(3e-4, mixed: 6e-3)),
          ("ddim.reconstructed", within(3e-4, mixed: 4e-3)),
        ], rank: 4
      ) {
        try invertedAndReconstructed(PlainProcessor())
      },
      Check(
        [
          ("st.inverted", within(3e-4, mixed: 6e-3)),
          ("st.reconstructed", within(3e-4, mixed: 4e-3)),
        ], rank: 4
      ) {
        try invertedAndReconstructed(SpatialTemporalAttention())
      },
      Check([("stem.key_bases", 1e-4), ("stem.value_bases", 1e-4)], rank: 3) { try emBases() },
      Check(
        [
          ("stem.inverted", within(1e-2, mixed: 5e-2)),
          ("stem.reconstructed", within(1e-2, mixed: 5e-2)),
        ], rank: 4
      ) {
        try invertedAndReconstructed(stemAttention())
      },
      Check(
        [
          ("tokenflow.first", within(1e-2, mixed: 3e-2)),
          ("tokenflow.edited", within(1e-2, mixed: 3e-2)),
        ], rank: 4
      ) { try tokenFlow() },
    ]
  }

  // MARK: Texts

  private func tokenIds() throws -> Tensor {
    let prompts = ["", try golden.text("source_prompt"), try golden.text("prompt")]
    let ids = prompts.flatMap(model.tokenizer.encode)
    return Tensor(ids.map(Float.init), shape: [prompts.count, model.tokenizer.length])
  }

  private func hiddenStates() throws -> Tensor {
    let shape = try golden.shape("text.input_ids", [.any, .any])
    guard shape[1] <= model.textEncoder.positions else {
      throw golden.wrong(
        "text.input_ids",
        "has \(shape[1]) tokens a prompt, but the model has \(model.textEncoder.positions) positions"
      )
    }
    let ids = try golden.integers(
      "text.input_ids", [.any, .any], in: 0..<model.textEncoder.vocabularySize)
    return model.textEncoder(
      stride(from: 0, to: ids.count, by: shape[1]).map { Array(ids[$0..<$0 + shape[1]]) })
  }

  // MARK: The UNet

  private func unetOutput(_ processor: some UNetProcessor) throws -> Tensor {
    let sample = try golden.pictures("unet.sample", channels: model.unet.inputChannels)
    let context = try golden.context("unet.context", prompts: .any)
    guard sample.shape[0] % context.shape[0] == 0 else {
      throw golden.wrong(
        "unet.context", "has \(context.shape[0]) rows for \(sample.shape[0]) frames")
    }
    let timestep = try golden.integers("unet.timestep", [], in: 0..<1 << 20)
    return try model.unet(sample, timestep: timestep[0], context: context, processor: processor)
      .channelsFirst()
  }

  // MARK: Inversion

  private var latentChannels: Int { model.autoencoder.latentChannels }

  private func invertedAndReconstructed(_ processor: some ClipProcessor) throws -> [Tensor] {
    let steps = try golden.shape("ddim.timesteps", [.any])[0]
    let context = try golden.context("text.hidden", prompts: .exactly(3)).rows(1..<2)
    let start = try golden.pictures("ddim.start", channels: latentChannels)
    let inversion = Inversion(model)
    let trajectory = try inversion.invert(
      start, context: context, steps: steps, processor: processor)
    let sampled = try inversion.reconstruct(
      trajectory.inverted, context: context, steps: steps, processor: processor)
    return [trajectory.inverted.channelsFirst(), sampled.channelsFirst()]
  }

  private func expectationMaximization(bases: Int) throws -> ExpectationMaximization {
    ExpectationMaximization(
      bases: bases, iterations: try golden.whole("iterations", in: 1...1000),
      temperature: Float(try golden.number("temperature", in: 1e-6...1e6)))
  }

  private func stemAttention() throws -> STEMAttention {
    let em = try expectationMaximization(bases: golden.whole("bases", in: 1...65536))
    return STEMAttention(
      bases: em.bases, iterations: em.iterations, temperature: em.temperature
    ) { path, shape in
      try golden.tensor("stem.noise.\(path)", shape.map { .exactly($0) })
    }
  }

  /// One EM run on given keys and values, (heads, n, c); ours lie as (n, heads · c).
  private func emBases() throws -> [Tensor] {
    let keys = try golden.tensor("stem.keys", [.any, .any, .any])
    let (heads, c) = (keys.shape[0], keys.shape[2])
    let values = try golden.tensor("stem.values", keys.shape.map { .exactly($0) })
    let noise = try golden.tensor("stem.noise", [.exactly(heads), .any, .exactly(c)])
    let bases = try expectationMaximization(bases: noise.shape[1]).bases(
      keys: headsBeside(keys), values: headsBeside(values), heads: heads, noise: noise)
    return [bases.keys, bases.values].map { exchanged($0.reshaped([$0.shape[0], heads, c])) }
  }

  private func headsBeside(_ tensor: Tensor) -> Tensor {
    exchanged(tensor).reshaped([tensor.shape[1], tensor.shape[0] * tensor.shape[2]])
  }

  /// Exchanges the first two dimensions: heads before or after tokens.
  private func exchanged(_ tensor: Tensor) -> Tensor {
    let (first, second, c) = (tensor.shape[0], tensor.shape[1], tensor.shape[2])
    let order = (0..<first * second).map { $0 % first * second + $0 / first }
    return tensor.reshaped([first * second, c]).rows(order).reshaped([second, first, c])
  }

  // MARK: Editing

  /// From the stored trajectory and with the stored keyframes, so that the editor's own error is
  /// seen.
  private func tokenFlow() throws -> [Tensor] {
    let timesteps = try golden.integers(
      "ddim.timesteps", [.any], in: 0..<model.scheduler.alphasCumprod.count)
    let stored = try golden.tensor(
      "stem.trajectory", [.exactly(timesteps.count), .any, .exactly(latentChannels), .any, .any])
    let latents = timesteps.indices.map {
      stored.rows($0..<$0 + 1).reshaped(Array(stored.shape.dropFirst())).channelsLast()
    }
    let hidden = try golden.context("text.hidden", prompts: .exactly(3))
    func prompt(_ row: Int) -> Prompts.Prompt {
      Prompts.Prompt("", context: hidden.rows(row..<row + 1))
    }
    var tokenFlow = TokenFlow(guidance: try golden.number("guidance", in: 0...1000))
    tokenFlow.groupSize = try golden.whole("group", in: 1...1 << 20)
    let groups = tokenFlow.groups(of: stored.shape[1])
    let keyframes = try golden.integers(
      "tokenflow.keyframes", [.exactly(timesteps.count), .exactly(groups.count)],
      in: 0..<stored.shape[1])
    tokenFlow.keyframes = { step, group, _ in keyframes[step * groups.count + group] }
    var first: Tensor?
    let edited = try tokenFlow.edit(
      InvertedClip(
        trajectory: Trajectory(
          timesteps: timesteps, latents: latents,
          clean: try golden.pictures("ddim.start", channels: latentChannels)),
        prompts: Prompts(source: prompt(1), negative: prompt(0), target: prompt(2))),
      with: model, afterStep: { step, latents in if step == 1 { first = latents } })
    return [(first ?? edited).channelsFirst(), edited.channelsFirst()]
  }
}
