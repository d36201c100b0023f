import Foundation
import Tensor

/// Ancestral sampling with Euler steps (Karras et al., arXiv 2206.00364, as k-diffusion and
/// diffusers' EulerAncestralDiscreteScheduler do it): each step goes a little below its noise level
/// and adds fresh noise. InstructPix2Pix models are sampled with it.
///
/// Latents are not kept at unit variance but as clean + σ · noise, σ² = (1 − ᾱ) / ᾱ.
public struct EulerAncestralScheduler: Sendable {
  /// A place in the table of time steps.
  public struct Level: Sendable {
    /// Between the training steps, where the spacing puts it there.
    public let timestep: Double
    public let sigma: Double
  }

  private let schedule: DDIMScheduler
  private let spacing: DDIMScheduler.Spacing
  private let offset: Int

  /// - Parameter configuration: of the model's scheduler, whatever class it names; where it names no
  ///   spacing of the time steps that is `linspace`, as it is to diffusers' class.
  init(_ configuration: ComponentConfiguration, schedule: DDIMScheduler) throws {
    self.schedule = schedule
    spacing =
      DDIMScheduler.Spacing(
        rawValue: try configuration.text("timestep_spacing", default: "linspace")) ?? .linspace
    offset = try configuration.integer("steps_offset", default: 0)
  }

  /// The levels of a run, noisiest first.
  ///
  /// - Throws: `ModelError`, where the model was not trained with that many.
  public func levels(_ steps: Int) throws -> [Level] {
    let count = schedule.alphasCumprod.count
    guard (1...count).contains(steps) else {
      throw ModelError("\(steps) steps cannot be taken: this model has 1 to \(count)")
    }
    let timesteps: [Double] = (0..<steps).map { step in
      let left = Double(steps - 1 - step)
      return switch spacing {
      case .linspace: steps == 1 ? 0 : left * Double(count - 1) / Double(steps - 1)
      case .leading: left * Double(count / steps) + Double(offset)
      case .trailing:
        (Double(count) - Double(step) * Double(count) / Double(steps)).rounded(.toNearestOrEven)
          - 1
      }
    }
    guard timesteps.allSatisfy({ $0 <= Double(count - 1) }) else {
      throw ModelError(
        "\(steps) steps with an offset of \(offset) reach beyond this model's \(count) time steps: take fewer"
      )
    }
    return timesteps.map { Level(timestep: $0, sigma: sigma(at: $0)) }
  }

  /// The standard deviation of the latents that a run starts from.
  public func startingDeviation(_ levels: [Level]) -> Double {
    let greatest = levels.map(\.sigma).max() ?? 0
    switch spacing {
    case .linspace, .trailing: return greatest
    case .leading: return (greatest * greatest + 1).squareRoot()
    }
  }

  /// Latents as the UNet takes them, of about unit variance.
  public func scaled(_ latents: Tensor, at sigma: Double) -> Tensor {
    latents * Float(1 / (sigma * sigma + 1).squareRoot())
  }

  /// One step between noise levels: `to` is less than `from`, and 0 at the end.
  ///
  /// - Parameters:
  ///   - output: the UNet's, for the scaled latents.
  ///   - noise: standard normal, like the latents.
  public func move(_ latents: Tensor, output: Tensor, from: Double, to: Double, noise: Tensor)
    -> Tensor
  {
    let up = (to * to * (from * from - to * to) / (from * from)).squareRoot()
    let step = (to * to - up * up).squareRoot() - from
    let moved: Tensor
    switch schedule.prediction {
    case .epsilon:
      moved = latents.blended(1, with: output, Float(step))
    case .velocity:
      // clean = x / (σ² + 1) − v σ / √(σ² + 1); the slope is (x − clean) / σ.
      let variance = from * from + 1
      moved = latents.blended(
        Float(1 + step * from / variance), with: output, Float(step / variance.squareRoot()))
    }
    return up == 0 ? moved : moved.blended(1, with: noise, Float(up))
  }

  private func sigma(at timestep: Double) -> Double {
    func sigma(_ index: Int) -> Double {
      // Where no signal is left, as little as diffusers' class leaves: 2⁻²⁴.
      let alpha = max(schedule.alphasCumprod[index], 0x1p-24)
      return ((1 - alpha) / alpha).squareRoot()
    }
    let below = Int(timestep)
    let above = min(below + 1, schedule.alphasCumprod.count - 1)
    let share = timestep - Double(below)
    return sigma(below) * (1 - share) + sigma(above) * share
  }
}
