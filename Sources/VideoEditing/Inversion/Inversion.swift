import StableDiffusion
import Tensor

/// The latents of a clip at every noise level that an inversion passed.
public struct Trajectory: Sendable {
  /// Noisiest first, as an edit walks them; none where the clip was not inverted.
  public let timesteps: [Int]
  /// In the order of `timesteps`; each (frames, height, width, channels).
  public let latents: [Tensor]
  /// The clip itself, from which the inversion set out.
  public let clean: Tensor
  /// Whether the inversion took several steps from level to level.
  let isFine: Bool

  public init(timesteps: [Int], latents: [Tensor], clean: Tensor, isFine: Bool = false) {
    precondition(
      timesteps.count == latents.count, "\(latents.count) latents for \(timesteps.count) time steps"
    )
    (self.timesteps, self.latents) = (timesteps, latents)
    (self.clean, self.isFine) = (clean, isFine)
  }

  /// What the inversion gave to the UNet at a time step: the latents before it moved them to that
  /// level. Of finer steps these are not kept; the level's own are next to them.
  func inputLatents(_ step: Int) -> Tensor {
    if isFine { return latents[step] }
    return step + 1 < latents.count ? latents[step + 1] : clean
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
  ///   - steps: noise levels of the trajectory.
  ///   - inversionSteps: steps in which the noise levels are walked; `nil` for as many as levels.
  ///   - passed: the latents at each of the first levels, where these were reached before.
  ///   - resumption: where an interrupted inversion goes on between the last of these levels and the
  ///     next.
  ///   - afterStep: called with the number of finished steps, the latents after them, and the noise
  ///     level that they have reached, counted from 0, where it is the trajectory's; gives the
  ///     latents for the trajectory to hold. What it throws ends the inversion.
  /// - Throws: `ModelError` where these steps do not pass the trajectory's noise levels.
  public func invert(
    _ start: Tensor, context: Tensor, steps: Int, inversionSteps: Int? = nil,
    processor: some ClipProcessor, passed: [Tensor] = [], resuming resumption: Resumption? = nil,
    afterStep: (Int, Tensor, _ level: Int?) throws -> Tensor = { _, latents, _ in latents }
  ) throws -> Trajectory {
    let levels = try levels(steps, inversionSteps)
    let timesteps = levels.walked
    precondition(passed.count <= steps, "\(passed.count) of \(steps) steps were passed")
    var passed = passed
    var latents = resumption?.latents ?? passed.last ?? start
    let done = resumption?.steps ?? (passed.isEmpty ? 0 : levels.places[passed.count - 1] + 1)
    for (index, timestep) in timesteps.enumerated().dropFirst(done) {
      let output = try unet.overClip(
        latents, timestep: timestep, context: context, processor: processor)
      latents = scheduler.move(
        latents, output: output,
        from: scheduler.alphaCumprod(index == 0 ? nil : timesteps[index - 1]),
        to: scheduler.alphaCumprod(timestep))
      let isLevel = levels.places[passed.count] == index
      let kept = try afterStep(index + 1, latents, isLevel ? passed.count : nil)
      if isLevel { passed.append(kept) }
    }
    return Trajectory(
      timesteps: try scheduler.timesteps(steps), latents: passed.reversed(), clean: start,
      isFine: timesteps.count > steps)
  }

  /// How many steps an inversion takes to a level of the trajectory: to none, to the cleanest, …
  /// - Throws: as `invert`.
  public func stepCounts(steps: Int, inversionSteps: Int?) throws -> [Int] {
    [0] + (try levels(steps, inversionSteps).places.map { $0 + 1 })
  }

  /// The time steps that an inversion walks, cleanest first, and where among them the trajectory's
  /// lie.
  private func levels(_ steps: Int, _ inversionSteps: Int?) throws -> (walked: [Int], places: [Int])
  {
    let kept = try scheduler.timesteps(steps).reversed()
    let walked = try scheduler.timesteps(inversionSteps ?? steps).reversed()
    let places = kept.compactMap { Array(walked).firstIndex(of: $0) }
    guard places.count == steps, let last = places.last else {
      throw ModelError(
        "\(walked.count) 'inversion_steps' do not pass the noise levels of \(steps) steps: leave them away, or take numbers of steps that divide \(scheduler.alphasCumprod.count)"
      )
    }
    return (Array(walked.prefix(last + 1)), places)
  }

  /// DDIM sampling from inverted latents, without guidance: what an inversion kept of the clip.
  ///
  /// - Parameters:
  ///   - resumption: where an interrupted reconstruction goes on.
  ///   - afterStep: called with the number of finished steps and the latents after them; what it
  ///     throws ends the reconstruction.
  /// - Returns: scaled latents of the clean clip, (frames, height, width, channels).
  public func reconstruct(
    _ inverted: Tensor, context: Tensor, steps: Int, processor: some ClipProcessor,
    resuming resumption: Resumption? = nil,
    afterStep: (Int, Tensor) throws -> Void = { _, _ in }
  ) throws -> Tensor {
    let timesteps = try scheduler.timesteps(steps)
    var latents = resumption?.latents ?? inverted
    for (index, timestep) in timesteps.enumerated().dropFirst(resumption?.steps ?? 0) {
      let output = try unet.overClip(
        latents, timestep: timestep, context: context, processor: processor)
      latents = scheduler.step(latents, output: output, index, of: timesteps)
      try afterStep(index + 1, latents)
    }
    return latents
  }
}
