import Foundation
import StableDiffusion
import Tensor

/// Compares every component of a model with numbers that PyTorch and diffusers gave for the same
/// inputs (a golden file).
public struct Verification {
  public struct Row: Sendable {
    public let name: String
    /// ‖ours − theirs‖₂ / ‖theirs‖₂; 0 or 1 for token ids, equal or not.
    public let error: Double
    public let tolerance: Double
    public var passes: Bool { error <= tolerance }
  }

  public enum Outcome: Sendable {
    case compared(Row)
    /// The file does not hold what the comparison needs.
    case skipped(name: String, missing: String)
  }

  private let model: StableDiffusionModel
  private let golden: SafetensorsFile

  /// - Parameter golden: its tensors are PyTorch's, channels first.
  public init(model: StableDiffusionModel, golden: SafetensorsFile) {
    (self.model, self.golden) = (model, golden)
  }

  /// Runs all comparisons that the file has numbers for.
  ///
  /// - Parameter report: called with each outcome as it is known.
  /// - Returns: whether everything compared lies within its tolerance, and anything was compared at
  ///   all.
  public func run(_ report: (Outcome) throws -> Void) throws -> Bool {
    var (compared, allPass) = (0, true)
    for check in checks {
      let needed = check.needs + check.gives.map(\.name)
      if let missing = needed.first(where: { golden.shape(of: $0) == nil }) {
        for output in check.gives { try report(.skipped(name: output.name, missing: missing)) }
        continue
      }
      if let missing = check.metadata.first(where: { golden.metadata[$0] == nil }) {
        for output in check.gives {
          try report(.skipped(name: output.name, missing: "metadata '\(missing)'"))
        }
        continue
      }
      for (output, ours) in zip(check.gives, try check.compute()) {
        let row = Row(
          name: output.name, error: try relativeError(ours, output.name),
          tolerance: output.tolerance)
        (compared, allPass) = (compared + 1, allPass && row.passes)
        try report(.compared(row))
      }
    }
    return compared > 0 && allPass
  }

  private struct Check {
    let gives: [(name: String, tolerance: Double)]
    var needs: [String] = []
    var metadata: [String] = []
    /// One result for each of `gives`, laid out as the golden tensor is.
    let compute: () throws -> [Tensor]
  }

  private var checks: [Check] {
    var checks = [
      Check(gives: [("text.input_ids", 0)], metadata: ["source_prompt", "prompt"]) {
        let ids = ["", golden.metadata["source_prompt"] ?? "", golden.metadata["prompt"] ?? ""]
          .flatMap(model.tokenizer.encode)
        return [Tensor(ids.map(Float.init), shape: try tensorShape("text.input_ids"))]
      },
      Check(gives: [("text.hidden", 1e-5)], needs: ["text.input_ids"]) {
        let length = try tensorShape("text.input_ids")[1]
        let ids = try golden.integers("text.input_ids")
        return [
          model.textEncoder(
            stride(from: 0, to: ids.count, by: length).map { Array(ids[$0..<$0 + length]) })
        ]
      },
      Check(gives: [("vae.mean", 1e-4)], needs: ["vae.image"]) {
        [try model.autoencoder.encode(pictures("vae.image")).channelsFirst()]
      },
      Check(gives: [("vae.decoded", 1e-4)], needs: ["vae.mean"]) {
        [try model.autoencoder.decode(pictures("vae.mean")).channelsFirst()]
      },
    ]
    func unetCheck(
      _ name: String, _ tolerance: Double, metadata: [String] = [],
      _ processor: @escaping () throws -> any UNetProcessor
    ) -> Check {
      Check(
        gives: [(name, tolerance)], needs: ["unet.sample", "unet.timestep", "unet.context"],
        metadata: metadata
      ) {
        func output(_ processor: some UNetProcessor) throws -> Tensor {
          try model.unet(
            pictures("unet.sample"), timestep: golden.integers("unet.timestep")[0],
            context: golden.tensor("unet.context"), processor: processor)
        }
        return [try output(processor()).channelsFirst()]
      }
    }
    checks.append(unetCheck("unet.output", 1e-4) { PlainProcessor() })
    checks.append(unetCheck("st.unet_output", 1e-4) { SpatialTemporalAttention() })
    checks.append(
      unetCheck("stem.unet_output", 3e-3, metadata: Self.emMetadata) { try stemAttention() })
    func inversionCheck(
      _ name: String, _ tolerance: Double, metadata: [String] = [],
      _ processor: @escaping () throws -> any UNetProcessor
    ) -> Check {
      let gives = [("\(name).inverted", tolerance), ("\(name).reconstructed", tolerance)]
      return Check(
        gives: gives, needs: ["ddim.start", "ddim.timesteps", "text.hidden"], metadata: metadata
      ) {
        func both(_ processor: some UNetProcessor) throws -> [Tensor] {
          let steps = try golden.integers("ddim.timesteps").count
          let context = try golden.tensor("text.hidden").rows(1..<2)
          let inversion = Inversion(model)
          let trajectory = try inversion.invert(
            pictures("ddim.start"), context: context, steps: steps, processor: processor)
          let sampled = try inversion.reconstruct(
            trajectory.inverted, context: context, steps: steps, processor: processor)
          return [trajectory.inverted.channelsFirst(), sampled.channelsFirst()]
        }
        return try both(processor())
      }
    }
    checks.append(
      Check(gives: [("ddim.timesteps", 0)]) {
        let shape = try tensorShape("ddim.timesteps")
        return [Tensor(try model.scheduler.timesteps(shape[0]).map(Float.init), shape: shape)]
      })
    checks.append(inversionCheck("ddim", 3e-4) { PlainProcessor() })
    checks.append(inversionCheck("st", 3e-4) { SpatialTemporalAttention() })
    checks.append(
      Check(
        gives: [("stem.key_bases", 1e-4), ("stem.value_bases", 1e-4)],
        needs: ["stem.keys", "stem.values", "stem.noise"], metadata: Self.emMetadata
      ) {
        try emBases()
      })
    checks.append(inversionCheck("stem", 1e-2, metadata: Self.emMetadata) { try stemAttention() })
    checks.append(
      Check(
        gives: [("tokenflow.first", 1e-2), ("tokenflow.edited", 1e-2)],
        needs: ["stem.trajectory", "ddim.timesteps", "text.hidden", "tokenflow.keyframes"],
        metadata: ["guidance", "group"]
      ) { try tokenFlow() })
    return checks
  }

