import EditSettings
import Foundation

extension TokenFlow {
  public typealias Blending = EditorOptions.Blending
}

extension EditorOptions.Blending {
  /// A group's keyframe, and how much of it a frame takes.
  struct Share: Equatable {
    let group: Int
    let weight: Float
  }

  /// - Parameter group: the frame's own.
  /// - Returns: one or two shares that add up to 1, the own group's first.
  func shares(of frame: Int, in group: Int, of groups: [Range<Int>]) -> [Share] {
    switch self {
    case .authors:
      guard group > 0 else { return [Share(group: 0, weight: 1)] }
      func distance(_ other: Int) -> Int {
        abs(frame - (groups[other].lowerBound + groups[other].count / 2))
      }
      let (own, previous) = (distance(group), distance(group - 1))
      let weight = Float(1 / (1 + exp(-Double(previous) / Double(own + previous))))
      return [Share(group: group, weight: weight), Share(group: group - 1, weight: 1 - weight)]
    case .linear:
      func middle(_ other: Int) -> Double {
        Double(groups[other].lowerBound + groups[other].upperBound - 1) / 2
      }
      let distance = Double(frame) - middle(group)
      let other = distance < 0 ? group - 1 : group + 1
      guard distance != 0, groups.indices.contains(other) else {
        return [Share(group: group, weight: 1)]
      }
      let weight = Float(distance / (middle(other) - middle(group)))
      return [Share(group: group, weight: 1 - weight), Share(group: other, weight: weight)]
    }
  }
}
