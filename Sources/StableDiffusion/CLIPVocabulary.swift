import CCLIPMerges

/// CLIP's tokens, and which two neighbouring symbols of a word become one, in which order.
struct CLIPVocabulary: Sendable {
  struct Pair: Hashable { let left, right: Int }

  let ids: [String: Int]
  /// The rank and the result of merging two neighbouring symbols.
  let merges: [Pair: (rank: Int, merged: Int)]

  /// One more than the largest id.
  var size: Int { (ids.values.max() ?? -1) + 1 }

  /// - Throws: `ModelError`, which names the file and what is wrong with it.
  init(_ files: CLIPVocabularyFiles) throws {
    if let (token, id) = files.vocabulary.first(where: { !(0..<1 << 24).contains($0.value) }) {
      throw ModelError("\(files.vocabularyPath): '\(token)' has the number \(id)")
    }
    try self.init(files.vocabulary, merges: files.merges, from: files.mergesPath)
  }

  /// The one of 49,408 tokens that all Stable Diffusion models have, which comes with the program.
  static let builtIn: CLIPVocabulary = {
    let bytes = UnsafeRawBufferPointer(start: clip_merges(), count: clip_merges_count())
    let merges = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { line in
      let parts = line.split(separator: " ")
      return (left: String(parts[0]), right: String(parts[1]))
    }
    let tokens =
      byteSymbols + byteSymbols.map { $0 + wordEnd } + merges.map { $0.left + $0.right }
      + ["<|startoftext|>", "<|endoftext|>"]
    do {
      return try CLIPVocabulary(
        Dictionary(uniqueKeysWithValues: zip(tokens, tokens.indices)), merges: merges,
        from: "CLIP's vocabulary")
    } catch { preconditionFailure("\(error)") }
  }()

  private init(
    _ ids: [String: Int], merges pairs: [(left: String, right: String)], from place: String
  ) throws {
    guard !pairs.isEmpty else { throw ModelError("\(place) holds no merges") }
    var merges: [Pair: (rank: Int, merged: Int)] = [:]
    for (rank, (left, right)) in pairs.enumerated() {
      guard let first = ids[left], let second = ids[right], let merged = ids[left + right] else {
        throw ModelError(
          "\(place): '\(left) \(right)' is not a pair of tokens of the vocabulary")
      }
      // Of two that are alike, the tokenizers library takes the later one.
      merges[Pair(left: first, right: second)] = (rank, merged)
    }
    (self.ids, self.merges) = (ids, merges)
  }

  /// What a word's last symbol ends with.
  static let wordEnd = "</w>"

  /// A printable character for each byte, as in GPT-2: the printable ones stand for themselves, the
  /// others for characters from U+0100 on.
  static func symbol(of byte: UInt8) -> String { symbols[Int(byte)] }

  private static let symbols: [String] = {
    var next: UInt32 = 0x100
    return (UInt32(0)..<256).map { byte in
      let isPrintable = isPrintable(byte)
      defer { if !isPrintable { next += 1 } }
      return Unicode.Scalar(isPrintable ? byte : next).map { String(Character($0)) } ?? ""
    }
  }()

  /// In the order of their ids.
  private static var byteSymbols: [String] {
    let bytes = (UInt8.min...UInt8.max)
    return bytes.filter { isPrintable(UInt32($0)) }.map(symbol)
      + bytes.filter { !isPrintable(UInt32($0)) }.map(symbol)
  }

  private static func isPrintable(_ byte: UInt32) -> Bool {
    (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
  }
}
