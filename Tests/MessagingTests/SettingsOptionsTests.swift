import EditSettings
import Testing

@testable import stemctl

@Suite struct SettingsOptionsTests {
  @Test("a prompt alone gives the defaults")
  func defaults() throws {
    #expect(
      try SettingsOptions.parse(["--prompt", "a fox"]).settings == EditSettings(prompt: "a fox"))
  }

  @Test("keys of a sidecar are set in their order, and a model's path is left alone")
  func assignments() throws {
    let settings = try SettingsOptions.parse([
      "--prompt", "a fox", "--model", "my/models/one", "--set", "group_size=4", "--set", "seed=3",
      "--set", "group_size=5",
    ]).settings
    var expected = EditSettings(prompt: "a fox", seed: 3, model: "my/models/one")
    expected.options.groupSize = 5
    #expect(settings == expected)
  }

  @Test("frames are chosen by start, count and every, and the edit may be enlarged")
  func chosenFrames() throws {
    var expected = EditSettings(prompt: "a fox", frames: 8)
    (expected.start, expected.every, expected.outputSize) = (1.5, 2, .source)
    for count in ["--count", "--frames"] {
      #expect(
        try SettingsOptions.parse([
          "--prompt", "a fox", "--start", "1.5", count, "8", "--every", "2", "--output-size",
          "source",
        ]).settings == expected)
    }
  }

  @Test(
    "a value out of its limits is refused with what the option takes",
    arguments: [
      (["--start=-1"], "--start takes a number of seconds from 0 to 1000000, not -1.0."),
      (["--every", "0"], "--every takes a whole number from 1 to 1000000, not 0."),
      (["--count", "1", "--frames", "1"], "--count and --frames are the same; keep one of them."),
      (["--steps", "0"], "--steps takes a whole number from 1 to 1000, not 0."),
      (["--steps", "1001"], "--steps takes a whole number from 1 to 1000, not 1001."),
      (["--guidance", "100.5"], "--guidance takes a number from 0 to 100, not 100.5."),
      (["--guidance", "nan"], "--guidance takes a number from 0 to 100, not nan."),
      (["--frames", "0"], "--frames takes a whole number from 1 on, not 0."),
      (
        ["--size", "100x64"],
        "--size takes WIDTHxHEIGHT in pixels, such as 512x320, or the shorter side alone, such as 512; multiples of 8 from 8 to 8192, not 100x64."
      ),
      (["--size", "64x8200"], "not 64x8200."),
      (["--bases", "0"], "--bases takes a whole number from 1 to 65536, not 0."),
      (["--iterations", "0"], "--iterations takes a whole number from 1 to 1000, not 0."),
      (["--size", "big"], "The value 'big' is invalid for '--size <WxH>'"),
      (["--seed=-1"], "The value '-1' is invalid for '--seed <seed>'"),
      (["--method", "magic"], "one of 'reconstruct'"),
      (
        ["--set", "group_size=0"], "'group_size' takes a whole number from 1 to 64, not '0'."
      ),
      (["--set", "steps"], "'steps' is no KEY=VALUE."),
      (["--precision", "half"], "one of 'auto', 'full' or 'mixed'"),
    ])
  func limits(arguments: [String], sentence: String) throws {
    let error = #expect(throws: (any Error).self) {
      try SettingsOptions.parse(
        arguments.contains("--prompt") ? arguments : ["--prompt", "p"] + arguments)
    }
    let message = SettingsOptions.message(for: try #require(error))
    #expect(message.contains(sentence), "\(message)")
  }

  @Test("what no --set has said is not laid to it")
  func longPrompt() throws {
    let error = #expect(throws: (any Error).self) {
      try SettingsOptions.parse(["--prompt", String(repeating: "a", count: 5000)])
    }
    let message = SettingsOptions.message(for: try #require(error))
    #expect(message.hasPrefix("'prompt' is longer than 4 KiB"), "\(message)")
  }

  @Test("a prompt is required", arguments: [[], ["--prompt", " \n"]])
  func required(arguments: [String]) throws {
    let error = #expect(throws: CommandFailure.self) {
      try SettingsOptions.parse(arguments).requirePrompt()
    }
    #expect(error?.description.hasPrefix("Say what the edited video should show: --prompt") == true)
  }
}
