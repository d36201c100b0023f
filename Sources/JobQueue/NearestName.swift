/// The name that was probably meant by one that does not exist: at most two letters away; `nil` where
/// there is none.
public func nearestName(to given: String, among names: [String]) -> String? {
  let plain = given.prefix(60).lowercased().filter(\.isLetter)
  return names.map { (name: $0, distance: editDistance(plain, $0.lowercased().filter(\.isLetter))) }
    .min { $0.distance < $1.distance }.flatMap { $0.distance <= 2 ? $0.name : nil }
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
