import Yams

/// The top-level mapping of a YAML text, reduced to what a sidecar can use. What lies deeper than in
/// a list or mapping there is never walked through, so that aliases that stand for billions of nodes
/// cost nothing.
func yamlMapping(_ text: String) throws -> [(key: String, value: SidecarValue)] {
  try refuseManyAliases(in: text)
  let root: Node?
  do {
    root = try Yams.compose(yaml: text)
  } catch let error as YamlError {
    throw SidecarError(sentence(of: error))
  }
  guard let root else { throw SidecarError("the sidecar is empty: write at least `prompt: …`") }
  guard case .mapping(let mapping) = root else {
    throw SidecarError(
      "the sidecar is no mapping of keys to values: write at least `prompt: …`, or name it .txt if it is a prompt alone"
    )
  }
  return try mapping.map { key, value in
    guard case .scalar(let key) = key else {
      throw SidecarError("a key of the sidecar is no word: write lines such as `prompt: …`")
    }
    return (key.string, sidecarValue(value))
  }
}

/// - Parameter isNested: whether the node lies in a list or a mapping.
private func sidecarValue(_ node: Node, isNested: Bool = false) -> SidecarValue {
  switch node {
  case .scalar(let scalar):
    guard scalar.style == .plain || scalar.style == .any else { return .text(scalar.string) }
    return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
      ? .nothing : .word(scalar.string)
  case .sequence(let sequence):
    return isNested ? .nested : .list(sequence.map { sidecarValue($0, isNested: true) })
  case .mapping(let mapping):
    if isNested { return .nested }
    var values: [String: SidecarValue] = [:]
    for (key, value) in mapping {
      guard case .scalar(let key) = key else { return .nested }
      values[key.string] = sidecarValue(value, isNested: true)
    }
    return .mapping(values)
  case .alias: return .nothing
  }
}

/// Yams hashes every key to find duplicates, and a key may be an alias that stands for billions of
/// nodes.
private func refuseManyAliases(in text: String) throws {
  func names(after mark: UInt8) -> [Substring.UTF8View] {
    let bytes = text.utf8
    var names: [Substring.UTF8View] = []
    var rest = bytes[...]
    while let start = rest.firstIndex(of: mark) {
      let after = bytes[bytes.index(after: start)...]
      let name = after.prefix {
        (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0)
          || $0 == 0x5f || $0 == 0x2d
      }
      if !name.isEmpty { names.append(name) }
      rest = after.dropFirst(name.count)
    }
    return names
  }
  let anchors = Set(names(after: 0x26).map { String(Substring($0)) })
  guard !anchors.isEmpty else { return }
  guard
    names(after: 0x2a).lazy.filter({ anchors.contains(String(Substring($0))) }).prefix(9).count <= 8
  else {
    throw SidecarError("the sidecar uses more than 8 aliases (*name): write its values out")
  }
}

private func sentence(of error: YamlError) -> String {
  switch error {
  case .scanner(let context, let problem, let mark, _),
    .parser(let context, let problem, let mark, _),
    .composer(let context, let problem, let mark, _):
    let during = context.map { " " + $0.text.trimmingPrefix { $0 == " " } } ?? ""
    // The likeliest mistake: a colon in a prompt.
    let hint = problem.contains("mapping values") ? "; put a text that holds a colon in quotes" : ""
    return "the sidecar is not YAML, line \(mark.line): \(problem)\(during)\(hint)"
  case .reader(let problem, _, _, _): return "the sidecar is not YAML: \(problem)"
  case .duplicatedKeysInMapping(let duplicates, let context):
    return
      "the key '\(displayName(duplicates.first ?? ""))' stands there twice, line \(context.mark.line): keep one of them"
  default: return "the sidecar is not YAML"
  }
}
