import EditSettings

/// What the keys of one kind take, and how their values are written.
struct SidecarKind<Value>: Sendable {
  /// Completes the sentence "'steps' takes …".
  let takes: String
  let read: @Sendable (SidecarValue) -> Value?
  let write: @Sendable (Value) -> JSONValue
}

extension SidecarKind<Int> {
  static func whole(_ range: ClosedRange<Int>, _ more: String = "") -> Self {
    let upTo = range.upperBound == .max ? "up" : "to \(range.upperBound)"
    return Self(
      takes: "a whole number from \(range.lowerBound) \(upTo)\(more)",
      read: { value in value.asInteger.flatMap { range.contains($0) ? $0 : nil } },
      write: { .whole(Int64($0)) })
  }
}

extension SidecarKind<UInt64> {
  static let seed = Self(
    takes: "a whole number from 0 to \(UInt64.max)", read: \.asWhole, write: { .unsigned($0) })
}

extension SidecarKind<Double> {
  static func number(_ range: ClosedRange<Double>) -> Self {
    Self(
      takes: "a number from \(numberText(range.lowerBound)) to \(numberText(range.upperBound))",
      read: { value in value.asNumber.flatMap { range.contains($0) ? $0 : nil } },
      write: { .number($0) })
  }
}

extension SidecarKind<Bool> {
  static let flag = Self(takes: "true or false", read: \.asFlag, write: { .flag($0) })
}

extension SidecarKind<String> {
  static func text(_ takes: String) -> Self {
    Self(takes: takes, read: \.asText, write: { .text($0) })
  }

  /// A model's.
  static let name = Self(
    takes: "the plain name of a folder or file among the models",
    read: { value in value.asText.flatMap { ModelFolders.isName($0) ? $0 : nil } },
    write: { .text($0) })
}

extension SidecarKind
where Value: RawRepresentable & CaseIterable & Sendable, Value.RawValue == String {
  static var choice: Self {
    Self(
      takes: "one of " + Value.allCases.map(\.rawValue).joined(separator: ", "),
      read: { value in value.asText.flatMap(Value.init(rawValue:)) }, write: { .text($0.rawValue) })
  }
}

extension SidecarKind<WorkingSize> {
  static let size = Self(
    takes: WorkingSize.takes,
    read: { value in
      let size =
        value.asText.flatMap(WorkingSize.init) ?? value.asInteger.flatMap { .init("\($0)") }
      return size.flatMap { $0.isPossible ? $0 : nil }
    }, write: { .text($0.description) })
}

extension SidecarKind<[String]> {
  /// A list of words, or one alone.
  static let words = Self(
    takes: "up to 16 words of the prompts, such as [ball, cube]",
    read: { value in
      let words: [String]?
      if case .list(let values) = value {
        let texts = values.compactMap(\.asText)
        words = texts.count == values.count ? texts : nil
      } else {
        words = value.asText.map { [$0] }
      }
      return words.flatMap { $0.count <= 16 && $0.allSatisfy(isWord) ? $0 : nil }
    }, write: { .list($0.map { .text($0) }) })
}

extension SidecarKind<[String: Double]> {
  static let factors = Self(
    takes: "up to 16 words of the prompt with factors from -10 to 10, such as {purple: 2}",
    read: { value in
      guard case .mapping(let values) = value, values.count <= 16 else { return nil }
      var factors: [String: Double] = [:]
      for (word, factor) in values {
        guard isWord(word), let factor = factor.asNumber, (-10...10).contains(factor) else {
          return nil
        }
        factors[word] = factor
      }
      return factors
    }, write: { .object($0.mapValues { .number($0) }) })
}

extension SidecarKind<[String: Double]> {
  /// Names with weights, a list of names, or one name.
  static let loras = Self(
    takes:
      "up to 8 plain names of files among the models' loras, with weights from -10 to 10, such as {style: 0.8}, or without, such as [style]",
    read: { value in
      var weights: [String: Double] = [:]
      switch value {
      case .mapping(let values):
        for (name, weight) in values {
          guard let weight = weight.asNumber, (-10...10).contains(weight) else { return nil }
          weights[name] = weight
        }
      case .list(let values):
        for value in values {
          guard let name = value.asText else { return nil }
          weights[name] = 1
        }
      default:
        guard let name = value.asText else { return nil }
        weights[name] = 1
      }
      return weights.count <= 8 && weights.keys.allSatisfy(ModelFolders.isName) ? weights : nil
    }, write: { .object($0.mapValues { .number($0) }) })
}

private func isWord(_ text: String) -> Bool {
  text.utf8.count <= 100 && text.contains { !$0.isWhitespace }
    && !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
}

private func numberText(_ number: Double) -> String {
  Int(exactly: number).map { "\($0)" } ?? "\(number)"
}
