/// The name that was probably meant by one that does not exist: at most two letters away (one, of a
/// name of three), or the only one that begins or ends with what was given; `nil` where there is
/// none.
public func nearestName(to given: String, among names: [String]) -> String? {
  func letters(_ name: some StringProtocol) -> String { name.lowercased().filter(\.isLetter) }
  let plain = letters(given.prefix(60))
  let nearest = names.map { (name: $0, distance: editDistance(plain, letters($0))) }
    .min { $0.distance < $1.distance }
  if let nearest, nearest.distance <= (nearest.name.count > 3 ? 2 : 1) { return nearest.name }
  guard plain.count >= 4 else { return nil }
  let longer = names.filter { letters($0).hasPrefix(plain) || letters($0).hasSuffix(plain) }
  return longer.count == 1 ? longer[0] : nil
}

/// How many letters must be put in, taken out or replaced (Levenshtein).
private func editDistance(_ from: String, _ to: String) -> Int {
  let from = Array(from)
  let to = Array(to)
  var row = Array(0...to.count)
  for i in from.indices {
    var diagonal = row[0]
    row[0] = i + 1
    for j in to.indices {
      let substituted = diagonal + (from[i] == to[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
    }
  }
  return row[to.count]
}
