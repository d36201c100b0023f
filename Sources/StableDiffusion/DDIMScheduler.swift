import Foundation
import Tensor

/// Deterministic DDIM (Song et al., arXiv 2010.02502, η = 0): the noise schedule, the table of time
/// steps, and moves along it in either direction. A move ends at the table's next time step,
/// whatever the spacing; diffusers' own sampling steps by a fixed distance, which with `trailing`
/// and `linspace` is not quite where its next step begins.
public struct DDIMScheduler: Sendable {
  public enum Prediction: String, Sendable, CaseIterable {
    case epsilon
    case velocity = "v_prediction"
  }
  public enum Spacing: String, Sendable { case leading, trailing, linspace }

  /// What the UNet's output means.
  public let prediction: Prediction
  /// ᾱ of every training step.
  public let alphasCumprod: [Double]
  /// ᾱ at the clean end, before the first step of the table.
  public let finalAlphaCumprod: Double
  private let spacing: Spacing
  private let offset: Int

  /// - Parameter configuration: of a scheduler, whatever class it names: what counts is the schedule
  ///   that the model was trained with. Absent keys mean what they mean to diffusers' DDIMScheduler,
  ///   but that latents are never clipped.
  init(_ configuration: ComponentConfiguration) throws {
    let count = try configuration.size("num_train_timesteps", default: 1000)
    try configuration.require("clip_sample", oneOf: "false")
    try configuration.require("thresholding", oneOf: "false")
    for key in ["use_flow_sigmas", "use_dynamic_shifting"] {
      try configuration.require(key, oneOf: "false")
    }
    try configuration.require("prediction_type", oneOf: "epsilon", "v_prediction")
    try configuration.require("timestep_spacing", oneOf: "leading", "trailing", "linspace")
    prediction =
      Prediction(rawValue: try configuration.text("prediction_type", default: "epsilon"))
      ?? .epsilon
    spacing =
      Spacing(rawValue: try configuration.text("timestep_spacing", default: "leading")) ?? .leading
    offset = try configuration.integer("steps_offset", default: 0)
    guard (0..<count).contains(offset) else {
      throw configuration.wrong(
        "steps_offset", "takes a number from 0 to \(count - 1), not \(offset)")
    }
    // Schedulers of other kinds of models (flow matching, …) have no betas.
    if let kind = try? configuration.text("_class_name"), kind != "DDIMScheduler",
      !configuration.has("beta_start"), !configuration.has("trained_betas")
    {
      throw configuration.wrong(
        "_class_name",
        "is \(kind), without 'beta_start' or 'trained_betas'; supported are schedulers with betas, such as PNDMScheduler or EulerDiscreteScheduler"
      )
    }
    let betas: [Double]
    if configuration.has("trained_betas") {
      betas = try configuration.numbers("trained_betas")
    } else {
      try configuration.require("beta_schedule", oneOf: "linear", "scaled_linear")
      let (first, last) = (
        try configuration.number("beta_start", default: 0.0001),
        try configuration.number("beta_end", default: 0.02)
      )
      let scaled = try configuration.text("beta_schedule", default: "linear") == "scaled_linear"
      betas = (0..<count).map { index in
        let share = count == 1 ? 0 : Double(index) / Double(count - 1)
        guard scaled else { return first + (last - first) * share }
        let root = first.squareRoot() + (last.squareRoot() - first.squareRoot()) * share
        return root * root
      }
    }
    guard betas.count == count, betas.allSatisfy({ $0 >= 0 && $0 < 1 }) else {
      throw configuration.wrong("num_train_timesteps", "needs as many betas between 0 and 1")
    }
    var product = 1.0
    var alphasCumprod = betas.map { beta in
      product *= 1 - beta
      return product
    }
    if try configuration.flag("rescale_betas_zero_snr", default: false) {
      guard prediction == .velocity else {
        throw configuration.wrong(
          "rescale_betas_zero_snr",
          "is true, with which the noisiest latents tell nothing of the noise: it needs 'prediction_type' v_prediction"
        )
      }
      alphasCumprod = Self.rescaledToNoSignal(alphasCumprod)
    }
    self.alphasCumprod = alphasCumprod
    finalAlphaCumprod =
      try configuration.flag("set_alpha_to_one", default: true) ? 1 : alphasCumprod[0]
  }

  /// Moves √ᾱ so that no signal is left at the last time step, and the first stays as it is (Lin et
  /// al., arXiv 2305.08891, algorithm 1).
  private static func rescaledToNoSignal(_ alphasCumprod: [Double]) -> [Double] {
    let roots = alphasCumprod.map { $0.squareRoot() }
    guard let first = roots.first, let last = roots.last, first > last else { return alphasCumprod }
    return roots.map { root in
      let moved = (root - last) * first / (first - last)
      return moved * moved
    }
  }

  /// The time steps of a run, noisiest first.
  ///
  /// - Throws: `ModelError`, where the model was not trained with that many.
  public func timesteps(_ steps: Int) throws -> [Int] {
    let count = alphasCumprod.count
    guard (1...count).contains(steps) else {
      throw ModelError("\(steps) steps cannot be taken: this model has 1 to \(count)")
    }
    let table: [Int] =
      switch spacing {
      case .leading: (0..<steps).reversed().map { $0 * (count / steps) + offset }
      case .trailing:
        (0..<steps).map {
          Int(
            (Double(count) - Double($0) * Double(count) / Double(steps)).rounded(.toNearestOrEven))
            - 1
        }
      case .linspace:
        (0..<steps).reversed().map {
          steps == 1
            ? 0
            : Int((Double($0) * Double(count - 1) / Double(steps - 1)).rounded(.toNearestOrEven))
        }
      }
    guard let first = table.first, first < count else {
      throw ModelError(
        "\(steps) steps with an offset of \(offset) reach beyond this model's \(count) time steps: take fewer"
      )
    }
    return table
  }

  /// ᾱ at a time step; `nil` stands for the clean end.
  public func alphaCumprod(_ timestep: Int?) -> Double {
    timestep.map { alphasCumprod[$0] } ?? finalAlphaCumprod
  }

  /// One deterministic move of the latents between two noise levels, with the UNet's output at
  /// `timestep`: x' = √ᾱ' · x̂₀ + √(1 − ᾱ') · ε, where x̂₀ and ε follow from the output and the
  /// latents at noise level `from`.
  public func move(_ latents: Tensor, output: Tensor, from: Double, to: Double) -> Tensor {
    let (signal, noise) = (from.squareRoot(), (1 - from).squareRoot())
    let (nextSignal, nextNoise) = (to.squareRoot(), (1 - to).squareRoot())
    switch prediction {
    case .epsilon:
      return latents.blended(
        Float(nextSignal / signal), with: output, Float(nextNoise - nextSignal * noise / signal))
    case .velocity:
      // ε = √ᾱ v + √(1 − ᾱ) x,  x̂₀ = √ᾱ x − √(1 − ᾱ) v
      return latents.blended(
        Float(nextSignal * signal + nextNoise * noise), with: output,
        Float(nextNoise * signal - nextSignal * noise))
    }
  }

  /// The move of one step of sampling: to the next noise level of a table of time steps, or after
  /// its last one to the clean end.
  public func step(_ latents: Tensor, output: Tensor, _ step: Int, of timesteps: [Int]) -> Tensor {
    let next = step + 1 < timesteps.count ? timesteps[step + 1] : nil
    return move(
      latents, output: output, from: alphaCumprod(timesteps[step]), to: alphaCumprod(next))
  }
}
