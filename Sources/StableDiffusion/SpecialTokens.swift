/// The tokens of a prompt's ends, and all texts that are found in a prompt before it is encoded.
struct SpecialTokens {
  let start, end, unknown, padding: Int
  let added: [(token: AddedTokens.Token, id: Int)]

  /// As Stable Diffusion's own tokenizer folders have them, which write all but the padding as
  /// objects with `normalized`.
  /// - Parameter vocabulary: one that has the padding token, as CLIP's own has those of 1.x and 2.x.
  init(ofCLIPPaddingWith paddingToken: String, _ vocabulary: CLIPVocabulary) {
    let end = AddedTokens.Token(text: "<|endoftext|>", isNormalized: true)
    self.init(
      [
        .start: .init(text: "<|startoftext|>", isNormalized: true), .end: end, .unknown: end,
        .padding: .init(text: paddingToken, isNormalized: false),
      ]
    ) { _, text in
      guard let id = vocabulary.ids[text] else {
        preconditionFailure("'\(text)' is of the vocabulary")
      }
      return id
    }
  }

  /// By their keys in a tokenizer's files, in the order in which transformers adds them.
  enum Role: String, CaseIterable {
    case start = "bos_token"
    case end = "eos_token"
    case unknown = "unk_token"
    case separator = "sep_token"
    case padding = "pad_token"
    case beginning = "cls_token"
    case mask = "mask_token"
  }

  /// - Parameters:
  ///   - tokens: the ends, the unknown and the padding at least.
  ///   - declared: tokens with ids of their own, which say more of a text than `tokens` does.
  ///   - id: of a text that is not declared.
  init(
    _ tokens: [Role: AddedTokens.Token], declared: [(token: AddedTokens.Token, id: Int)] = [],
    id: (Role, String) throws -> Int
  ) rethrows {
    var ids: [String: Int] = [:]
    for (token, id) in declared { ids[token.text] = id }
    var added: [AddedTokens.Token] = declared.map(\.token)
    var numbers: [Role: Int] = [:]
    for role in Role.allCases {
      guard let token = tokens[role] else { continue }
      let isDeclared = declared.contains { $0.token.text == token.text }
      if !isDeclared, !added.contains(token) { added.append(token) }
      let number = try ids[token.text] ?? id(role, token.text)
      (ids[token.text], numbers[role]) = (number, number)
    }
    // What is said last of a text counts.
    var last: [String: AddedTokens.Token] = [:]
    for token in added { last[token.text] = token }
    self.added = last.values.map { ($0, ids[$0.text, default: 0]) }
    (start, end) = (numbers[.start, default: 0], numbers[.end, default: 0])
    (unknown, padding) = (numbers[.unknown, default: 0], numbers[.padding, default: 0])
  }
}
