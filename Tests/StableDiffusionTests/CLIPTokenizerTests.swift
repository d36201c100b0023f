import Foundation
import StableDiffusion
import Testing

@Suite struct CLIPTokenizerTests {
  /// Ids that transformers.CLIPTokenizer gives, without the padding.
  @Test(
    "prompts become the ids that transformers gives",
    arguments: [
      ("", [685, 686]),
      (
        "a photo of a red metal ball on sand",
        [685, 320, 591, 515, 320, 611, 576, 601, 513, 603, 686]
      ),
      (
        "A PHOTO, of a Café's ball!!",
        [685, 320, 591, 267, 515, 320, 66, 64, 69, 127, 358, 6, 338, 601, 0, 256, 686]
      ),
      (
        "it's 2024 -- don't  \t\n stop",
        [685, 72, 339, 6, 338, 273, 271, 273, 275, 12, 268, 67, 513, 6, 339, 573, 78, 335, 686]
      ),
      (
        "日本語 😀 naïve",
        [
          685, 162, 245, 98, 162, 250, 105, 164, 103, 508, 172, 253, 246, 478, 77, 64, 127, 107, 85,
          324, 686,
        ]
      ),
      ("<|endoftext|> mid <|startoftext|>", [685, 686, 76, 72, 323, 685, 686]),
      (
        "ÀÉ İstanbul e\u{301}",
        [685, 127, 254, 127, 358, 328, 136, 485, 656, 65, 84, 331, 127, 358, 686]
      ),
      ("'sand 's 've!?'t", [685, 6, 338, 530, 323, 6, 338, 6, 85, 324, 0, 30, 262, 339, 686]),
      ("x\u{a0}y\u{3000}z", [685, 343, 344, 345, 686]),
      ("½ ² ٣ Ⅷ", [685, 126, 377, 126, 366, 149, 352, 158, 227, 371, 686]),
    ])
  func knownIds(prompt: String, ids: [Int]) throws {
    let padded = ids + Array(repeating: 686, count: 32 - ids.count)
    #expect(try TinyWorld.model.get().tokenizer.encode(prompt) == padded)
  }

  @Test("words are where their ids are, as far as they fit")
  func words() throws {
    let tokenizer = try TinyWorld.model.get().tokenizer
    let prompt = "A PHOTO, of a  Café's ball!!\t<|endoftext|> naïve"
    let words = tokenizer.words(of: prompt)
    #expect(
      words.map(\.text) == ["A", "PHOTO,", "of", "a", "Café's", "ball!!", "<|endoftext|>", "naïve"])
    #expect(words.map(\.positions).prefix(3) == [1..<2, 2..<4, 4..<5])
    let ids = tokenizer.encode(prompt)
    for (text, positions) in words {
      #expect(Array(ids[positions]) == Array(tokenizer.encode(text)[1...].prefix(positions.count)))
    }
    #expect(words.last?.positions.upperBound == 1 + tokenizer.tokenCount(of: prompt))
    #expect(tokenizer.words(of: " \n").isEmpty)
    let long = tokenizer.words(of: String(repeating: "ball ", count: 40))
    #expect(long[29].positions == 30..<31 && long[30].positions == 31..<31)
    #expect(long.count == 40 && long[39].positions.isEmpty)
  }

  @Test(
    "the padding token may stand in either file, as a text or as an object",
    arguments: [
      ("tokenizer_config.json", true), ("special_tokens_map.json", false),
      ("special_tokens_map.json", true),
    ])
  func whereThePaddingTokenStands(file: String, isObject: Bool) throws {
    let damaged = try DamagedModel()
    let path = "tokenizer/\(file)"
    if file == "special_tokens_map.json" {
      try Data("{}".utf8).write(to: damaged.folder.appending(path: path))
    }
    try damaged.set(
      "pad_token", isObject ? ["content": "!", "__type": "AddedToken"] as [String: Any] : "!",
      in: path)
    let ids = try StableDiffusionModel(at: damaged.folder).tokenizer.encode("ball")
    #expect(ids.prefix(4) == [685, 601, 686, 0])
  }

  @Test("merges with the line ends of another system are the same merges")
  func carriageReturns() throws {
    let damaged = try DamagedModel()
    let url = damaged.folder.appending(path: "tokenizer/merges.txt")
    let text = try String(contentsOf: url, encoding: .utf8)
    try text.replacingOccurrences(of: "\n", with: "\r\n").write(
      to: url, atomically: true, encoding: .utf8)
    let ids = try StableDiffusionModel(at: damaged.folder).tokenizer.encode("a photo")
    #expect(ids.prefix(4) == [685, 320, 591, 686])
  }

  @Test("a word of thousands of letters is no work for minutes", .timeLimit(.minutes(1)))
  func longWord() throws {
    let count = try TinyWorld.model.get().tokenizer.tokenCount(
      of: String(repeating: "a", count: 60_000))
    #expect(count > 1000)
  }

  @Test("a prompt that is too long is cut, and still ends with the end token")
  func longPrompts() throws {
    let tokenizer = try TinyWorld.model.get().tokenizer
    let ids = tokenizer.encode(String(repeating: "word ", count: 40))
    #expect(ids.count == 32 && ids.first == 685 && ids.last == 686 && ids[1...3] == [554, 81, 323])
    #expect(
      tokenizer.tokenCount(of: String(repeating: "word ", count: 40)) == 120
        && tokenizer.capacity == 30)
  }

  @Test("what a prompt says beyond what fits is quoted as it was written, from a whole word on")
  func cutPrompts() throws {
    let tokenizer = try TinyWorld.model.get().tokenizer
    let words = String(repeating: "word ", count: 10)
    #expect(tokenizer.cut(from: words + " \n") == nil)
    #expect(tokenizer.cut(from: words + "a RED  Café's\tball ") == "a RED  Café's\tball ")
    // The tenth would begin within what fits, and end beyond.
    #expect(tokenizer.cut(from: "a " + words) == "word ")
    #expect(tokenizer.cut(from: String(repeating: "x", count: 50))?.count == 50)
  }

  @Test("where the padding token is `!`, as in 2.x models, every `!` of a prompt is one")
  func exclamationMarkAsPadding() throws {
    let damaged = try DamagedModel()
    try damaged.set("pad_token", "!", in: "tokenizer/tokenizer_config.json")
    let ids = try StableDiffusionModel(at: damaged.folder).tokenizer.encode("ball!! on")
    #expect(ids.prefix(6) == [685, 601, 0, 0, 513, 686] && ids[6...].allSatisfy { $0 == 0 })
  }
}
