import Foundation
import Testing

@testable import StableDiffusion

/// Prompts with the ids that transformers gives them from the folders of Stable Diffusion 1.x and
/// 2.x, by `Tests/References/tokenizer_reference.py`.
@Suite struct TokenizerReferenceTests {
  private struct Line: Decodable {
    let text: String
    let sd1, sd2: [Int]
  }

  /// How a folder of 49,408 tokens is written.
  enum Form: CaseIterable { case ofAuthors, ofTransformers4, ofTransformers5 }

  private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appending(path: "Goldens/prompts.jsonl")
  private static let reference =
    ProcessInfo.processInfo.environment["STEMD_TOKENIZER_REFERENCE"]

  private func lines(_ file: URL) throws -> [Line] {
    try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")).map {
      try JSONDecoder().decode(Line.self, from: $0)
    }
  }

  private func compare(_ lines: [Line], _ tokenizers: [CLIPTokenizer]) {
    for line in lines {
      let scalars = line.text.unicodeScalars.map { String($0.value, radix: 16) }
      for (tokenizer, ids, padding) in [
        (tokenizers[0], line.sd1, 49407), (tokenizers[1], line.sd2, 0),
      ] {
        let padded = [49406] + ids.prefix(75) + [49407]
        #expect(
          tokenizer.tokenCount(of: line.text) == ids.count
            && tokenizer.encode(line.text)
              == padded + Array(repeating: padding, count: 77 - padded.count),
          "\(line.text.debugDescription) (\(scalars.joined(separator: " ")))")
      }
    }
  }

  private static let builtIn = [CLIPTokenizer.Padding.endOfText, .exclamationMark].map {
    CLIPTokenizer(builtInWithPadding: $0, length: 77)
  }

  @Test("the tokenizers that come with the program give the ids of these folders")
  func builtInTokenizers() throws {
    let lines = try lines(Self.golden)
    #expect(lines.count == 560)
    for tokenizer in Self.builtIn { #expect(tokenizer.vocabularySize == 49408) }
    compare(lines, Self.builtIn)
  }

  @Test("2.x models pad with the exclamation mark, which is a token by itself")
  func padding() {
    let ids = Self.builtIn[1].encode("a cat!")
    #expect(ids.prefix(5) == [49406, 320, 2368, 0, 49407] && ids.count == 77)
    #expect(ids[5...].allSatisfy { $0 == 0 })
  }

  @Test(
    "so many prompts as one likes do",
    .enabled(if: reference != nil, "STEMD_TOKENIZER_REFERENCE names no file"))
  func manyPrompts() throws {
    let lines = try lines(URL(fileURLWithPath: #require(Self.reference)))
    #expect(!lines.isEmpty)
    compare(lines, Self.builtIn)
  }

  @Test("so do folders, in whatever form they were written", arguments: Form.allCases)
  func folders(form: Form) throws {
    try compare(
      lines(Self.golden), ["<|endoftext|>", "!"].map { try tokenizer(form, padding: $0) })
  }

  private func tokenizer(_ form: Form, padding: String) throws -> CLIPTokenizer {
    let folder = FileManager.default.temporaryDirectory.appending(path: "clip-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func write(_ file: String, _ value: Any) throws {
      try JSONSerialization.data(withJSONObject: value).write(to: folder.appending(path: file))
    }
    func token(_ content: String, normalized: Bool = true) -> [String: Any] {
      ["content": content, "normalized": normalized, "lstrip": false, "single_word": false]
    }
    let vocabulary = CLIPVocabulary.builtIn.ids
    let tokens = Dictionary(uniqueKeysWithValues: vocabulary.map { ($0.value, $0.key) })
    let merges = CLIPVocabulary.builtIn.merges.sorted { $0.value.rank < $1.value.rank }.map {
      "\(tokens[$0.key.left, default: ""]) \(tokens[$0.key.right, default: ""])"
    }
    if form == .ofTransformers5 {
      try write("tokenizer.json", ["model": ["vocab": vocabulary, "merges": merges]])
    } else {
      try write("vocab.json", vocabulary)
      try Data(("#version: 0.2\n" + merges.joined(separator: "\n")).utf8).write(
        to: folder.appending(path: "merges.txt"))
    }
    if form == .ofAuthors {
      let ends = ["bos_token": token("<|startoftext|>"), "eos_token": token("<|endoftext|>")]
      try write("tokenizer_config.json", ends.merging(["pad_token": token("<|endoftext|>")]) { $1 })
      var map: [String: Any] = ends
      map["unk_token"] = token("<|endoftext|>")
      map["pad_token"] = padding
      try write("special_tokens_map.json", map)
    } else {
      var declared = [
        "49406": token("<|startoftext|>"),
        "49407": token("<|endoftext|>", normalized: padding == "!"),
      ]
      if padding == "!" { declared["0"] = token("!", normalized: false) }
      try write(
        "tokenizer_config.json", ["added_tokens_decoder": declared, "pad_token": padding])
      // Which is not read beside such a configuration.
      try write("special_tokens_map.json", ["pad_token": "nonsense"])
    }
    return try CLIPTokenizer(folder: folder, longest: 77)
  }

  @Test(
    "100,000 characters of one kind take no minutes", .timeLimit(.minutes(1)),
    arguments: [
      "a", "A b ", "'", "<", "<|", "!", "e\u{301}", "\u{301}", "\u{1f469}\u{200d}", "漢",
      "\u{1100}", "\u{3000}", "\u{10fffd}", "\u{212b}", "अ\u{94d}",
    ])
  func longPrompts(piece: String) {
    let text = String(repeating: piece, count: 100_000 / piece.unicodeScalars.count)
    for tokenizer in Self.builtIn { #expect(tokenizer.encode(text).count == 77) }
  }
}
