import EditReport
import EditSettings
import Foundation
import Yams

extension EditSettings {
  /// A sidecar in YAML that asks for just this, with every key of its method that these settings
  /// have a value for.
  public var sidecarText: String {
    let fields = sidecarFields
    let pairs = keys.compactMap { key in
      fields[key.name].map { (Node(key.name), $0.node) }
    }
    let text = try? Yams.serialize(
      node: Node(pairs, Tag(.map), .block), width: -1, allowUnicode: true, sortKeys: false)
    // Nothing but words, numbers and texts is in there.
    return text ?? ""
  }

  private var keys: [SidecarKey] { SidecarKey.all.filter { $0.isKnown(to: method) } }

  /// Every setting of its method under its sidecar's name, but for the texts.
  public var facts: [EditReport.Fact] {
    let (fields, texts) = (sidecarFields, [SidecarKey.prompt, .sourcePrompt, .negativePrompt])
    return keys.filter { key in !texts.contains { $0.name == key.name } }.compactMap {
      key in fields[key.name].map { EditReport.Fact(key.name, $0.shown) }
    }
  }
}

extension JSONValue {
  fileprivate var node: Node {
    switch self {
    case .null: Node("null", Tag(.null))
    case .flag(let value): Node("\(value)", Tag(.bool))
    case .whole(let value): Node("\(value)", Tag(.int))
    case .unsigned(let value): Node("\(value)", Tag(.int))
    case .number(let value): Node(shown(value), Tag(.float))
    case .text(let value): Node(value, Tag(.str), .doubleQuoted)
    case .list(let values): Node(values.map(\.node), Tag(.seq), .flow)
    case .object(let values):
      Node(
        values.sorted { $0.key < $1.key }.map {
          (Node($0.key, Tag(.str), .doubleQuoted), $0.value.node)
        },
        Tag(.map), .flow)
    }
  }

  /// For people.
  fileprivate var shown: String {
    switch self {
    case .null: "none"
    case .flag(let value): value ? "yes" : "no"
    case .whole(let value): "\(value)"
    case .unsigned(let value): "\(value)"
    case .number(let value): shown(value)
    case .text(let value): value
    case .list(let values):
      values.isEmpty ? "none" : values.map(\.shown).joined(separator: ", ")
    case .object(let values):
      values.isEmpty
        ? "none"
        : values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.shown)" }.joined(
          separator: ", ")
    }
  }

  private func shown(_ number: Double) -> String {
    Int(exactly: number).map { "\($0)" } ?? "\(number)"
  }
}
