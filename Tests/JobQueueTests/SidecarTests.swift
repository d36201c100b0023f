import EditSettings
import Testing

@testable import JobQueue

@Suite("Sidecar") struct SidecarTests {
  func settings(_ text: String, _ fileExtension: String = "yaml") throws -> EditSettings {
    try Sidecar.settings(from: Array(text.utf8), fileExtension: fileExtension)
  }

  func error(_ text: String, _ fileExtension: String = "yaml") -> String {
    do {
      return "accepted: \(try settings(text, fileExtension))"
    } catch {
      return "\(error)"
    }
  }

  @Test("a .txt is the prompt alone, trimmed and on one line")
  func promptAlone() throws {
    #expect(try settings("  a red car\n", "txt") == EditSettings(prompt: "a red car"))
    #expect(try settings("\u{feff}a red\r\n  car\n\n", "TXT").prompt == "a red car")
    #expect(
      try settings("a: b, c => d", "txt") == EditSettings(prompt: "d", sourcePrompt: "a: b, c"))
    #expect(try settings("=> d", "txt") == EditSettings(prompt: "d", sourcePrompt: ""))
    for arrow in ["->", "→", "⇒"] {
      #expect(
        try settings("a \(arrow) b", "txt") == EditSettings(prompt: "b", sourcePrompt: "a"))
      for own in ["zoom \(arrow) pan \(arrow) fade", "a🔴➡️🟢 ball"] {
        #expect(try settings(own, "txt") == EditSettings(prompt: own))
      }
    }
  }

  @Test(
    "a .txt without a prompt, or with two arrows, is refused",
    arguments: ["", " \n ", "a =>", "a => b => c"])
  func badPromptAlone(text: String) {
    #expect(throws: SidecarError.self) { try settings(text, "txt") }
  }

  @Test("YAML and JSON take every key")
  func everyKey() throws {
    var expected = EditSettings(
      prompt: "a red car", sourcePrompt: "a car", negativePrompt: "blur", method: .fatezero,
      inversion: .spatialTemporal,
      steps: 20,
      guidance: 3.5, frames: 8, size: .exactly(FrameSize(width: 512, height: 320)), seed: .max,
      bases: 64,
      iterations: 3, model: "tiny-world", precision: .mixed)
    (expected.start, expected.every, expected.outputSize) = (2.5, 3, .source)
    expected.inversionSteps = 40
    expected.reconstruction = false
    expected.temperature = 0.05
    expected.basesOf = .features
    expected.emptyBases = .masked
    expected.options.attentionShare = 0.25
    expected.options.crossAttentionShare = 1
    expected.options.emphasis = ["red": 2, "very fast": -0.5]
    expected.options.replaceWords = true
    expected.options.blendWords = ["car", "road"]
    expected.options.blendThreshold = 0.4
    #expect(
      try settings(
        """
        # how to edit it
        prompt: a red car
        source_prompt: "a car"
        negative_prompt: 'blur'
        method: fatezero
        inversion: spatial-temporal
        steps: 20
        guidance: 3.5
        start: 2.5
        frames: 8
        every: 3
        size: 512x320
        output_size: source
        seed: 18446744073709551615
        bases: 64
        iterations: 3
        model: tiny-world
        precision: mixed
        reconstruction: false
        inversion_steps: 40
        temperature: 0.05
        bases_of: features
        empty_bases: masked
        attention_share: 0.25
        cross_attention_share: 1
        emphasis: {red: 2, very fast: -0.5}
        replace_words: true
        blend_words: [car, road]
        blend_threshold: 0.4
        """) == expected)
    #expect(
      try settings(
        """
        {"prompt": "a red car", "source_prompt": "a car", "negative_prompt": "blur", "method": "fatezero",
         "inversion": "spatial-temporal", "steps": 20, "guidance": 3.5, "frames": 8, "size": "512x320",
         "start": 2.5, "every": 3, "output_size": "source",
         "seed": 18446744073709551615, "bases": 64, "iterations": 3, "model": "tiny-world",
         "precision": "mixed", "reconstruction": false, "inversion_steps": 40, "temperature": 0.05, "bases_of": "features", "empty_bases": "masked",
         "attention_share": 0.25, "cross_attention_share": 1,
         "emphasis": {"red": 2, "very fast": -0.5}, "replace_words": true,
         "blend_words": ["car", "road"], "blend_threshold": 0.4}
        """, "json") == expected)
    #expect(try settings("prompt: x") == EditSettings(prompt: "x"))
  }

  @Test("YAML's words mean what their key wants them to")
  func words() throws {
    #expect(try settings("prompt: 42").prompt == "42")
    #expect(try settings("prompt: yes").prompt == "yes")
    #expect(try settings("prompt: no\nnegative_prompt: 1e1").negativePrompt == "1e1")
    #expect(try settings("prompt: x\nsteps: 1e1").steps == 10)
    #expect(try settings("prompt: x\nguidance: 7").guidance == 7)
    #expect(try settings("prompt: x\nmodel: 1.5").model == "1.5")
    #expect(try settings("prompt: |\n  a red\n  car\n").prompt == "a red car")
    #expect(try settings("prompt: x\nframes:\nsize: ~").frames == nil)
    #expect(try settings("{prompt: x, steps: 5}").steps == 5)
    #expect(
      try settings("a: &p x\nprompt: *p".replacing("a:", with: "source_prompt:")).prompt == "x")
  }

  @Test("LoRAs are named with weights, without, or alone")
  func loras() throws {
    #expect(try settings("prompt: x\nloras: {a: 0.5, b c: -2}").loras == ["a": 0.5, "b c": -2])
    #expect(try settings("prompt: x\nloras: [a, b]").loras == ["a": 1, "b": 1])
    #expect(try settings("prompt: x\nloras: a").loras == ["a": 1])
  }

  @Test("a size is both sides, or the shorter one")
  func size() throws {
    #expect(
      try settings("prompt: x\nsize: 512x320").size == .exactly(.init(width: 512, height: 320)))
    #expect(try settings("prompt: x\nsize: 384").size == .shorterSide(384))
    #expect(try settings("prompt: x\nsize: '384'").size == .shorterSide(384))
    var given = EditSettings(prompt: "x")
    given.size = .shorterSide(64)
    #expect(SettingsFields(json: try SettingsFields(given).json)?.settings == given)
  }

  @Test("'count' and 'frames' are the same key, and both at once are an error")
  func count() throws {
    #expect(try settings("prompt: x\ncount: 5") == settings("prompt: x\nframes: 5"))
    #expect(try settings("prompt: x\ncount: 5").frames == 5)
    #expect(
      error("prompt: x\nframes: 5\ncount: 5")
        == "'frames' and 'count' are the same: keep one of them")
    #expect(
      error("prompt: x\ncount: 0") == "'count' takes a whole number from 1 up, not '0'")
    // Other programs know it by its old name.
    #expect(try SettingsFields(settings("prompt: x\ncount: 5")).json.contains("\"frames\":5"))
    #expect(
      error("prompt: x\nstart: -1") == "'start' takes a number from 0 to 1000000, not '-1'")
    #expect(
      error("prompt: x\nevery: 0") == "'every' takes a whole number from 1 to 1000000, not '0'")
    #expect(
      error("prompt: x\noutput_size: large")
        == "'output_size' takes one of working, source, not 'large'")
  }

  @Test("one word alone is a list of one")
  func oneWord() throws {
    #expect(
      try settings("prompt: x\nmethod: fatezero\nblend_words: ball").options.blendWords == ["ball"])
  }

  @Test("each method takes its own keys, and refuses the others'")
  func keysOfMethods() throws {
    let tokenFlow = try settings(
      "prompt: x\nfeature_share: 0\ngroup_size: 4\nblending: linear\nfree_u: true"
    ).options
    #expect((tokenFlow.featureShare, tokenFlow.groupSize) == (0, 4))
    #expect(tokenFlow.blending == .linear && tokenFlow.freeU)
    #expect(try settings("prompt: x\nmethod: pix2video\npull: 50").options.pull == 50)
    #expect(
      try settings("prompt: x\nmethod: text2video-zero\nimage_guidance: 1.5").options.imageGuidance
        == 1.5)
    #expect(
      error("prompt: x\nblend_words: ball")
        == "'blend_words' is for fatezero; tokenflow has no use for it")
    for (method, keys) in [
      ("tokenflow", ["cross_attention_share: 0", "emphasis: {x: 2}", "pull: 5"]),
      ("fatezero", ["feature_share: 1", "group_size: 4", "blending: authors", "free_u: true"]),
      ("text2video-zero", ["replace_words: true", "blend_threshold: 0.5"]),
      ("pix2video", ["attention_share: 1", "image_guidance: 2"]),
      ("reconstruct", ["attention_share: 1"]),
    ] {
      for key in keys {
        let message = error("prompt: x\nmethod: \(method)\n\(key)")
        #expect(message.hasSuffix("\(method) has no use for it"), "\(message)")
      }
    }
  }

  @Test("settings go through JSON and come back the same")
  func throughJSON() throws {
    var given = EditSettings(prompt: "a red car", method: .fatezero, seed: .max)
    given.inversionSteps = 100
    given.options.emphasis = ["red": -0.5]
    given.options.blendWords = ["car"]
    given.options.attentionShare = 0.1
    let json = try SettingsFields(given).json
    #expect(SettingsFields(json: json)?.settings == given)
  }

  @Test("one assignment changes one setting, or says what is wrong with it")
  func assignment() throws {
    let plain = EditSettings(prompt: "x", method: .fatezero)
    var expected = plain
    expected.options.blendWords = ["a", "b"]
    #expect(try Sidecar.setting(["blend_words=[a, b]"], in: plain) == expected)
    #expect(try Sidecar.setting(["prompt=a=b"], in: plain).prompt == "a=b")
    // In any order.
    let fine = try Sidecar.setting(
      ["inversion_steps=60", "pull=3", "steps=20", "method=pix2video"], in: plain)
    #expect((fine.inversionSteps, fine.steps) == (60, 20))
    for (assignment, sentence) in [
      ("steps", "is no KEY=VALUE"), ("stepz=3", "did you mean 'steps'?"),
      ("steps=many", "'steps' takes a whole number"), ("priority=3", "unknown key"),
      ("steps=", "not nothing"), ("inversion_steps=75", "a multiple of the 50 'steps'"),
      ("prompt={", "not YAML"),
    ] {
      let error = #expect(throws: SidecarError.self) {
        try Sidecar.setting([assignment], in: plain)
      }
      #expect("\(error!)".contains(sentence), "\(error!)")
    }
  }

  @Test("an unknown key is named, with the key that was meant, or else all that there are")
  func unknownKey() {
    #expect(
      error("promt: x")
        == "unknown key 'promt': did you mean 'prompt'? stemd-sidecar(5) has them all")
    #expect(
      error("prompt: x\ncolour: red")
        == "unknown key 'colour': a sidecar takes prompt, source_prompt, negative_prompt, method, "
        + "inversion, steps, inversion_steps, guidance, start, frames, count, every, size, output_size, seed, bases, iterations, temperature, bases_of, "
        + "empty_bases, "
        + "attention_share, feature_share, cross_attention_share, group_size, blending, free_u, pull, image_guidance, emphasis, replace_words, blend_words, "
        + "blend_threshold, "
        + "model, loras, precision, reconstruction, priority"
    )
    #expect(
      error(#"{"Source-Prompt": "x", "prompt": "y"}"#, "json").contains(
        "did you mean 'source_prompt'?"))
    for (key, meant) in [
      ("negative", "negative_prompt"), ("image", "image_guidance"),
      ("threshold", "blend_threshold"),
    ] {
      #expect(error("prompt: x\n\(key): y").contains("did you mean '\(meant)'?"))
    }
    // Three begin so.
    #expect(error("prompt: x\nsteps_of: 3").contains("did you mean 'steps'?"))
    #expect(!error("prompt: x\nblend: 1").contains("did you mean"))
  }

  @Test(
    "a bad value's error names its key and what it takes",
    arguments: [
      ("steps", "0"), ("steps", "1001"), ("steps", "-1"), ("steps", "2.5"), ("steps", "many"),
      ("steps", "'50'"), ("steps", "[1]"),
      ("guidance", "101"), ("guidance", "-0.5"), ("guidance", ".nan"), ("guidance", ".inf"),
      ("guidance", "nan"), ("frames", "0"),
      ("size", "500"), ("size", "0"), ("size", "8200"), ("size", "wide"), ("size", "500x320"),
      ("size", "0x8"), ("size", "8200x8"), ("size", "8x8x8"),
      ("seed", "-1"),
      ("seed", "18446744073709551616"), ("bases", "0"), ("bases", "65537"), ("iterations", "0"),
      ("iterations", "1001"),
      ("loras", "../secret"), ("loras", "{a/b: 1}"), ("loras", "{a: much}"), ("loras", "{a: 11}"),
      ("loras", "[[a]]"), ("loras", "[a, b, c, d, e, f, g, h, i]"),
      ("model", "a/b"), ("model", ".hidden"), ("model", ".."), ("model", "''"), ("method", "magic"),
      ("inversion", "{a: b}"), ("precision", "half"), ("precision", "Full"), ("precision", "16"),
      ("precision", "[full]"),
      ("source_prompt", "[a, b]"), ("negative_prompt", "{a: b}"),
      ("steps", "99999999999999999999999"), ("inversion_steps", "0"), ("inversion_steps", "75"),
      ("temperature", "0"), ("bases_of", "values"), ("empty_bases", "yes"),
      ("attention_share", "1.5"),
      ("feature_share", "-0.1"), ("cross_attention_share", "half"), ("group_size", "0"),
      ("blending", "cubic"), ("free_u", "yes"),
      ("pull", "-1"),
      ("image_guidance", "101"),
      ("emphasis", "red"), ("emphasis", "{red: very}"), ("emphasis", "{red: {a: 1}}"),
      ("emphasis", "{red: 11}"), ("blend_words", "{a: b}"), ("blend_words", "[[a], b]"),
      ("blend_words", "['']"), ("replace_words", "ball"), ("blend_threshold", "2"),
    ])
  func badValue(key: String, value: String) {
    let message = error("prompt: x\n\(key): \(value)")
    #expect(message.hasPrefix("'\(key)' takes "), "\(message)")
    #expect(message.contains(", not "), "\(message)")
  }

  @Test(
    "each precision is taken, none means the daemon's, and another is refused with all there are")
  func precision() throws {
    for precision in PrecisionSetting.allCases {
      #expect(try settings("prompt: x\nprecision: \(precision.rawValue)").precision == precision)
    }
    #expect(try settings("prompt: x\nprecision:").precision == nil)
    #expect(
      error("prompt: x\nprecision: half")
        == "'precision' takes one of auto, full, mixed, not 'half'")
  }

  @Test(
    "a wrong type in JSON is refused with its key",
    arguments: [
      ("steps", "\"5\""), ("steps", "true"), ("prompt", "42"), ("prompt", "[\"a\"]"),
      ("prompt", "null"), ("seed", "1.5"),
      ("size", "[8,8]"), ("precision", "16"), ("precision", "true"),
    ])
  func wrongType(key: String, value: String) {
    let json =
      key == "prompt" ? "{\"prompt\": \(value)}" : "{\"prompt\": \"x\", \"\(key)\": \(value)}"
    #expect(error(json, "json").hasPrefix("'\(key)' takes "), "\(error(json, "json"))")
  }

  @Test("a key that stands there twice is refused, however it is spelled")
  func duplicates() {
    #expect(error("prompt: x\nsteps: 5\nsteps: 6").contains("'steps' stands there twice"))
    #expect(
      error(#"{"prompt": "x", "steps": 5, "steps": 6}"#, "json").contains(
        "'steps' stands there twice"))
    #expect(
      error(#"{"prompt": "a \"prompt\": b", "steps": 5, "st\u0065ps": 6}"#, "json").contains(
        "'steps' stands there twice"))
    #expect(error(#"{"prompt": "\"steps\": {", "steps": 5}"#, "json").hasPrefix("accepted"))
  }

  @Test("a syntax error names its line")
  func syntaxError() {
    #expect(
      error("prompt: x\nsteps: [1\n").contains("not YAML, line "),
      "\(error("prompt: x\nsteps: [1\n"))")
    #expect(error("prompt: a: b").contains("line 1"))
    #expect(error("{\"prompt\": ", "json").contains("not JSON"))
    #expect(error("{\"prompt\": \"x\", \"guidance\": NaN}", "json").contains("not JSON"))
  }

  @Test(
    "what is no mapping is refused",
    arguments: [
      ("", "yaml"), ("# nothing", "yaml"), ("a prompt", "yaml"), ("[a]", "yaml"), ("", "json"),
      ("[]", "json"), ("\"x\"", "json"),
      ("3", "json"), ("a: 1\n---\nb: 2", "yaml"),
    ])
  func noMapping(text: String, fileExtension: String) {
    #expect(throws: SidecarError.self) { try settings(text, fileExtension) }
  }

  @Test("a prompt is required, and more than white space")
  func promptRequired() {
    #expect(error("steps: 5").contains("'prompt' is missing"))
    #expect(error("prompt: ''").contains("prompt is empty"))
    #expect(error("prompt:").hasPrefix("'prompt' takes"))
    #expect(error("prompt: \"a\\0b\"").contains("control character"))
  }

  @Test("text in another encoding, or too much of it, is refused")
  func encoding() {
    #expect(
      "\(#expect(throws: SidecarError.self) { try Sidecar.settings(from: [0x61, 0xe4], fileExtension: "txt") }!)"
        .contains("UTF-8"))
    #expect(
      "\(#expect(throws: SidecarError.self) { try Sidecar.settings(from: [0xff, 0xfe, 0x61, 0], fileExtension: "txt") }!)"
        .contains(
          "UTF-16"))
    #expect(error(String(repeating: "a", count: 65537), "txt").contains("64 KiB"))
    let longest = SettingsLimits.promptBytes
    #expect(error(String(repeating: "a", count: longest + 1), "txt").contains("4 KiB"))
    #expect(error(String(repeating: "a", count: longest), "txt").hasPrefix("accepted"))
  }

  @Test(
    "a bomb costs nothing",
    arguments: [
      (String(repeating: "[", count: 60000), "yaml"),
      (String(repeating: "{", count: 60000), "yaml"),
      (String(repeating: "- ", count: 30000), "yaml"),
      (String(repeating: "? ", count: 30000), "yaml"),
      (String(repeating: "{a: ", count: 15000), "yaml"),
      (String(repeating: "[", count: 60000), "json"),
      ("{\"prompt\":" + String(repeating: "[", count: 60000), "json"),
      (String(repeating: "{\"a\":", count: 12000), "json"),
      (String(repeating: "&a ", count: 20000), "yaml"),
      ("prompt: x\nseed: " + String(repeating: "9", count: 60000), "yaml"),
      ("{\"prompt\": \"x\", \"seed\": " + String(repeating: "9", count: 60000) + "}", "json"),
      ("{\"prompt\": \"x\", \"guidance\": 1e99999}", "json"),
      ((0..<362).map { String(repeating: " ", count: $0) + "a:\n" }.joined(), "yaml"),
    ])
  func deepNesting(text: String, fileExtension: String) {
    #expect(throws: SidecarError.self) { try settings(text, fileExtension) }
  }

  @Test("a billion laughs are refused, as values and as keys")
  func billionLaughs() {
    var lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for i in 1..<30 {
      lines.append(
        "a\(i): &a\(i) [" + Array(repeating: "*a\(i - 1)", count: 10).joined(separator: ", ") + "]")
    }
    let laughs = lines.joined(separator: "\n")
    #expect(error(laughs).contains("aliases"))
    #expect(error(laughs + "\n? *a29\n: x").contains("aliases"))
    #expect(error("a: &a [x]\nb: &b [*a, *a]\n? *b\n: x").contains("no word"))
  }

  @Test("stars and ampersands are plain text in a prompt")
  func emphasis() throws {
    let text =
      "a *very* *very* *very* *very* *very* *very* *very* *very* *very* *very* red car & a &dog"
    #expect(try settings("prompt: \(text)").prompt == text)
  }
}
