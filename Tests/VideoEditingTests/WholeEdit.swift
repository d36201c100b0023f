import EditSettings
import Tensor
import VideoEditing

/// An edit's pictures in one piece.
struct WholeEdit {
  let edited: Tensor
  let reconstructed: Tensor?
}

extension VideoEdit {
  func run(
    frames: Tensor, memory: (any EditMemory)? = nil, scratchFolder: String? = nil,
    progress: (EditProgress) throws -> Void
  ) throws -> WholeEdit {
    var parts: [Output: [Tensor]] = [:]
    try run(
      Pictures(frames), scratchFolder: scratchFolder, memory: memory, progress: progress
    ) { output, range, pictures in
      precondition(range.lowerBound == parts[output]?.reduce(0) { $0 + $1.shape[0] } ?? 0)
      parts[output, default: []].append(pictures)
    }
    return WholeEdit(
      edited: Tensor.concatenated(parts[.edited] ?? []),
      reconstructed: parts[.reconstructed].map(Tensor.concatenated))
  }
}
