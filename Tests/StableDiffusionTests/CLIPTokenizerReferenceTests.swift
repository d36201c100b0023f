import Foundation
import Testing

@testable import StableDiffusion

/// Lines of many scripts against the ids of transformers, as Tests/References/tokenizer_reference.py
/// writes them.
@Suite struct CLIPTokenizerReferenceTests {
  private struct Line: Decodable {
    let text: String
    /// Neither cut nor padded.
    let ids: [Int]
  }

  @Test("the vocabulary that comes with the program gives the ids of transformers")
  func builtIn() throws {
    let lines = try lines(
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
        path: "Goldens/clip-tokens.json"))
    #expect(lines.count == 200)
    let tokenizer = CLIPTokenizer(builtInWithPadding: .endOfText, length: 4096)
    #expect(tokenizer.vocabularySize == 49408)
    compare(lines, tokenizer, end: 49407)
  }

  @Test("2.x models pad with the exclamation mark")
  func padding() {
    let ids = CLIPTokenizer(builtInWithPadding: .exclamationMark, length: 77).encode("a cat!")
    #expect(ids.prefix(5) == [49406, 320, 2368, 0, 49407] && ids.count == 77)
    #expect(ids[5...].allSatisfy { $0 == 0 })
  }

  /// A folder that the script has written.
  private static let folder = ProcessInfo.processInfo.environment["STEMD_TOKENIZER_REFERENCE"]

  @Test(
    "ten thousand lines give the ids of transformers",
    .enabled(if: folder != nil, "STEMD_TOKENIZER_REFERENCE names no folder"))
  func manyLines() throws {
    let folder = URL(fileURLWithPath: try #require(Self.folder))
    // As long as the longest line.
    let tokenizerFolder = folder.appending(path: "tokenizer")
    let url = tokenizerFolder.appending(path: "tokenizer_config.json")
    let text = try String(contentsOf: url, encoding: .utf8)
    #expect(text.contains("CLIPTokenizer"))
    let copy = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.copyItem(at: tokenizerFolder, to: copy)
    defer { try? FileManager.default.removeItem(at: copy) }
    try text.replacing("\"model_max_length\": 77", with: "\"model_max_length\": 4096").write(
      to: copy.appending(path: "tokenizer_config.json"), atomically: true, encoding: .utf8)
    let lines = try lines(folder.appending(path: "lines.json"))
    compare(lines, try CLIPTokenizer(folder: copy, longest: 4096), end: 49407)
  }

  private func lines(_ url: URL) throws -> [Line] {
    try JSONDecoder().decode([Line].self, from: Data(contentsOf: url))
  }

  private func compare(_ lines: [Line], _ tokenizer: CLIPTokenizer, end: Int) {
    #expect(!lines.isEmpty)
    for line in lines {
      let ids = tokenizer.encode(line.text)
      let scalars = line.text.unicodeScalars.map { String($0.value, radix: 16) }
      #expect(
        Array(ids.prefix(line.ids.count)) == line.ids
          && ids[line.ids.count - 1] == end
          && tokenizer.tokenCount(of: line.text) == line.ids.count - 2,
        "\(line.text.debugDescription) (\(scalars.joined(separator: " ")))")
    }
  }
}
