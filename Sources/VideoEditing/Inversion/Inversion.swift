import StableDiffusion
import Tensor

/// The latents of a clip at every noise level that an inversion passed.
public struct Trajectory: Sendable {
  /// Noisiest first, as an edit walks them.
  public let timesteps: [Int]
  /// In the order of `timesteps`; each (frames, height, width, channels).
  public let latents: [Tensor]
  /// The clip itself, from which the inversion set out.
  public let clean: Tensor

  public init(timesteps: [Int], latents: [Tensor], clean: Tensor) {
    precondition(
      timesteps.count == latents.count, "\(latents.count) latents for \(timesteps.count) time steps"
    )
    (self.timesteps, self.latents, self.clean) = (timesteps, latents, clean)
  }

  /// The clip as noise: where sampling starts.
  public var inverted: Tensor { latents[0] }
}

/// Where an interrupted walk along the time steps goes on.
public struct Resumption: Sendable {
  /// Steps that are done.
  public let steps: Int
  /// The latents after them.
  public let latents: Tensor

  public init(steps: Int, latents: Tensor) { (self.steps, self.latents) = (steps, latents) }
}

/// Moves a clip's latents up and down the noise levels with deterministic DDIM; which
/// self-attention the UNet uses meanwhile makes the method.
public struct Inversion {
  private let unet: UNet
  private let scheduler: DDIMScheduler

  public init(_ model: StableDiffusionModel) { (unet, scheduler) = (model.unet, model.scheduler) }

  /// DDIM inversion: the noise predicted at timesteps[i], ascending, moves the latents from the
  /// previous time step's noise level (the clean end's for i = 0) to this one's; no guidance.
  ///
  /// - Parameters:
  ///   - start: the clip's scaled latents, (frames, height, width, channels).
  ///   - context: the source prompt, (1, tokens, width).
  ///   - passed: the latents after each of the first steps, where these were taken before.
  ///   - afterStep: called with the number of finished steps and the latents after them; what it
  ///     throws ends the inversion.
  public func invert(
    _ start: Tensor, context: Tensor, steps: Int, processor: some UNetProcessor,
    passed: [Tensor] = [], afterStep: (Int, Tensor) throws -> Void = { _, _ in }
  ) throws -> Trajectory {
    let timesteps = try scheduler.timesteps(steps)
    precondition(passed.count <= steps, "\(passed.count) of \(steps) steps were passed")
    var passed = passed
    var latents = passed.last ?? start
    for (index, timestep) in timesteps.reversed().enumerated().dropFirst(passed.count) {
      let output = try unet(latents, timestep: timestep, context: context, processor: processor)
      let before = index == 0 ? nil : timesteps[timesteps.count - index]
      latents = scheduler.move(
        latents, output: output, from: scheduler.alphaCumprod(before),
        to: scheduler.alphaCumprod(timestep))
      passed.append(latents)
      try afterStep(index + 1, latents)
    }
    return Trajectory(timesteps: timesteps, latents: passed.reversed(), clean: start)
  }

  /// DDIM sampling from inverted latents, without guidance: what an inversion kept of the clip.
  ///
  /// - Parameters:
  ///   - resumption: where an interrupted reconstruction goes on.
  ///   - afterStep: called with the number of finished steps and the latents after them; what it
  ///     throws ends the reconstruction.
  /// - Returns: scaled latents of the clean clip, (frames, height, width, channels).
  public func reconstruct(
    _ inverted: Tensor, context: Tensor, steps: Int, processor: some UNetProcessor,
    resuming resumption: Resumption? = nil,
    afterStep: (Int, Tensor) throws -> Void = { _, _ in }
  ) throws -> Tensor {
    let timesteps = try scheduler.timesteps(steps)
    var latents = resumption?.latents ?? inverted
    for (index, timestep) in timesteps.enumerated().dropFirst(resumption?.steps ?? 0) {
      let output = try unet(latents, timestep: timestep, context: context, processor: processor)
      let next = index + 1 < timesteps.count ? timesteps[index + 1] : nil
      latents = scheduler.move(
        latents, output: output, from: scheduler.alphaCumprod(timestep),
        to: scheduler.alphaCumprod(next))
      try afterStep(index + 1, latents)
    }
    return latents
  }
}
