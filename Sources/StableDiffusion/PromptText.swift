/// A prompt's text as CLIP reads it: composed (NFC), white space as single spaces, in small letters.
struct PromptText {
  private(set) var scalars: [Unicode.Scalar] = []

  /// - Parameter prompt: a part of a prompt.
  init(_ prompt: ArraySlice<Unicode.Scalar>) {
    scalars.reserveCapacity(prompt.count)
    for scalar in String(String.UnicodeScalarView(prompt)).precomposedForCLIP {
      switch scalar.kind {
      case .space where scalars.last == " ": break
      case .space: scalars.append(" ")
      // One by one: a sigma at a word's end is none of its own.
      default: scalars += scalar.properties.lowercaseMapping.unicodeScalars
      }
    }
  }

  /// Divides a part of the text into what is encoded by itself: contractions, runs of letters,
  /// single digits and runs of anything else but white space. As CLIP's expressions do it, of which
  /// the second divides again what the first has found.
  func words(in range: Range<Int>) -> [Range<Int>] {
    var words: [Range<Int>] = []
    var position = range.lowerBound
    while position < range.upperBound {
      let first = scalars[position]
      if first == " " {
        position += 1
        continue
      }
      let rest = scalars[position..<range.upperBound]
      if first == "<", let parts = Self.namesOfEnds.first(where: { rest.starts(with: $0.joined()) })
      {
        for part in parts {
          words.append(position..<position + part.count)
          position += part.count
        }
        continue
      }
      var end = position + 1
      if first == "'", let contraction = Self.contractions.first(where: rest.starts) {
        end = position + contraction.count
      } else {
        switch first.kind {
        case .number: break
        case let kind:
          end = rest.dropFirst().firstIndex { $0.kind != kind } ?? range.upperBound
        }
      }
      words.append(position..<end)
      position = end
    }
    return words
  }

  private static let contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map {
    Array($0.unicodeScalars)
  }

  /// Also where they are not meant as such, as in capital letters.
  private static let namesOfEnds = ["startoftext", "endoftext"].map {
    ["<|", $0, "|>"].map { Array($0.unicodeScalars) }
  }
}

extension Unicode.Scalar {
  fileprivate enum Kind { case letter, number, space, other }

  /// As of Unicode 16, which the tokenizers library goes by.
  fileprivate var kind: Kind {
    if isASCII {
      switch value {
      case 97...122, 65...90: return .letter
      case 48...57: return .number
      default: return properties.isWhitespace ? .space : .other
      }
    }
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      return isOf(unicode: 16) ? .letter : .other
    case .decimalNumber, .letterNumber, .otherNumber: return isOf(unicode: 16) ? .number : .other
    default: return properties.isWhitespace ? .space : .other
    }
  }

  private func isOf(unicode version: Int) -> Bool {
    properties.age.map { $0.major <= version } ?? false
  }
}
