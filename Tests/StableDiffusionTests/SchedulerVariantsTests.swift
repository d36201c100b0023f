import Foundation
import StableDiffusion
import Testing

/// Whatever sampler a model's folder names, what counts is the schedule it was trained with.
@Suite struct SchedulerVariantsTests {
  private static let file = "scheduler/scheduler_config.json"

  /// As the folders of Stable Diffusion 1.4 to 2.1 and those that others made from them have it.
  private static let samplers = [
    #"{"_class_name": "PNDMScheduler", "skip_prk_steps": true, "clip_sample": false}"#,
    #"{"_class_name": "DDIMScheduler", "clip_sample": false, "skip_prk_steps": true}"#,
    #"{"_class_name": "EulerDiscreteScheduler", "interpolation_type": "linear", "use_karras_sigmas": true, "sigma_min": null, "timestep_type": "discrete", "final_sigmas_type": "zero"}"#,
    #"{"_class_name": "EulerAncestralDiscreteScheduler"}"#,
    #"{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver++", "solver_order": 2, "lower_order_final": true, "thresholding": false, "use_flow_sigmas": false}"#,
    #"{"_class_name": "LMSDiscreteScheduler"}"#, #"{"_class_name": "HeunDiscreteScheduler"}"#,
    #"{"_class_name": "UniPCMultistepScheduler", "solver_type": "bh2", "disable_corrector": []}"#,
  ]

  private func model(_ json: String, _ more: [String: Any] = [:], betas: Bool = true) throws
    -> DamagedModel
  {
    let model = try DamagedModel()
    var values = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] ?? [:]
    if betas {
      values["beta_start"] = 0.00085
      values["beta_end"] = 0.012
      values["beta_schedule"] = "scaled_linear"
      values["num_train_timesteps"] = 1000
      values["trained_betas"] = NSNull()
      values["steps_offset"] = 1
      values["set_alpha_to_one"] = false
    }
    values.merge(more) { $1 }
    try JSONSerialization.data(withJSONObject: values).write(
      to: model.folder.appending(path: Self.file))
    return model
  }

  @Test(
    "every sampler's config gives the model's own schedule", arguments: samplers,
    ["epsilon", "v_prediction"])
  func sampler(json: String, prediction: String) throws {
    let scheduler = try model(json, ["prediction_type": prediction]).opened().scheduler
    let own = try TinyWorld.model.get().scheduler
    #expect(scheduler.alphasCumprod == own.alphasCumprod)
    #expect(scheduler.finalAlphaCumprod == own.finalAlphaCumprod)
    #expect(scheduler.prediction.rawValue == prediction)
    #expect(try scheduler.timesteps(50) == own.timesteps(50))
  }

  @Test("the spacing, offset and end of the time steps are the config's")
  func timesteps() throws {
    func scheduler(_ more: [String: Any]) throws -> DDIMScheduler {
      try model(Self.samplers[2], more).opened().scheduler
    }
    let trailing = try scheduler(["timestep_spacing": "trailing"])
    #expect(try trailing.timesteps(4) == [999, 749, 499, 249])
    let spread = try scheduler(["timestep_spacing": "linspace"])
    #expect(try spread.timesteps(4) == [999, 666, 333, 0])
    let early = try scheduler(["steps_offset": 0])
    #expect(try early.timesteps(4) == [750, 500, 250, 0])
    let clean = try scheduler(["set_alpha_to_one": true])
    #expect(clean.finalAlphaCumprod == 1)
  }

  @Test("trained betas win over a schedule of betas")
  func trainedBetas() throws {
    let betas = (0..<10).map { 0.01 + 0.01 * Double($0) }
    let scheduler = try model(
      Self.samplers[0], ["trained_betas": betas, "num_train_timesteps": 10]
    ).opened().scheduler
    #expect(scheduler.alphasCumprod.count == 10)
    #expect(abs(scheduler.alphasCumprod[1] - 0.99 * 0.98) < 1e-12)
  }

  /// The numbers are those of diffusers' rescale_zero_terminal_snr.
  @Test("betas rescaled to leave no signal do so, and a model of noise cannot have them")
  func zeroSignal() throws {
    let rescaled: [String: Any] = [
      "rescale_betas_zero_snr": true, "prediction_type": "v_prediction",
      "timestep_spacing": "trailing",
    ]
    let scheduler = try model(Self.samplers[1], rescaled).opened().scheduler
    let plain = try TinyWorld.model.get().scheduler.alphasCumprod
    #expect(scheduler.alphasCumprod[999] == 0)
    #expect(abs(scheduler.alphasCumprod[0] - plain[0]) < 1e-12)
    #expect(abs(scheduler.alphasCumprod[500] - 0.241_018_6) < 1e-5)
    #expect(try scheduler.timesteps(50)[0] == 999)
    let complaint = try model(Self.samplers[1], ["rescale_betas_zero_snr": true]).complaint()
    #expect(complaint.contains("rescale_betas_zero_snr") && complaint.contains("v_prediction"))
  }

  @Test(
    "what a schedule cannot be is refused by name",
    arguments: [
      (#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}"#, "FlowMatchEuler"),
      (#"{"_class_name": "EDMEulerScheduler", "sigma_max": 80.0}"#, "EDMEulerScheduler"),
      (#"{"beta_start": 0.1, "prediction_type": "flow_prediction"}"#, "flow_prediction"),
      (#"{"beta_start": 0.1, "use_flow_sigmas": true}"#, "use_flow_sigmas"),
      (#"{"beta_start": 0.1, "beta_schedule": "squaredcos_cap_v2"}"#, "squaredcos_cap_v2"),
      (#"{"beta_start": 0.1, "thresholding": true}"#, "thresholding"),
      (#"{"beta_start": 0.1, "clip_sample": true}"#, "clip_sample"),
      (#"{"beta_start": 0.1, "steps_offset": 1000}"#, "steps_offset"),
      (#"{"trained_betas": [0.1, 0.2]}"#, "betas"),
    ])
  func refused(json: String, named: String) throws {
    let complaint = try model(json, betas: false).complaint()
    #expect(complaint.contains(named) && complaint.contains(Self.file), "\(complaint)")
  }
}
