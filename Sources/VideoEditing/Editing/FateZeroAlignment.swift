import StableDiffusion

/// What an edited clip's attention to the tokens of its prompt is made of: the source's attention to
/// the tokens of its own, and the edit's.
///
/// The released code of FateZero and of prompt-to-prompt before it (`seq_aligner.py`), which fuse
/// whole maps: map = source's map · matrix + own map · own. Maps are linear in what follows them, so
/// that nobody needs them.
struct PromptAlignment: Equatable {
  /// The source's attention to one of its tokens, given to one of the target's.
  struct Share: Equatable {
    let source, target: Int
    var weight: Float
  }

  private(set) var shares: [Share]
  /// What each of the target's tokens keeps of the edit's own attention.
  private(set) var own: [Float]

  /// Nothing is copied.
  init(positions: Int) { (shares, own) = ([], Array(repeating: 1, count: positions)) }

  /// Tokens that both prompts have, in the same order, take the source's attention; what is new in
  /// the target keeps its own ("refine").
  ///
  /// - Parameters:
  ///   - source, target: ids from start to end, without padding.
  ///   - positions: of the text encoder, padding included.
  init(refining source: [Int], to target: [Int], positions: Int) {
    self.init(positions: positions)
    for (token, partner) in Self.partners(of: target, in: source).enumerated() {
      if let partner { take(partner, for: token) }
    }
    // The padding takes the source's at the same place, whatever that is.
    for token in target.count..<max(target.count, positions) { take(token, for: token) }
  }

  /// Word by word, also where the words differ ("replace"): a new word takes the attention of the
  /// one in its place.
  ///
  /// - Parameters: the words of prompts that have as many, and where their tokens are.
  init(
    replacing source: [(text: String, positions: Range<Int>)],
    by target: [(text: String, positions: Range<Int>)], positions: Int
  ) {
    self.init(positions: positions)
    own = Array(repeating: 0, count: positions)
    let replaced = zip(source, target).filter { old, new in
      old.text != new.text && !old.positions.isEmpty && !new.positions.isEmpty
    }
    var (from, to) = (0, 0)
    for (old, new) in replaced {
      while from < old.positions.lowerBound, to < positions {
        shares.append(Share(source: from, target: to, weight: 1))
        (from, to) = (from + 1, to + 1)
      }
      for (index, token) in old.positions.enumerated() {
        if old.positions.count == new.positions.count {
          shares.append(
            Share(source: token, target: new.positions.lowerBound + index, weight: 1))
        } else {
          shares += new.positions.map {
            Share(source: token, target: $0, weight: 1 / Float(new.positions.count))
          }
        }
      }
      (from, to) = (from + old.positions.count, to + new.positions.count)
    }
    // Behind the last word that is another, the same places: the target's padding takes padding.
    while from < positions, to < positions {
      shares.append(Share(source: to, target: to, weight: 1))
      (from, to) = (from + 1, to + 1)
    }
  }

  /// Multiplies the attention to tokens of the target; it is not made to sum to one again.
  mutating func emphasize(_ tokens: Range<Int>, by factor: Float) {
    for index in shares.indices where tokens.contains(shares[index].target) {
      shares[index].weight *= factor
    }
    for token in tokens { own[token] *= factor }
  }

  var copiesFromSource: Bool { !shares.isEmpty }
  var keepsOwn: Bool { own.contains { $0 != 0 } }
  var changesNothing: Bool { shares.isEmpty && own.allSatisfy { $0 == 1 } }

  private mutating func take(_ source: Int, for target: Int) {
    shares.append(Share(source: source, target: target, weight: 1))
    own[target] = 0
  }

  /// For each token of the target its partner in the source, if any: Needleman and Wunsch's global
  /// alignment; a match is worth 1, a mismatch −1, a gap nothing. Of equally good ways it takes
  /// prompt-to-prompt's: first a token that is new, then one that is gone, then a pair.
  private static func partners(of target: [Int], in source: [Int]) -> [Int?] {
    enum Step { case new, gone, pair }
    let width = target.count + 1
    var scores = Array(repeating: 0, count: (source.count + 1) * width)
    var steps = Array(repeating: Step.new, count: scores.count)
    for i in source.indices {
      steps[(i + 1) * width] = .gone
      for j in target.indices {
        let here = (i + 1) * width + j + 1
        let (new, gone) = (scores[here - 1], scores[here - width])
        let pair = scores[here - width - 1] + (source[i] == target[j] ? 1 : -1)
        scores[here] = max(new, gone, pair)
        steps[here] = scores[here] == new ? .new : scores[here] == gone ? .gone : .pair
      }
    }
    var partners = [Int?](repeating: nil, count: target.count)
    var (i, j) = (source.count, target.count)
    while i > 0 || j > 0 {
      switch steps[i * width + j] {
      case .new: j -= 1
      case .gone: i -= 1
      case .pair:
        (i, j) = (i - 1, j - 1)
        partners[j] = i
      }
    }
    return partners
  }
}