  private static let emMetadata = ["bases", "iterations", "temperature"]

  private func stemAttention() throws -> STEMAttention {
    STEMAttention(
      bases: Int(try number("bases")), iterations: Int(try number("iterations")),
      temperature: Float(try number("temperature"))
    ) { path, shape in
      let noise = try golden.tensor("stem.noise.\(path)")
      guard noise.shape == shape else {
        throw WeightsError(
          "\(golden.url.lastPathComponent): 'stem.noise.\(path)' has the shape \(noise.shape), but this model asks for \(shape)"
        )
      }
      return noise
    }
  }

  /// One EM run on given keys and values, (heads, n, c); ours lie as (n, heads · c).
  private func emBases() throws -> [Tensor] {
    // Exchanges the first two dimensions: heads before or after tokens.
    func exchanged(_ tensor: Tensor) -> Tensor {
      let (first, second, c) = (tensor.shape[0], tensor.shape[1], tensor.shape[2])
      return tensor.reshaped([first * second, c]).rows(
        (0..<first * second).map { $0 % first * second + $0 / first }
      ).reshaped([second, first, c])
    }
    func headsBeside(_ tensor: Tensor) -> Tensor {
      exchanged(tensor).reshaped([tensor.shape[1], tensor.shape[0] * tensor.shape[2]])
    }
    let (keys, values, noise) = (
      try golden.tensor("stem.keys"), try golden.tensor("stem.values"),
      try golden.tensor("stem.noise")
    )
    let (heads, c) = (keys.shape[0], keys.shape[2])
    let em = ExpectationMaximization(
      bases: noise.shape[1], iterations: Int(try number("iterations")),
      temperature: Float(try number("temperature")))
    let bases = try em.bases(
      keys: headsBeside(keys), values: headsBeside(values), heads: heads, noise: noise)
    return [bases.keys, bases.values].map { exchanged($0.reshaped([$0.shape[0], heads, c])) }
  }

  /// From the stored trajectory and with the stored keyframes, so that the editor's own error is
  /// seen.
  private func tokenFlow() throws -> [Tensor] {
    let timesteps = try golden.integers("ddim.timesteps")
    let stored = try golden.tensor("stem.trajectory")
    guard stored.shape.count == 5, stored.shape[0] == timesteps.count else {
      throw WeightsError("'stem.trajectory' has the shape \(stored.shape)")
    }
    let latents = (0..<timesteps.count).map {
      stored.rows($0..<$0 + 1).reshaped(Array(stored.shape.dropFirst())).channelsLast()
    }
    let hidden = try golden.tensor("text.hidden")
    let keyframes = try golden.integers("tokenflow.keyframes")
    let groups = try tensorShape("tokenflow.keyframes")[1]
    var tokenFlow = TokenFlow()
    tokenFlow.guidance = try number("guidance")
    tokenFlow.groupSize = Int(try number("group"))
    guard tokenFlow.groups(of: stored.shape[1]).count == groups else {
      throw WeightsError("'tokenflow.keyframes' has \(groups) groups for \(stored.shape[1]) frames")
    }
    var first: Tensor?
    let edited = try tokenFlow.edit(
      model, Trajectory(timesteps: timesteps, latents: latents),
      contexts: .init(
        source: hidden.rows(1..<2), negative: hidden.rows(0..<1), target: hidden.rows(2..<3)),
      keyframes: { step, group, _ in keyframes[step * groups + group] },
      afterStep: { step, latents in if step == 1 { first = latents } })
    return [(first ?? edited).channelsFirst(), edited.channelsFirst()]
  }

  private func pictures(_ name: String) throws -> Tensor {
    guard try tensorShape(name).count == 4 else {
      throw WeightsError("\(golden.url.lastPathComponent): '\(name)' is no batch of pictures")
    }
    return try golden.tensor(name).channelsLast()
  }

  private func tensorShape(_ name: String) throws -> [Int] {
    guard let shape = golden.shape(of: name) else {
      throw WeightsError("\(golden.url.lastPathComponent) has no tensor '\(name)'")
    }
    return shape
  }

  private func number(_ key: String) throws -> Double {
    guard let text = golden.metadata[key], let number = Double(text) else {
      throw WeightsError("\(golden.url.lastPathComponent): the metadata '\(key)' is no number")
    }
    return number
  }

  private func relativeError(_ ours: Tensor, _ name: String) throws -> Double {
    let theirs = try golden.tensor(name)
    guard ours.shape == theirs.shape else { return .infinity }
    var (difference, size) = (0.0, 0.0)
    for (a, b) in zip(ours.values, theirs.values) {
      difference += (Double(a) - Double(b)) * (Double(a) - Double(b))
      size += Double(b) * Double(b)
    }
    guard difference > 0 else { return difference.isNaN ? .infinity : 0 }
    return size > 0 ? (difference / size).squareRoot() : .infinity
  }
}
