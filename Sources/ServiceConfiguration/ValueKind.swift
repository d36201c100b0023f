import Foundation
import JobQueue
import Yams

/// What the keys of one kind take, and how their values are written.
struct ValueKind<Value>: Sendable {
  /// Completes the sentence "'workers' takes …".
  let takes: String
  let read: @Sendable (Node) -> Value?
  /// As it stands behind the key's colon in a file.
  let text: @Sendable (Value) -> String
  /// What a variable or an option says, as a file would.
  var node: @Sendable (String) -> Node = { Node($0) }
}

extension ValueKind<Int> {
  static func whole(_ range: ClosedRange<Int>, _ more: String = "") -> Self {
    Self(
      takes: "a whole number from \(range.lowerBound) to \(range.upperBound)\(more)",
      read: { node in node.int.flatMap { range.contains($0) ? $0 : nil } }, text: { "\($0)" })
  }

  static func bytes(_ range: ClosedRange<Int> = 0...Int.max) -> Self {
    Self(
      takes: range == 0...Int.max
        ? "a size such as 1000000, 64 MiB or 8 GiB"
        : "a size from \(byteText(range.lowerBound)) to \(byteText(range.upperBound))",
      read: { node in
        node.string.flatMap(byteCount).flatMap { range.contains($0) ? $0 : nil }
      }, text: byteText)
  }
}

extension ValueKind<Int64> {
  static var bytes: Self {
    let whole = ValueKind<Int>.bytes()
    return Self(
      takes: whole.takes, read: { whole.read($0).map(Int64.init) },
      text: { byteText(Int(clamping: $0)) })
  }
}

extension ValueKind<Double> {
  static func seconds(_ range: ClosedRange<Double>) -> Self {
    Self(
      takes:
        "a number of seconds from \(numberText(range.lowerBound)) to \(numberText(range.upperBound))",
      read: { node in node.float.flatMap { range.contains($0) ? $0 : nil } }, text: numberText)
  }
}

extension ValueKind<String> {
  /// A model's.
  static let name = Self(
    takes: "the plain name of a folder or file among the models",
    read: { node in
      node.string.flatMap { $0.isEmpty || $0.hasPrefix(".") || $0.contains("/") ? nil : $0 }
    }, text: quotedText)

  static let folder = Self(
    takes: "the absolute path of a folder",
    read: { $0.string.flatMap { $0.hasPrefix("/") && !$0.utf8.contains(0) ? $0 : nil } },
    text: quotedText, node: { Node(absolutePath($0)) })

  static let metricsFile = Self(
    takes: "the absolute path of a file whose name ends in .prom",
    read: {
      $0.string.flatMap {
        $0.hasPrefix("/") && $0.hasSuffix(".prom") && !$0.utf8.contains(0) ? $0 : nil
      }
    }, text: quotedText, node: { Node(absolutePath($0)) })

  static let endpoint = Self(
    takes: "an endpoint such as tcp://0.0.0.0:7070",
    read: { $0.string.flatMap { $0.hasPrefix("tcp://") ? $0 : nil } }, text: quotedText)
}

extension ValueKind<[String]> {
  static let folders = Self(
    takes: "a list of folders with absolute paths, such as [/srv/clips]",
    read: { node in
      guard case .sequence(let items) = node else { return nil }
      let folders = items.compactMap { ValueKind<String>.folder.read($0) }
      return folders.count == items.count ? folders : nil
    },
    text: { "[" + $0.map(quotedText).joined(separator: ", ") + "]" },
    // As in $PATH.
    node: { text in
      .sequence(Node.Sequence(text.split(separator: ":").map { Node(absolutePath(String($0))) }))
    })
}

extension ValueKind where Value: RawRepresentable<String> & CaseIterable & Sendable {
  static var choice: Self {
    Self(
      takes: "one of " + Value.allCases.map(\.rawValue).joined(separator: ", "),
      read: { $0.string.flatMap(Value.init(rawValue:)) }, text: { quotedText($0.rawValue) })
  }
}

/// A shell's user may mean a folder relative to where they are; a file's reader is nowhere.
private func absolutePath(_ path: String) -> String {
  path.isEmpty ? path : URL(filePath: path).path(percentEncoded: false)
}

private func numberText(_ number: Double) -> String {
  number == number.rounded() ? "\(Int(number))" : "\(number)"
}

/// As YAML has it: in quotes where it could be taken for something else.
private func quotedText(_ text: String) -> String {
  let plain = text.allSatisfy {
    $0.isASCII && ($0.isLetter || $0.isNumber || "/._-:+@".contains($0))
  }
  let isPlain = plain && text.first.map { $0 == "/" || $0.isLetter } ?? false && text.last != ":"
  return isPlain && Node(text).bool == nil && Node(text).null == nil
    ? text : "'" + text.replacing("'", with: "''") + "'"
}

private let units: [(String, Int)] = [
  ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1),
]

/// `64 MiB`, `8GiB`, `1000`.
func byteCount(_ text: String) -> Int? {
  let digits = text.prefix { $0.isASCII && $0.isNumber }
  let unit = text.dropFirst(digits.count).trimmingCharacters(in: .whitespaces)
  guard let number = Int(digits), let factor = units.first(where: { $0.0 == unit })?.1 else {
    return nil
  }
  let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
  return overflow ? nil : bytes
}

/// In the greatest unit that keeps it whole.
func byteText(_ bytes: Int) -> String {
  let unit = units.first { $0.1 > 1 && bytes >= $0.1 && bytes % $0.1 == 0 }
  return unit.map { "\(bytes / $0.1) \($0.0)" } ?? "\(bytes)"
}
