/// Byte-level byte-pair encoding: a word's bytes, of which neighbours are merged by rank.
struct BytePairEncoding: Sendable {
  private let vocabulary: CLIPVocabulary
  /// The ids of the bytes inside a word and, after those, at its end.
  private let bytes: [Int]

  /// - Parameter unknown: stands for bytes that the vocabulary does not have.
  init(_ vocabulary: CLIPVocabulary, unknown: Int) {
    self.vocabulary = vocabulary
    bytes = ["", CLIPVocabulary.wordEnd].flatMap { end in
      (UInt8.min...UInt8.max).map { vocabulary.ids[CLIPVocabulary.symbol(of: $0) + end] ?? unknown }
    }
  }

  /// A symbol of a word in the making; a merged one is taken out of the chain.
  private struct Symbol {
    var id, previous, next: Int
    var isMerged = false
  }

  /// The ids of a word's tokens. The pair of lowest rank goes first, of equal ones the first; the time is
  /// n log n of the word's bytes.
  func ids(of word: [UInt8]) -> [Int] {
    var symbols = word.indices.map { index in
      Symbol(
        id: bytes[Int(word[index]) + (index == word.count - 1 ? 256 : 0)],
        previous: index - 1, next: index + 1 < word.count ? index + 1 : -1)
    }
    var waiting = MergeQueue()
    func consider(_ index: Int) {
      guard index >= 0, symbols[index].next >= 0,
        let merge = vocabulary.merges[
          CLIPVocabulary.Pair(left: symbols[index].id, right: symbols[symbols[index].next].id)]
      else { return }
      waiting.insert(.init(rank: merge.rank, position: index, merged: merge.merged))
    }
    for index in symbols.indices { consider(index) }
    while let first = waiting.removeFirst() {
      let (index, next) = (first.position, symbols[first.position].next)
      // What was merged meanwhile with another neighbour has its new pairs in the queue.
      guard !symbols[index].isMerged, next >= 0,
        vocabulary.merges[CLIPVocabulary.Pair(left: symbols[index].id, right: symbols[next].id)]?
          .merged == first.merged
      else { continue }
      symbols[index].id = first.merged
      symbols[index].next = symbols[next].next
      if symbols[next].next >= 0 { symbols[symbols[next].next].previous = index }
      symbols[next].isMerged = true
      consider(symbols[index].previous)
      consider(index)
    }
    return symbols.filter { !$0.isMerged }.map(\.id)
  }
}

/// Merges that wait, lowest rank first and of equal ranks the first in the word: a binary heap.
private struct MergeQueue {
  struct Entry {
    let rank, position, merged: Int
    static func < (left: Entry, right: Entry) -> Bool {
      (left.rank, left.position) < (right.rank, right.position)
    }
  }

  private var entries: [Entry] = []

  mutating func insert(_ entry: Entry) {
    var index = entries.count
    entries.append(entry)
    while index > 0, entry < entries[(index - 1) / 2] {
      entries.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  mutating func removeFirst() -> Entry? {
    guard let last = entries.popLast() else { return nil }
    guard let first = entries.first else { return last }
    entries[0] = last
    var index = 0
    while true {
      var child = 2 * index + 1
      guard child < entries.count else { break }
      if child + 1 < entries.count, entries[child + 1] < entries[child] { child += 1 }
      guard entries[child] < last else { break }
      entries.swapAt(index, child)
      index = child
    }
    return first
  }
}
