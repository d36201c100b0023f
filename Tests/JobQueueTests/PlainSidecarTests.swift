import EditSettings
import Testing

@testable import JobQueue

/// Nobody needs to know a key: what people write into a text file does.
@Suite struct PlainSidecarTests {
  /// What stands in the file, and what is understood.
  private static let written: [(text: String, prompt: String, source: String)] =
    [
      "a photo of a purple metal ball on sand", "purple ball", "Make the ball purple!",
      "make it night", "turn the sand into snow", "A ball on a checkered floor.",
      "a watercolor of a red ball", "pencil sketch", "pixel art, 8-bit", "a ball <- a cube",
      "the same, but at sunset", "a red ball on grass, by day", "a cone; not a ball",
      "make the ball BLUE", "blau statt rot", "une balle bleue sur le sable", "青い金属の球",
      "синий шар на песке", "كرة زرقاء", "a purple ball 🟣", "\"a purple ball\"", "'a purple ball'",
      "a purple (metal) ball", "a purple [metal] ball", "a {purple} ball", "prompt: a purple ball",
      "style: watercolor", "50% darker", "#1 fan", "# a purple ball", "- a purple ball",
      "* a purple ball", "a woman in a red dress, running", "a man surfing on lava",
      "tennis on the moon", "tennis, in the style of van Gogh", "a robot running in a park",
      "a woman running; snow; winter", "true", "no", "null", "42", "~", "yes & no", "a < b",
      "C:\\videos\\ball",
    ].map { ($0, $0, "") } + [
      ("  a purple ball  \n", "a purple ball", ""),
      ("a purple ball\r\non sand\r\n", "a purple ball on sand", ""),
      ("a red ball => a purple ball", "a purple ball", "a red ball"),
      ("a red ball\n=> a purple ball\n", "a purple ball", "a red ball"),
      ("ball -> cube", "cube", "ball"),
    ]

  @Test("some fifty texts that people might write each edit with the defaults")
  func defaults() throws {
    #expect(Self.written.count == 51)
    for (text, prompt, source) in Self.written {
      let settings = try Sidecar.settings(from: Array(text.utf8), fileExtension: "txt")
      #expect(settings == EditSettings(prompt: prompt, sourcePrompt: source), "\(text)")
    }
  }
}
