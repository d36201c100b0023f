import Foundation

/// What a tokenizer's folder says beside its vocabulary and merges.
struct TokenizerConfiguration {
  private let file: ComponentConfiguration
  private let map: ComponentConfiguration?

  init(_ folder: URL) throws {
    file = try ComponentConfiguration(folder.appending(path: "tokenizer_config.json"))
    let mapURL = folder.appending(path: "special_tokens_map.json")
    // Newer folders say all in one file, and transformers does not read the other one then.
    let isRead =
      !file.has("added_tokens_decoder")
      && FileManager.default.fileExists(atPath: mapURL.path(percentEncoded: false))
    map = isRead ? try ComponentConfiguration(mapURL) : nil
  }

  /// How many ids a prompt may have; `nil` where there is no limit, which some folders write as a
  /// number beyond 64 bits.
  var longest: Int? {
    get throws {
      guard let longest = try? file.size("model_max_length") else { return nil }
      guard longest >= 2 else {
        throw file.wrong("model_max_length", "leaves no room for a prompt")
      }
      return longest
    }
  }

  /// - Throws: `ModelError` where the vocabulary lacks one.
  func specialTokens(_ vocabulary: [String: Int]) throws -> SpecialTokens {
    var tokens: [SpecialTokens.Role: AddedTokens.Token] = [
      .start: .init(text: "<|startoftext|>", isNormalized: false)
    ]
    for role: SpecialTokens.Role in [.end, .unknown, .padding] {
      tokens[role] = .init(text: "<|endoftext|>", isNormalized: false)
    }
    func place(of role: SpecialTokens.Role) -> ComponentConfiguration {
      map.flatMap { $0.has(role.rawValue) ? $0 : nil } ?? file
    }
    for role in SpecialTokens.Role.allCases {
      let place = place(of: role)
      if let token = try place.addedToken(role.rawValue, isNormalized: place.place == file.place) {
        tokens[role] = token
      }
    }
    let declared = try file.addedTokens("added_tokens_decoder").map { token, id in
      (token: token, id: vocabulary[token.text] ?? id)
    }
    return try SpecialTokens(tokens, declared: declared) { role, text in
      guard let id = vocabulary[text] else {
        throw place(of: role).wrong(
          role.rawValue, "is '\(text)', which the vocabulary does not have")
      }
      return id
    }
  }
}
