import Foundation
import StableDiffusion
import Testing

@Suite struct CLIPTokenizerTests {
  /// Ids that transformers.CLIPTokenizer gives, without the padding.
  @Test(
    "prompts become the ids that transformers gives",
    arguments: [
      ("", [699, 700]),
      (
        "a photo of a red metal ball on sand",
        [699, 320, 591, 512, 320, 614, 552, 617, 514, 604, 700]
      ),
      (
        "A PHOTO, of a Café's ball!!",
        [699, 320, 591, 267, 512, 320, 66, 64, 69, 127, 358, 6, 338, 617, 0, 256, 700]
      ),
      (
        "it's 2024 -- don't  \t\n stop",
        [699, 72, 339, 6, 338, 273, 271, 273, 275, 12, 268, 67, 514, 6, 339, 657, 78, 335, 700]
      ),
      (
        "日本語 😀 naïve",
        [
          699, 162, 245, 98, 162, 250, 105, 164, 103, 508, 172, 253, 246, 478, 77, 64, 127, 107, 85,
          324, 700,
        ]
      ),
      ("<|endoftext|> mid <|startoftext|>", [699, 700, 76, 72, 323, 699, 700]),
      (
        "ÀÉ İstanbul e\u{301}",
        [699, 127, 254, 127, 358, 328, 136, 485, 657, 556, 65, 84, 331, 127, 358, 700]
      ),
      ("'sand 's 've!?'t", [699, 6, 338, 556, 323, 6, 338, 6, 85, 324, 0, 30, 262, 339, 700]),
      ("x\u{a0}y\u{3000}z", [699, 343, 344, 345, 700]),
      ("½ ² ٣ Ⅷ", [699, 126, 377, 126, 366, 149, 352, 158, 227, 371, 700]),
    ])
  func knownIds(prompt: String, ids: [Int]) throws {
    let padded = ids + Array(repeating: 700, count: 32 - ids.count)
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
    #expect(ids.prefix(4) == [699, 617, 700, 0])
  }

  @Test("merges with the line ends of another system are the same merges")
  func carriageReturns() throws {
    let damaged = try DamagedModel()
    let url = damaged.folder.appending(path: "tokenizer/merges.txt")
    let text = try String(contentsOf: url, encoding: .utf8)
    try text.replacingOccurrences(of: "\n", with: "\r\n").write(
      to: url, atomically: true, encoding: .utf8)
    let ids = try StableDiffusionModel(at: damaged.folder).tokenizer.encode("a photo")
    #expect(ids.prefix(4) == [699, 320, 591, 700])
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
    let ids = tokenizer.encode(String(repeating: "card ", count: 40))
    #expect(ids.count == 32 && ids.first == 699 && ids.last == 700 && ids[1...3] == [66, 564, 323])
    #expect(
      tokenizer.tokenCount(of: String(repeating: "card ", count: 40)) == 120
        && tokenizer.capacity == 30)
  }

  @Test("what a prompt says beyond what fits is quoted as it was written, from a whole word on")
  func cutPrompts() throws {
    let tokenizer = try TinyWorld.model.get().tokenizer
    let words = String(repeating: "card ", count: 10)
    #expect(tokenizer.cut(from: words + " \n") == nil)
    #expect(tokenizer.cut(from: words + "a RED  Café's\tball ") == "a RED  Café's\tball ")
    // The tenth would begin within what fits, and end beyond.
    #expect(tokenizer.cut(from: "a " + words) == "card ")
    #expect(tokenizer.cut(from: String(repeating: "x", count: 50))?.count == 50)
  }

  @Test("where the padding token is `!`, as in 2.x models, every `!` of a prompt is one")
  func exclamationMarkAsPadding() throws {
    let damaged = try DamagedModel()
    try damaged.set("pad_token", "!", in: "tokenizer/tokenizer_config.json")
    let ids = try StableDiffusionModel(at: damaged.folder).tokenizer.encode("ball!! on")
    #expect(ids.prefix(6) == [699, 617, 0, 0, 514, 700] && ids[6...].allSatisfy { $0 == 0 })
  }
}
