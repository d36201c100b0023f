import StableDiffusion
import Tensor
import Testing

@Suite struct DDIMSchedulerTests {
  @Test("fifty steps are those of Stable Diffusion: 981, 961, … 1")
  func fiftySteps() throws {
    let steps = try TinyWorld.model.get().scheduler.timesteps(50)
    #expect(steps == Array(stride(from: 981, through: 1, by: -20)))
  }

  @Test(
    "numbers of steps that the model does not have are refused", arguments: [0, -1, 1000, 1001])
  func impossibleSteps(steps: Int) throws {
    let scheduler = try TinyWorld.model.get().scheduler
    #expect(throws: ModelError.self) { try scheduler.timesteps(steps) }
  }

  @Test(
    "a move takes a known mixture of signal and noise to another level, for both kinds of prediction",
    arguments: ["epsilon", "v_prediction"])
  func movesAreInverse(prediction: String) throws {
    let damaged = try DamagedModel()
    try damaged.set("prediction_type", prediction, in: "scheduler/scheduler_config.json")
    let scheduler = try StableDiffusionModel(at: damaged.folder).scheduler
    let latents = RandomNumbers(seed: 0, stream: "latents").normal([2, 3, 5, 4])
    let clean = RandomNumbers(seed: 0, stream: "clean").normal([2, 3, 5, 4])
    // With the true clean latents and noise of a level known, a move to another level must give the
    // mixture that belongs there.
    let (from, to) = (0.6, 0.3)
    let mixed = clean.blended(
      Float(from.squareRoot()), with: latents, Float((1 - from).squareRoot()))
    let expected = clean.blended(
      Float(to.squareRoot()), with: latents, Float((1 - to).squareRoot()))
    let output =
      prediction == "epsilon"
      ? latents
      : latents.blended(Float(from.squareRoot()), with: clean, -Float((1 - from).squareRoot()))
    let moved = scheduler.move(mixed, output: output, from: from, to: to)
    #expect(zip(moved.values, expected.values).allSatisfy { abs($0 - $1) < 1e-5 })
  }
}
