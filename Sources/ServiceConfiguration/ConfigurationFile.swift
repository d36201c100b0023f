import Foundation
import JobQueue
import Yams

/// One YAML file of settings.
struct ConfigurationFile {
  let path: String
  private let yaml: String

  private static let largest = 1 << 20

  /// - Throws: `ConfigurationError`
  init(path: String) throws {
    func unreadable(_ why: String) -> ConfigurationError {
      ConfigurationError("the configuration \(displayName(path)) cannot be read: \(why)")
    }
    let bytes: [UInt8]
    do {
      bytes = try FileSystem.read(path, limit: Self.largest + 1, followsLinks: true)
    } catch let error as FileError {
      throw unreadable(String(cString: strerror(error.code)))
    }
    guard bytes.count <= Self.largest else {
      throw unreadable("it has more than \(byteText(Self.largest))")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ConfigurationError("the configuration \(displayName(path)) is not UTF-8 text")
    }
    self.init(path: path, yaml: text)
  }

  init(path: String, yaml: String) { (self.path, self.yaml) = (path, yaml) }

  /// - Throws: `ConfigurationError` that says which line is wrong, and what it takes.
  func apply(to resolved: inout ResolvedConfiguration) throws {
    let root: Node?
    do {
      root = try Yams.compose(yaml: yaml)
    } catch {
      throw ConfigurationError(sentence(of: error))
    }
    guard let root, root != Node("", Tag(.null)) else { return }
    try apply(root, group: nil, to: &resolved)
  }

  private func apply(_ node: Node, group: String?, to resolved: inout ResolvedConfiguration) throws
  {
    guard case .mapping(let mapping) = node else {
      let what = group.map { "'\($0)' takes" } ?? "the file must hold"
      throw ConfigurationError("\(origin(node)): \(what) keys with values")
    }
    for (keyNode, value) in mapping {
      let name = (group.map { $0 + "." } ?? "") + (keyNode.string ?? "")
      if ConfigurationKey.groups.contains(name) {
        // All of its keys may be comments.
        if value.null == nil { try apply(value, group: name, to: &resolved) }
      } else if let key = ConfigurationKey.named(name) {
        try resolved.set(key, to: value, from: origin(value.null == nil ? value : keyNode))
      } else {
        throw ConfigurationError(
          "\(origin(keyNode)): there is no key '\(displayName(String(name.prefix(80))))'; "
            + suggestion(for: name, group: group))
      }
    }
  }

  private func suggestion(for name: String, group: String?) -> String {
    let known = ConfigurationKey.all.map(\.name)
    let own = (name as NSString).pathExtension
    // It may stand one level too high or too low.
    if let misplaced = ConfigurationKey.all.first(where: { key in
      key.group.map { key.name == $0 + "." + name } ?? (!own.isEmpty && key.name == own)
    }) {
      return misplaced.group.map { "it belongs below '\($0)'" }
        ?? "'\(misplaced.name)' stands at the beginning of its line"
    }
    if let nearest = nearestName(to: name, among: known + ConfigurationKey.groups) {
      return "did you mean '\(nearest)'?"
    }
    let here = ConfigurationKey.all.filter { $0.group == group }.map {
      $0.name.split(separator: ".").last.map(String.init) ?? ""
    }
    return "there are "
      + (here + (group == nil ? ConfigurationKey.groups.sorted() : [])).joined(separator: ", ")
  }

  private func origin(_ node: Node) -> ConfigurationOrigin { .file(path, line: node.mark?.line) }

  private func sentence(of error: any Error) -> String {
    let shown = displayName(path)
    return switch error as? YamlError {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      "\(shown), line \(mark.line) or the one before it, is not YAML: \(displayLine(problem)); write lines such as 'workers: 2'"
    case .duplicatedKeysInMapping(let duplicates, let context):
      "\(shown), line \(context.mark.line): the key '\(displayName(duplicates.first ?? ""))' stands there twice: keep one of them"
    default: "\(shown) is not YAML"
    }
  }
}
